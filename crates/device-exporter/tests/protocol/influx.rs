//! Influx line protocol.

use device_exporter::protocol::{Event, Protocol, Reason};

use super::{hear, label, memory, reading, reasons, temperature};

/// Events after the first line, which may be half a line.
fn influx(text: &str) -> Vec<Event> {
    let batch = hear(
        Some(Protocol::Influx),
        format!("first value=1\n{text}\n").as_bytes(),
    );
    let reasons: Vec<Reason> = batch
        .rejections
        .iter()
        .map(|rejection| rejection.reason)
        .collect();
    assert_eq!(reasons, [Reason::Partial]);
    batch.events
}

#[test]
fn fields_are_values_and_strings_are_not() {
    assert_eq!(
        influx(
            "air pressure=1013.25,count=4i,up=5u,on=t,off=FALSE,name=\"a, b=\\\"c\\\"\" 1700000000000000000"
        ),
        [
            reading("air_pressure", 1013.25),
            reading("air_count", 4.0),
            reading("air_up", 5.0),
            reading("air_on", 1.0),
            reading("air_off", 0.0),
        ]
    );
    assert_eq!(influx("rssi value=-61"), [reading("rssi", -61.0)]);
}

#[test]
fn tags_tell_series_apart_unless_they_name_the_device() {
    assert_eq!(
        influx("task,core=0,host=esp stack=512i"),
        [reading("task_stack,core=0", 512.0)]
    );
    assert_eq!(influx("task,core=1 value=3"), [reading("task,core=1", 3.0)]);
    let volts = Event::Reading {
        name: label("battery"),
        unit: Some(label("volts")),
        value: 3.7,
    };
    assert_eq!(influx("battery,unit=volts,device_id=7 value=3.7"), [volts]);
}

#[test]
fn known_names_are_known_here_too() {
    assert_eq!(influx("cpu value=41"), [Event::Cpu { percent: 41.0 }]);
    assert_eq!(influx("power_mw value=7"), [Event::Power { milliwatts: 7.0 }]);
    assert_eq!(
        influx("temperature,location=die value=48"),
        [temperature("die", 48.0)]
    );
    assert_eq!(influx("temperature value=20"), [temperature("board", 20.0)]);
    let memories = [memory("sram", Some(5.0), None), memory("sram", None, Some(9.0))];
    assert_eq!(influx("memory,type=sram used=5i,total=9i"), memories);
}

#[test]
fn escapes_are_read() {
    assert_eq!(
        influx("a\\ b\\,c,k\\=1=v\\ 2 x\\=y=1"),
        [reading("a b,c_x=y,k=1=v 2", 1.0)]
    );
}

#[test]
fn text_is_not_a_point() {
    for (text, reason) in [
        ("hello", Reason::Unknown),
        ("cpu", Reason::Unknown),
        ("a=1", Reason::Malformed),
        ("cpu value=", Reason::Malformed),
        ("cpu =1", Reason::Malformed),
        ("cpu value=x", Reason::Malformed),
        ("cpu value=1,", Reason::Malformed),
        ("cpu,tag value=1", Reason::Malformed),
        ("cpu value=\"open", Reason::Malformed),
        ("cpu value=1 yesterday", Reason::Malformed),
        ("cpu value=nan", Reason::NonFinite),
        ("cpu value=900", Reason::OutOfRange),
    ] {
        assert_eq!(
            reasons(Some(Protocol::Influx), &format!("{text}\n")),
            [reason],
            "{text}"
        );
    }
}
