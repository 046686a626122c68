//! What can go wrong with a board, on demand.

use std::time::Duration;

/// Why a board starts again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reset {
    /// Power was switched on.
    PowerOn,
    /// The firmware asked for it.
    Software,
    /// A watchdog ran out.
    Watchdog,
    /// The supply voltage fell too low.
    Brownout,
    /// A terminal program pulled its lines as it opened the port.
    Opened,
}

impl Reset {
    /// As the ROM of ESP32-S3 prints it.
    pub(crate) fn rom(self) -> &'static str {
        match self {
            Self::PowerOn => "0x1 (POWERON)",
            Self::Software => "0xc (RTC_SW_CPU_RST)",
            Self::Watchdog => "0x7 (TG0WDT_SYS_RST)",
            Self::Brownout => "0xf (BROWNOUT_RST)",
            Self::Opened => "0x15 (USB_UART_CHIP_RESET)",
        }
    }

    /// As the hello message says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PowerOn => "power_on",
            Self::Software => "software",
            Self::Watchdog => "watchdog",
            Self::Brownout => "brownout",
            Self::Opened => "usb",
        }
    }
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It starts again, in the middle of a line.
    Reset(Reset),
    /// The firmware crashes, says so as ESP-IDF does, and starts again.
    Panic,
    /// Bytes that are no text, as at a wrong baud rate, and a line end.
    Noise(usize),
    /// So many bytes of text without a line end, and then one.
    Flood(usize),
    /// A line of NULs, as a break on the wire leaves it.
    Nuls(usize),
    /// A message that breaks off, and a line end.
    HalfFrame,
    /// A sensor without a value: `NaN`.
    NonFinite,
    /// A load of 900 percent.
    OutOfRange,
    /// So many messages are lost: their numbers are missing.
    Lost(u32),
    /// It is so much hotter around the board, in degrees Celsius.
    Heat(f64),
    /// The running session, or one that begins for it, fails.
    Session,
    /// It says nothing for so long, and stays plugged in.
    Silence(Duration),
}
