//! What an ESP32-S3 prints before its firmware runs, and when it crashes.

use std::io::Write as _;

use super::speech::say;
use crate::fault::Reset;

/// The ROM's banner.
pub(super) fn rom(reset: Reset, out: &mut Vec<u8>) {
    say!(out, "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n");
    say!(out, "rst:{},boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n", reset.rom());
    say!(
        out,
        "SPIWP:0xee\r\nmode:DIO, clock div:1\r\nload:0x3fce2820,len:0x1564\r\nentry 0x403c8908\r\n"
    );
}

/// The bootloader's and ESP-IDF's first lines.
pub(super) fn esp_idf(out: &mut Vec<u8>) {
    say!(
        out,
        "\x1b[0;32mI (24) boot: ESP-IDF v5.3 2nd stage bootloader\x1b[0m\r\n"
    );
    say!(out, "\x1b[0;32mI (301) cpu_start: Multicore app\x1b[0m\r\n");
    say!(out, "\x1b[0;32mI (318) main_task: Calling app_main()\x1b[0m\r\n");
}

/// The description of a crash.
pub(super) fn panic(out: &mut Vec<u8>) {
    say!(
        out,
        "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n"
    );
    say!(out, "Core  0 register dump:\r\n");
    say!(
        out,
        "PC      : 0x42008f2a  PS      : 0x00060330  A0      : 0x82009a41  A1      : 0x3fc98f50\r\n"
    );
    say!(
        out,
        "EXCVADDR: 0x00000000  LBEG    : 0x400556d5  LEND    : 0x400556e5  LCOUNT  : 0xffffffff\r\n\r\n"
    );
    say!(
        out,
        "Backtrace: 0x42008f27:0x3fc98f50 0x42009a3e:0x3fc98f70\r\n\r\n"
    );
    say!(out, "ELF file SHA256: 5f2c8e1d90ab4c37\r\n\r\nRebooting...\r\n");
}
