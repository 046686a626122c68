//! Who is there: plugging in, pulling out, other names, two with one name, ports that others hold.

use std::time::{Duration, Instant};

use exporter::testing::{Running, Signal, value};
use rustix::fs::{FlockOperation, flock};

use crate::lab::{Lab, connected, eventually, eventually_is, of, status};

/// What the issue allows for a device to be seen as gone, or as back.
const SOON: Duration = Duration::from_secs(5);
/// Beyond that a slow machine is given more.
const HELLO: &str = "{\"type\":\"hello\",\"id\":\"esp-1\",\"platform\":\"esp32\",\"firmware\":\"1.2.0\"}\n";

fn port_of(page: &str, id: &str) -> String {
    let start = format!("device_connection_status{{device_id=\"{id}\",");
    let line = page
        .lines()
        .find(|line| line.starts_with(&start))
        .expect("a status");
    let (_, rest) = line.split_once("port=\"").expect("a port");
    rest.split('"').next().expect("a value").to_owned()
}

fn devices(page: &str) -> usize {
    let lines = page.lines();
    lines
        .filter(|line| line.starts_with("device_connection_status{"))
        .count()
}

#[test]
fn a_device_keeps_its_name_and_counters_on_another_port() {
    let lab = Lab::new("");
    let mut port = lab.plug("usb-a");
    let running = lab.start();
    port.say(HELLO);
    port.say("{\"temperature_c\":41.5}\n");
    let page = connected(&running, "esp-1");
    assert_eq!(port_of(&page, "esp-1"), port.name);
    let temperature = "device_temperature_celsius{device_id=\"esp-1\",platform=\"esp32\"";
    eventually(&running, "a temperature", |page| page.contains(temperature));
    // Another port is taken first, so that the device comes back under another name.
    let other = lab.plug("usb-b");
    let page = connected(&running, &other.place);
    let frames = value(&page, &of("device_frames_total", "esp-1")).expect("frames");

    let pulled = Instant::now();
    let first_name = port.name.clone();
    let (held, held_name) = crate::lab::pty();
    port.unplug();
    let page = eventually(&running, "it is gone", |page| status(page, "esp-1") == Some(0.0));
    let gone_after = pulled.elapsed();
    assert_eq!(port_of(&page, "esp-1"), first_name);
    assert!(
        !page.contains(temperature),
        "the last value of a device that is gone:\n{page}"
    );

    let plugged = Instant::now();
    let mut port = lab.plug("usb-c");
    port.say(HELLO);
    let page = connected(&running, "esp-1");
    let back_after = plugged.elapsed();
    println!("gone after {gone_after:?}, back after {back_after:?} ({held_name} was held)");
    assert_eq!(port_of(&page, "esp-1"), port.name);
    assert_eq!(value(&page, &of("device_reconnects_total", "esp-1")), Some(1.0));
    let page = eventually(&running, "its hello", |page| {
        value(page, &of("device_frames_total", "esp-1")) == Some(frames + 1.0)
    });
    assert_eq!(status(&page, &other.place), Some(1.0), "the other one");
    let last_seen = of("device_last_seen_timestamp_seconds", &other.place);
    assert_eq!(
        value(&page, &last_seen),
        None,
        "nobody is there to be silent:\n{page}"
    );
    drop(held);
    // A machine that takes a minute for a page proves nothing about five seconds.
    let scrape = Instant::now();
    running.metrics();
    if scrape.elapsed() < Duration::from_millis(200) {
        assert!(
            gone_after < SOON && back_after < SOON,
            "{gone_after:?}, {back_after:?}"
        );
    }
}

#[test]
fn a_device_without_an_id_is_known_by_its_adapter() {
    let lab = Lab::new("platform = \"stm32\"");
    let port = lab.plug("usb-a");
    lab.adapter(&port, "1-1.2", Some("A50285BI"));
    let running = lab.start();
    let page = connected(&running, "A50285BI");
    assert!(page.contains("platform=\"stm32\""), "{page}");
    assert!(page.contains("device_info{device_id=\"A50285BI\",platform=\"stm32\",firmware_version=\"\",usb_serial=\"A50285BI\"} 1"), "{page}");
    port.unplug();
    eventually(&running, "it is gone", |page| {
        status(page, "A50285BI") == Some(0.0)
    });
    let port = lab.plug("usb-b");
    lab.adapter(&port, "1-4", Some("A50285BI"));
    let page = connected(&running, "A50285BI");
    assert_eq!(port_of(&page, "A50285BI"), port.name);
}

#[test]
fn without_a_serial_number_the_place_is_the_name() {
    let lab = Lab::new("");
    let port = lab.plug("usb-a");
    lab.adapter(&port, "1-1.3", Some("0001"));
    let running = lab.start();
    connected(&running, "usb-1-1.3:1.0");
}

#[test]
fn a_reported_id_takes_over_and_nothing_is_counted_twice_or_lost() {
    let lab = Lab::new("");
    let mut port = lab.plug("usb-a");
    lab.adapter(&port, "1-1.2", Some("A50285BI"));
    let running = lab.start();
    port.say("{\"temperature_c\":40}\n{\"temperature_c\":41}\n");
    connected(&running, "A50285BI");
    eventually_is(&running, &of("device_frames_total", "A50285BI"), 2.0);
    port.say(HELLO);
    let page = connected(&running, "esp-1");
    assert_eq!(value(&page, &of("device_frames_total", "esp-1")), Some(3.0));
    assert_eq!(
        status(&page, "A50285BI"),
        None,
        "two names for one device:\n{page}"
    );
    assert!(!page.contains("device_id=\"A50285BI\""), "{page}");
    // Plugged in again it is known by its adapter at once, before it says a word.
    port.unplug();
    eventually(&running, "it is gone", |page| status(page, "esp-1") == Some(0.0));
    let port = lab.plug("usb-b");
    lab.adapter(&port, "1-4", Some("A50285BI"));
    let page = connected(&running, "esp-1");
    assert_eq!(status(&page, "A50285BI"), None);
}

#[test]
fn two_devices_with_one_id_are_told_apart() {
    let lab = Lab::new("");
    let mut first = lab.plug("usb-a");
    let running = lab.start();
    first.say(HELLO);
    connected(&running, "esp-1");
    let mut second = lab.plug("usb-b");
    second.say(HELLO);
    second.say("{\"power_mw\":120}\n");
    let other = format!("esp-1@{}", second.place);
    let page = connected(&running, &other);
    assert_eq!(value(&page, "device_id_conflicts"), Some(1.0));
    eventually(&running, "its power", |page| {
        page.contains(&format!("device_power_consumption_mw{{device_id=\"{other}\""))
    });
    assert_eq!(status(&page, "esp-1"), Some(1.0));
    first.say("{\"power_mw\":80}\n");
    eventually_is(
        &running,
        "device_power_consumption_mw{device_id=\"esp-1\",platform=\"esp32\"}",
        80.0,
    );
    first.unplug();
    eventually(&running, "the first is gone", |page| {
        status(page, "esp-1") == Some(0.0)
    });
    let page = running.metrics();
    assert_eq!(status(&page, &other), Some(1.0));
    second.unplug();
    eventually_is(&running, "device_ports_open", 0.0);
}

#[test]
fn a_link_names_the_place_of_a_device_that_has_no_other_name() {
    let lab = Lab::new("");
    lab.configure("[[device]]\nport = \"ports/usb-a\"\n");
    let mut port = lab.plug("usb-a");
    let running = lab.start();
    port.say("up\n");
    let page = connected(&running, &port.place);
    let first_name = port_of(&page, &port.place);
    assert_eq!(first_name, port.name);
    // Another port is taken first, so that the device comes back on another node.
    let (_held, _) = crate::lab::pty();
    port.unplug();
    let mut port = lab.plug("usb-a");
    port.say("up\n");
    let page = eventually(&running, "it is back", |page| {
        status(page, &port.place) == Some(1.0) && port_of(page, &port.place) == port.name
    });
    assert_eq!(devices(&page), 1, "{page}");
    assert_ne!(port.name, first_name);
    // With its next firmware it says who it is: what it was called before is not missed.
    port.unplug();
    eventually_is(&running, "device_ports_open", 0.0);
    let mut port = lab.plug("usb-a");
    port.say(HELLO);
    let page = connected(&running, "esp-1");
    assert_eq!(devices(&page), 1, "{page}");
}

#[test]
fn two_devices_that_change_places_keep_their_names() {
    let lab = Lab::new("");
    let (mut first, mut second) = (lab.plug("usb-a"), lab.plug("usb-b"));
    let running = lab.start();
    let other = HELLO.replace("esp-1", "esp-2");
    first.say(HELLO);
    second.say(&other);
    connected(&running, "esp-1");
    connected(&running, "esp-2");
    // Their adapters stay where they are, and one says so before the other.
    first.say(&other);
    eventually_is(&running, "device_id_conflicts", 1.0);
    second.say(HELLO);
    let page = connected(&running, "esp-1");
    assert_eq!(port_of(&page, "esp-1"), second.name);
    first.say(&other);
    let page = eventually_is(&running, "device_id_conflicts", 0.0);
    assert_eq!(status(&page, "esp-2"), Some(1.0));
    assert_eq!(port_of(&page, "esp-2"), first.name);
    assert_eq!(devices(&page), 2, "{page}");
}

#[test]
fn another_device_on_the_same_adapter_is_another_device() {
    let lab = Lab::new("");
    let mut port = lab.plug("usb-a");
    lab.adapter(&port, "1-1.2", Some("A50285BI"));
    let running = lab.start();
    port.say(HELLO);
    connected(&running, "esp-1");
    port.say(&HELLO.replace("esp-1", "esp-2"));
    let page = connected(&running, "esp-2");
    assert_eq!(status(&page, "esp-1"), Some(0.0));
    // A device that makes up ids without end does not push others out.
    for i in 3..100 {
        port.say(&HELLO.replace("esp-1", &format!("esp-{i}")));
    }
    port.say("{\"power_mw\":1}\n");
    eventually(&running, "its power", |page| {
        page.contains("device_power_consumption_mw{")
    });
    let page = running.metrics();
    // Eight, and one more for each minute that this took.
    let names = devices(&page);
    assert!((8..12).contains(&names), "{page}");
}

#[test]
fn a_port_that_another_program_holds_is_said_and_taken_when_it_is_free() {
    let lab = Lab::new("");
    let port = lab.plug("usb-a");
    let holder = std::fs::File::open(format!("/dev/{}", port.name)).expect("open");
    flock(&holder, FlockOperation::LockExclusive).expect("lock");
    let running = lab.start();
    let blocked = format!("device_port_blocked{{port=\"{}\",reason=\"busy\"}}", port.name);
    eventually_is(&running, &blocked, 1.0);
    drop(holder);
    let page = connected(&running, &port.place);
    assert_eq!(value(&page, &blocked), None);
}

#[test]
fn a_port_that_is_named_is_missed_until_it_is_there() {
    let lab = Lab::new("");
    let path = lab.path("ports/usb-a");
    let config = |id: &str| {
        format!(
            "[[device]]\nport = \"{}\"\nplatform = \"esp32\"\n{id}",
            path.display()
        )
    };
    lab.configure(&config("id = \"bench\""));
    let running = lab.start();
    eventually(&running, "it is missed", |page| {
        status(page, "bench") == Some(0.0)
    });
    let mut port = lab.plug("usb-a");
    let page = connected(&running, "bench");
    assert_eq!(port_of(&page, "bench"), port.name);
    port.say(HELLO);
    eventually_is(&running, &of("device_frames_total", "bench"), 1.0);
    assert_eq!(
        status(&running.metrics(), "esp-1"),
        None,
        "the configuration's word counts"
    );
    // Under another name it is not missed under its first.
    lab.configure(&config("id = \"shelf\""));
    running.signal(Signal::HUP);
    let page = connected(&running, "shelf");
    assert_eq!(devices(&page), 1, "{page}");
    lab.configure(&config("id = \"bench\""));
    drop(running);
    let running = lab.start();
    let page = connected(&running, "bench");
    assert_eq!(devices(&page), 1, "{page}");
    // The same port without an id in the configuration: one device, under its own name, and nobody is missed.
    lab.configure(&config(""));
    running.signal(Signal::HUP);
    eventually(&running, "reopened", |page| status(page, "bench") != Some(1.0));
    port.say(HELLO);
    let page = connected(&running, "esp-1");
    assert_eq!(status(&page, path.to_str().expect("UTF-8")), None, "{page}");
}

#[test]
fn a_port_that_is_not_named_any_more_is_not_missed() {
    let lab = Lab::new("");
    let named = "[[device]]\nport = \"ports/usb-a\"\n";
    lab.configure(&format!("{named}[[device]]\nport = \"ports/usb-*\"\n"));
    let (mut retired, mut kept) = (lab.plug("usb-a"), lab.plug("usb-b"));
    let running = lab.start();
    retired.say(HELLO);
    kept.say(&HELLO.replace("esp-1", "esp-2"));
    connected(&running, "esp-1");
    connected(&running, "esp-2");
    retired.unplug();
    eventually(&running, "it is gone", |page| status(page, "esp-1") == Some(0.0));
    lab.configure("[[device]]\nport = \"ports/usb-*\"\n");
    running.signal(Signal::HUP);
    let page = eventually(&running, "nobody misses it", |page| {
        status(page, "esp-1").is_none()
    });
    assert_eq!(status(&page, "esp-2"), Some(1.0));
}

#[test]
fn a_reload_leaves_alone_what_does_not_change() {
    let lab = Lab::new("");
    let kept = lab.plug("usb-a");
    let dropped = lab.plug("acm-b");
    let running = lab.start();
    connected(&running, &kept.place);
    connected(&running, &dropped.place);
    // Of two rules for one port the first holds.
    lab.configure("[[device]]\nport = \"ports/usb-*\"\n");
    std::fs::write(lab.path("bad.toml"), "x").expect("write");
    running.signal(Signal::HUP);
    eventually(&running, "it is not watched any more", |page| {
        status(page, &dropped.place).is_none()
    });
    // A bad file changes nothing.
    lab.configure("[[device]]\nport = 1\n");
    running.signal(Signal::HUP);
    let page = eventually_is(&running, "device_exporter_config_last_reload_successful", 0.0);
    assert_eq!(status(&page, &kept.place), Some(1.0));
    lab.configure("device = []\n");
    running.signal(Signal::HUP);
    let page = eventually_is(&running, "device_ports_open", 0.0);
    assert_eq!(value(&page, "device_ports_configured"), Some(0.0));
    assert_eq!(status(&page, &kept.place), None);
}

#[test]
fn what_is_known_of_devices_outlives_the_exporter() {
    let lab = Lab::new("");
    let mut port = lab.plug("usb-a");
    lab.adapter(&port, "1-1.2", Some("A50285BI"));
    let mut gone = lab.plug("usb-b");
    let mut running = lab.start();
    port.say(HELLO);
    gone.say(&HELLO.replace("esp-1", "esp-2"));
    connected(&running, "esp-1");
    connected(&running, "esp-2");
    let file = lab.path("data/devices.json");
    let is_written = |what: &str| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(what));
    eventually(&running, "written", |_| {
        is_written("esp-1") && is_written("esp-2")
    });
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(0));
    gone.unplug();
    let running: Running = lab.start();
    let page = connected(&running, "esp-1");
    assert!(
        page.contains("device_info{device_id=\"esp-1\",platform=\"esp32\",firmware_version=\"1.2.0\""),
        "{page}"
    );
    assert_eq!(status(&page, "esp-2"), Some(0.0), "it went away meanwhile");
    assert_eq!(value(&page, &of("device_reconnects_total", "esp-1")), Some(0.0));
    drop(running);
    std::fs::write(&file, "{ torn").expect("write");
    let running = lab.start();
    connected(&running, "A50285BI");
}

#[test]
fn with_nothing_to_watch_it_is_healthy() {
    let lab = Lab::new("");
    lab.configure("device = []");
    let running = lab.start();
    assert_eq!(running.get("/readyz").status, 200);
    let page = running.metrics();
    assert_eq!(
        value(&page, "device_exporter_collector_success{collector=\"devices\"}"),
        Some(1.0)
    );
    assert_eq!(value(&page, "device_ports_configured"), Some(0.0));
    assert_eq!(value(&page, "profiling_sessions_active"), Some(0.0));
}

#[test]
fn a_configuration_is_checked_without_opening_anything() {
    let lab = Lab::new("");
    let output = lab.run(&["--config.check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    lab.configure("[[device]]\nport = \"ports/*\"\nid = \"x\"");
    let output = lab.run(&["--config.check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        log.contains("devices.toml:1") && log.contains("may match several ports"),
        "{log}"
    );
}
