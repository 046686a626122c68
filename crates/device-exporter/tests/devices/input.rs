//! What devices send that no device should, over real pseudo-terminals: counted, never an end, and never another
//! device's problem.

use std::time::{Duration, Instant};

use exporter::testing::{Running, resident_kib, value};

use crate::lab::{Lab, Port, connected, eventually, eventually_is, of, rejected};

/// A device beside the bad one, which must not notice.
struct Beside {
    port: Port,
    said: u32,
}

impl Beside {
    fn new(lab: &Lab) -> Self {
        let mut port = lab.plug("good");
        port.say("{\"type\":\"hello\",\"id\":\"good\"}\n");
        Self { port, said: 0 }
    }

    /// It still is heard.
    fn is_heard(&mut self, running: &Running) {
        self.said += 1;
        self.port.say(&format!("{{\"power_mw\":{}}}\n", self.said));
        let power = "device_power_consumption_mw{device_id=\"good\",platform=\"unknown\"}";
        eventually_is(running, power, f64::from(self.said));
    }
}

/// Sends bad input, then a good line, and asserts that this one is understood and that the program and the other device
/// are well. Returns the page.
fn survives(bad: &[u8]) -> String {
    let lab = Lab::new("protocol = \"json\"");
    let mut port = lab.plug("bad");
    let mut beside = Beside::new(&lab);
    let running = lab.start();
    port.say("{\"type\":\"hello\",\"id\":\"bad\"}\n");
    connected(&running, "bad");
    connected(&running, "good");
    port.send(bad);
    port.say("\n{\"power_mw\":4711}\n");
    let power = "device_power_consumption_mw{device_id=\"bad\",platform=\"unknown\"}";
    let page = eventually_is(&running, power, 4711.0);
    beside.is_heard(&running);
    assert_eq!(
        value(&page, "device_exporter_collector_success{collector=\"devices\"}"),
        Some(1.0)
    );
    page
}

#[test]
fn a_megabyte_without_an_end_of_line() {
    let page = survives(&vec![b'x'; 1 << 20]);
    assert_eq!(rejected(&page, "bad", "too_long"), 1.0);
}

#[test]
fn noise_and_nuls() {
    let mut noise = Vec::new();
    let mut state = 1_u32;
    for _ in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(state.to_be_bytes()[0]);
    }
    let page = survives(&noise);
    assert!(rejected(&page, "bad", "noise") > 10.0, "{page}");
    let page = survives(&[0; 10_000]);
    let all: f64 = ["noise", "too_long"]
        .iter()
        .map(|reason| rejected(&page, "bad", reason))
        .sum();
    assert!(all >= 1.0, "{page}");
}

#[test]
fn a_wrong_baud_rate() {
    // What a UART at half the rate makes of text: framing errors and bytes with high bits.
    let line = b"{\"power_mw\":412.5}\n";
    let garbled: Vec<u8> = line
        .iter()
        .flat_map(|byte| [byte & 0x0f | 0x80, byte >> 4 | 0xc0, 0])
        .collect();
    let page = survives(&garbled.repeat(200));
    let counted: f64 = ["noise", "too_long"]
        .iter()
        .map(|reason| rejected(&page, "bad", reason))
        .sum();
    assert!(counted >= 1.0, "{page}");
    let power = "device_power_consumption_mw{device_id=\"bad\",platform=\"unknown\"}";
    assert_eq!(value(&page, power), Some(4711.0));
}

#[test]
fn half_frames_and_numbers_that_are_none() {
    let page = survives(
        b"{\"power_mw\":12\n{\"power_mw\":1e999}\n{\"power_mw\":NaN}\n{\"power_mw\":-Infinity}\n{\"power_mw\":1,\"power_mw\":2}\n{}}\n",
    );
    assert!(rejected(&page, "bad", "malformed") >= 1.0, "{page}");
    let numbers = rejected(&page, "bad", "non_finite") + rejected(&page, "bad", "out_of_range");
    assert!(numbers >= 2.0, "{page}");
}

#[test]
fn a_boot_banner_in_the_middle_of_a_line() {
    let page =
        survives(b"{\"power_mw\":1ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n");
    let resets: f64 = page
        .lines()
        .filter(|line| line.starts_with("device_resets_total{device_id=\"bad\""))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    assert_eq!(resets, 1.0, "{page}");
}

#[test]
fn one_byte_at_a_time_and_every_end_of_line() {
    let lab = Lab::new("");
    let mut port = lab.plug("slow");
    let running = lab.start();
    port.say("{\"type\":\"hello\",\"id\":\"slow\"}\n");
    connected(&running, "slow");
    for byte in b"{\"power_mw\":1}\r\n{\"power_mw\":2}\n{\"power_mw\":3}\r{\"power_mw\":4}\r\n\n\r\n" {
        port.send(&[*byte]);
        std::thread::sleep(Duration::from_micros(300));
    }
    let page = eventually_is(&running, &of("device_frames_total", "slow"), 5.0);
    let power = "device_power_consumption_mw{device_id=\"slow\",platform=\"unknown\"}";
    assert_eq!(value(&page, power), Some(4.0), "{page}");
    let rejections: f64 = page
        .lines()
        .filter(|line| line.starts_with("device_frames_rejected_total{device_id=\"slow\""))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    assert_eq!(rejections, 0.0, "{page}");
}

#[test]
fn half_a_line_never_meets_another_device() {
    let lab = Lab::new("");
    let mut port = lab.plug("a");
    let running = lab.start();
    port.say("{\"type\":\"hello\",\"id\":\"esp-1\"}\n{\"power_mw\":1");
    connected(&running, "esp-1");
    port.unplug();
    eventually(&running, "it is gone", |page| {
        crate::lab::status(page, "esp-1") == Some(0.0)
    });
    let mut port = lab.plug("b");
    port.say("23}\n{\"type\":\"hello\",\"id\":\"esp-1\"}\n{\"power_mw\":7}\n");
    let power = "device_power_consumption_mw{device_id=\"esp-1\",platform=\"unknown\"}";
    let page = eventually_is(&running, power, 7.0);
    assert!(rejected(&page, "esp-1", "partial") >= 1.0, "{page}");
}

#[test]
fn a_flood_is_held_back_and_costs_the_others_nothing() {
    let lab = Lab::new("");
    let mut port = lab.plug("bad");
    let mut beside = Beside::new(&lab);
    let running = lab.start();
    port.say("{\"type\":\"hello\",\"id\":\"bad\"}\n");
    connected(&running, "bad");
    connected(&running, "good");
    let flood = std::thread::spawn(move || {
        let line = b"I (1) flood: nobody reads all of this\n{\"power_mw\":3}\n".repeat(20);
        let end = Instant::now() + Duration::from_secs(3);
        port.flood(&line, || Instant::now() < end);
        port
    });
    for _ in 0..5 {
        beside.is_heard(&running);
    }
    let _port = flood.join().expect("flooded");
    let page = eventually(&running, "lines that were not logged", |page| {
        value(page, &of("device_log_messages_dropped_total", "bad")).is_some_and(|dropped| dropped > 0.0)
    });
    assert!(
        value(
            &page,
            "device_log_messages_total{device_id=\"bad\",level=\"info\"}"
        )
        .is_some_and(|logs| logs > 100.0)
    );
    assert!(
        resident_kib(running.pid()) < 40 * 1024,
        "{} KiB",
        resident_kib(running.pid())
    );
}

#[test]
fn names_without_end_stop_at_the_caps() {
    let lab = Lab::new("");
    lab.configure(
        "max_series = 10\nmax_series_total = 15\n[[device]]\nport = \"ports/*\"\nprotocol = \"plotter\"\n",
    );
    let ports = [lab.plug("a"), lab.plug("b")];
    let running = lab.start();
    let names = ports.each_ref().map(|port| port.place.clone());
    for mut port in ports {
        // The port stays plugged in.
        for i in 0..300 {
            port.say(&format!("name{i}:1\n"));
        }
        std::mem::forget(port);
    }
    for name in &names {
        eventually_is(&running, &of("device_frames_total", name), 300.0);
    }
    let page = running.metrics();
    let readings = page
        .lines()
        .filter(|line| line.starts_with("device_reading{"))
        .count();
    assert_eq!(readings, 15, "{page}");
    let dropped = names
        .each_ref()
        .map(|name| value(&page, &of("device_series_dropped_total", name)).expect("a count"));
    // The first line of a connection may be the end of a longer one.
    assert!(
        dropped.iter().all(|dropped| (289.0..=295.0).contains(dropped)),
        "{dropped:?}"
    );
}

#[test]
fn a_value_that_is_not_repeated_goes() {
    let lab = Lab::new("");
    lab.configure("expire = \"1s\"\n[[device]]\nport = \"ports/*\"\n");
    let mut port = lab.plug("a");
    let running = lab.start();
    port.say("{\"type\":\"hello\",\"id\":\"esp-1\"}\n{\"power_mw\":7}\n");
    let power = "device_power_consumption_mw{device_id=\"esp-1\",platform=\"unknown\"}";
    eventually_is(&running, power, 7.0);
    let page = eventually(&running, "it is too old", |page| value(page, power).is_none());
    assert_eq!(crate::lab::status(&page, "esp-1"), Some(1.0));
}
