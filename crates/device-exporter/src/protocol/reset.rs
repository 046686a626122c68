//! Why devices start: the reasons, and how the ROM of an ESP chip prints them before anything else, as in
//! `rst:0x1 (POWERON_RESET),boot:0x13 (…)`.
//!
//! The numbers are from the chips' technical reference manuals, chapter "Reset and Clock". The chips share the numbering,
//! except for 0x0E, which only ESP32 has, and those above 0x10, which ESP32 does not have.

/// Why a device started.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ResetReason {
    /// Power was switched on.
    PowerOn,
    /// The reset pin, as a button or a programmer pulls it.
    External,
    /// The firmware asked for it.
    Software,
    /// The firmware crashed.
    Panic,
    /// A watchdog ran out.
    Watchdog,
    /// It woke from deep sleep.
    DeepSleep,
    /// The supply voltage fell too low.
    Brownout,
    /// The USB port asked for it.
    Usb,
    /// A debugger asked for it.
    Debugger,
    /// A glitch of the supply or the clock was seen.
    Glitch,
    /// The host of an SDIO bus asked for it.
    Sdio,
    /// The device does not say, or says something that is not in this list.
    Unknown,
}

impl ResetReason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::PowerOn,
        Self::External,
        Self::Software,
        Self::Panic,
        Self::Watchdog,
        Self::DeepSleep,
        Self::Brownout,
        Self::Usb,
        Self::Debugger,
        Self::Glitch,
        Self::Sdio,
        Self::Unknown,
    ];

    /// The value of the label `reason`, and of `reset` in a hello message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerOn => "power_on",
            Self::External => "external",
            Self::Software => "software",
            Self::Panic => "panic",
            Self::Watchdog => "watchdog",
            Self::DeepSleep => "deep_sleep",
            Self::Brownout => "brownout",
            Self::Usb => "usb",
            Self::Debugger => "debugger",
            Self::Glitch => "glitch",
            Self::Sdio => "sdio",
            Self::Unknown => "unknown",
        }
    }

    /// The reason of this name; [`ResetReason::Unknown`] for a name that is in no list.
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .unwrap_or(Self::Unknown)
    }
}

/// The reason in a line that has such a mark, wherever it stands: a reset can cut the line before it.
pub(super) fn in_line(line: &str) -> Option<ResetReason> {
    let (_, rest) = line.split_once("rst:0x")?;
    let (code, _) = rest.split_once(" (")?;
    let code = u8::from_str_radix(code, 16).ok()?;
    Some(of_code(code))
}

fn of_code(code: u8) -> ResetReason {
    match code {
        0x01 => ResetReason::PowerOn,
        // Of the digital core, of one processor, of the second processor by the first.
        0x03 | 0x0C | 0x0E => ResetReason::Software,
        0x05 => ResetReason::DeepSleep,
        0x06 => ResetReason::Sdio,
        // Timer groups, RTC, super watchdog; of the core, a processor, or all.
        0x04 | 0x07..=0x09 | 0x0B | 0x0D | 0x10..=0x12 => ResetReason::Watchdog,
        0x0F => ResetReason::Brownout,
        0x13 | 0x17 => ResetReason::Glitch,
        // USB serial: a programmer or a terminal pulled its lines.
        0x15 => ResetReason::Usb,
        0x16 | 0x18 => ResetReason::Debugger,
        _ => ResetReason::Unknown,
    }
}
