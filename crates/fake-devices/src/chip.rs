//! The boards and what they are capable of: figures as data sheets and published runs of small models show them.

/// A kind of board.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chip {
    /// ESP32-S3 with PSRAM. Prints the ROM's and ESP-IDF's banners when it starts, and ESP-IDF's log.
    Esp32,
    /// STM32H7 without an operating system.
    Stm32,
    /// RISC-V microcontroller.
    Riscv,
}

/// What a kind of board is capable of.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) firmware: &'static str,
    /// Beginning of the stable name of its port.
    pub(crate) port: &'static str,
    /// Type and bytes in all.
    pub(crate) memories: [(&'static str, u64); 2],
    /// Milliwatts with nothing to do, and during inference.
    pub(crate) idle_mw: f64,
    pub(crate) busy_mw: f64,
    /// Degrees Celsius above the room for each milliwatt.
    pub(crate) kelvin_per_mw: f64,
    pub(crate) model_name: &'static str,
    pub(crate) quantization: &'static str,
    pub(crate) quantization_bits: u8,
    pub(crate) tokens_per_second: f64,
    /// Units of 1,024 bytes.
    pub(crate) model_kb: [(&'static str, u64); 2],
    pub(crate) accuracy: f64,
}

impl Chip {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Esp32, Self::Stm32, Self::Riscv];

    /// `esp32`, `stm32` or `riscv`: the platform that the board says it is.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp32 => "esp32",
            Self::Stm32 => "stm32",
            Self::Riscv => "riscv",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chip| chip.name() == name)
    }

    pub(crate) fn figures(self) -> &'static Figures {
        match self {
            Self::Esp32 => &ESP32,
            Self::Stm32 => &STM32,
            Self::Riscv => &RISCV,
        }
    }
}

const ESP32: Figures = Figures {
    firmware: "2.3.1",
    port: "usb-Espressif_ESP32-S3",
    memories: [("sram", 512 << 10), ("psram", 8 << 20)],
    idle_mw: 210.0,
    busy_mw: 620.0,
    kelvin_per_mw: 0.055,
    model_name: "stories260K",
    quantization: "int8",
    quantization_bits: 8,
    tokens_per_second: 24.0,
    model_kb: [("weights", 1040), ("activations", 212)],
    accuracy: 0.62,
};

const STM32: Figures = Figures {
    firmware: "1.8.0",
    port: "usb-STMicroelectronics_STM32_STLink",
    memories: [("sram", 1 << 20), ("flash", 2 << 20)],
    idle_mw: 120.0,
    busy_mw: 480.0,
    kelvin_per_mw: 0.048,
    model_name: "stories260K",
    quantization: "int4",
    quantization_bits: 4,
    tokens_per_second: 9.5,
    model_kb: [("weights", 610), ("activations", 188)],
    accuracy: 0.55,
};

const RISCV: Figures = Figures {
    firmware: "0.9.4",
    port: "usb-1a86_USB_Serial",
    memories: [("sram", 320 << 10), ("flash", 4 << 20)],
    idle_mw: 60.0,
    busy_mw: 190.0,
    kelvin_per_mw: 0.11,
    model_name: "stories42K",
    quantization: "int8",
    quantization_bits: 8,
    tokens_per_second: 3.2,
    model_kb: [("weights", 176), ("activations", 64)],
    accuracy: 0.41,
};
