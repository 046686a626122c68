//! ESP-IDF's log, banners and crashes, beside whatever else is spoken.

use device_exporter::protocol::{Event, Level, Log, Protocol, Reason, ResetReason, Text};

use super::{events, hear, label, reasons};

fn log(level: Level, tag: &str, text: &str) -> Event {
    Event::Log(Box::new(Log {
        level,
        tag: Some(label(tag)),
        text: Text::new(text),
    }))
}

fn boots(text: &str) -> Vec<ResetReason> {
    let reason = |event: &Event| {
        if let Event::Boot { reason } = event {
            Some(*reason)
        } else {
            None
        }
    };
    events(None, text).iter().filter_map(reason).collect()
}

#[test]
fn log_lines_of_both_versions_are_read_in_colour_and_without() {
    let lines = "\x1b[0;32mI (305) main: up\x1b[0m\r\nI (718) wifi:mode : sta\r\nI (719) wifi station: up\r\nW (12:34:56.789) wifi: retry\r\n\
        E (26-11-22 20:47:01.002) i2c: no answer: 0x3c\r\nD early: no time\r\n\x1b[0;31mE (7) \x1b[1mx\x1b[0m: \x1b[0m\r\n";
    let batch = hear(Some(Protocol::EspIdf), lines.as_bytes());
    assert_eq!(
        batch.events,
        [
            log(Level::Info, "main", "up"),
            log(Level::Info, "wifi", "mode : sta"),
            log(Level::Info, "wifi station", "up"),
            log(Level::Warning, "wifi", "retry"),
            log(Level::Error, "i2c", "no answer: 0x3c"),
            log(Level::Debug, "early", "no time"),
            log(Level::Error, "x", ""),
        ]
    );
    assert_eq!(batch.rejections, []);
}

#[test]
fn sentences_are_no_log_lines() {
    for text in [
        "I am here",
        "I said it: now",
        "E (soon) x: y",
        "V",
        "W ",
        "I (305 main: up",
        "D : x",
        "I said:now",
        "W wifi:x",
    ] {
        assert_eq!(
            reasons(Some(Protocol::EspIdf), &format!("{text}\n")),
            [Reason::Unknown],
            "{text}"
        );
    }
}

#[test]
fn the_banners_of_three_chips_say_why_they_start() {
    let esp32 = "ets Jun  8 2016 00:22:57\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n\
        configsip: 0, SPIWP:0xee\r\nclk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00\r\n\
        mode:DIO, clock div:2\r\nload:0x3fff0030,len:7176\r\nentry 0x40080694\r\n";
    let s3 = "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x15 (USB_UART_CHIP_RESET),boot:0x8 \
        (SPI_FAST_FLASH_BOOT)\r\nSaved PC:0x40378b1a\r\nSPIWP:0xee\r\nmode:DIO, clock div:1\r\n\
        load:0x3fce3818,len:0x1678\r\nentry 0x403c9954\r\n";
    let c3 = "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x7 (TG0WDT_SYS_RST),boot:0xc \
        (SPI_FAST_FLASH_BOOT)\r\nSaved PC:0x4038b1a2\r\nmode:DIO, clock div:1\r\nentry 0x403cc710\r\n";
    assert_eq!(boots(esp32), [ResetReason::PowerOn]);
    assert_eq!(boots(s3), [ResetReason::Usb]);
    assert_eq!(boots(c3), [ResetReason::Watchdog]);
}

#[test]
fn every_reason_has_its_number() {
    for (code, reason) in [
        ("0x1", ResetReason::PowerOn),
        ("0x3", ResetReason::Software),
        ("0xc", ResetReason::Software),
        ("0xe", ResetReason::Software),
        ("0x4", ResetReason::Watchdog),
        ("0x9", ResetReason::Watchdog),
        ("0x10", ResetReason::Watchdog),
        ("0x12", ResetReason::Watchdog),
        ("0x5", ResetReason::DeepSleep),
        ("0x6", ResetReason::Sdio),
        ("0xf", ResetReason::Brownout),
        ("0x13", ResetReason::Glitch),
        ("0x15", ResetReason::Usb),
        ("0x16", ResetReason::Debugger),
        ("0x14", ResetReason::Unknown),
        ("0xff", ResetReason::Unknown),
    ] {
        assert_eq!(
            boots(&format!("rst:{code} (X),boot:0x8 (Y)\n")),
            [reason],
            "{code}"
        );
    }
    assert_eq!(boots("rst:0x1ff (X)\nrst:0x (X)\nrst:0x1\n"), []);
}

#[test]
fn a_crash_counts_once_and_its_description_is_no_noise() {
    let crash = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n\
        Core  0 register dump:\r\nPC      : 0x400d1f6a  PS      : 0x00060330  A0      : 0x800d1fd4\r\n\
        Backtrace: 0x400d1f67:0x3ffb4570\r\n\r\n\r\nELF file SHA256: 5f2c8e1d90ab4c37\r\n\r\nRebooting...\r\n\
        ets Jun  8 2016 00:22:57\r\n\r\nrst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n";
    let text =
        Text::new("Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.");
    assert_eq!(
        events(None, crash),
        [
            Event::Panic { text },
            Event::Boot {
                reason: ResetReason::Panic
            }
        ]
    );

    let assert = "assert failed: app_main main.c:12 (false)\nabort() was called at PC 0x400d1f6a on core 0\n";
    let text = Text::new("assert failed: app_main main.c:12 (false)");
    assert_eq!(events(None, assert), [Event::Panic { text }]);

    let watchdog = "Guru Meditation Error: Core  0 panic'ed (Interrupt wdt timeout on CPU0).\nrst:0xc (SW_CPU_RESET),b\n";
    assert_eq!(
        events(None, watchdog)[1],
        Event::Boot {
            reason: ResetReason::Watchdog
        }
    );
}

#[test]
fn a_device_that_speaks_again_has_ended_its_description() {
    let after = "abort() was called at PC 0x1 on core 0\nraw text\n{\"cpu\":1}\nraw text\n";
    let batch = hear(None, after.as_bytes());
    assert_eq!(batch.events[1], Event::Cpu { percent: 1.0 });
    assert_eq!(batch.rejections.len(), 1);
    // And one that goes on for ever is noise in the end.
    let endless = format!("abort() was called at PC 0x1 on core 0\n{}", "text\n".repeat(500));
    assert_eq!(hear(None, endless.as_bytes()).rejections.len(), 300);
}

#[test]
fn a_brownout_is_the_reason_even_when_the_rom_does_not_know() {
    let text = "\r\nBrownout detector was triggered\r\n\r\nets Jun  8 2016 00:22:57\r\n\
        rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n";
    let error = log(Level::Error, "rom", "Brownout detector was triggered");
    assert_eq!(
        events(None, text),
        [
            error.clone(),
            Event::Boot {
                reason: ResetReason::Brownout
            }
        ]
    );
    assert_eq!(
        boots("E BOD: Brownout detector was triggered\nrst:0x3 (RTC_SW_SYS_RST),boot:0x8 (X)\n"),
        [ResetReason::Brownout]
    );
    // What the chip knows itself is right.
    assert_eq!(
        boots("Brownout detector was triggered\nrst:0x1 (POWERON),b\n"),
        [ResetReason::PowerOn]
    );
}

#[test]
fn a_reset_in_the_middle_of_a_line_is_seen() {
    let batch = hear(None, b"{}\n{\"cpu\":4rst:0x7 (TG0WDT_SYS_RST),boot:0x8 (X)\n");
    assert_eq!(
        batch.events,
        [Event::Boot {
            reason: ResetReason::Watchdog
        }]
    );
    assert_eq!(batch.rejections[0].reason, Reason::Malformed);
}

#[test]
fn a_chip_that_cannot_start_says_so() {
    assert_eq!(
        events(None, "invalid header: 0xffffffff\n"),
        [log(Level::Error, "rom", "invalid header: 0xffffffff")]
    );
}
