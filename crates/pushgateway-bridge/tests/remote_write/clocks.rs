//! What the receiver's clock does to samples.

use std::time::Duration;

use pushgateway_bridge::clock::{Reading, uptime};
use pushgateway_bridge::sample::{Metadata, NAME};

use crate::lab::{Lab, eventually, now_ms, page};
use crate::receiver::{Answer, Receiver};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn samples_carry_the_receivers_time() {
    for ahead in [2 * HOUR_MS, -2 * HOUR_MS] {
        let (lab, receiver) = (Lab::new(), Receiver::start(|_| Answer::Store));
        receiver.with(|state| state.ahead = Some(ahead / 1000));
        let remote = lab.start(&receiver.url(), |_| {});
        // The empty write at the start brings the first answer.
        eventually("the clock is known", || lab.clock.skew().is_some());
        let skew = lab.clock.skew().expect("known");
        assert!(
            (skew + ahead as f64 / 1000.0).abs() < 3.0,
            "{skew} s for {ahead} ms"
        );
        let stamp = lab.clock.stamp();
        assert!((stamp - now_ms() - ahead).abs() < 5_000, "{stamp}");
        remote.accept(&page(3, stamp));
        eventually("it was sent", || receiver.stored() == 3);
    }
}

#[test]
fn what_is_ahead_of_the_receiver_waits_and_holds_nothing_up() {
    let (lab, receiver) = (Lab::new(), Receiver::start(|_| Answer::Store));
    receiver.with(|state| state.ahead = Some(0));
    let remote = lab.start(&receiver.url(), |_| {});
    remote.accept(&page(3, now_ms() + HOUR_MS));
    remote.accept(&page(3, now_ms()));
    eventually("what is of now was sent", || receiver.stored() == 3);
    remote.accept(&page(3, now_ms()));
    eventually("what is of now was sent", || receiver.stored() == 6);
    assert!(remote.holding().oldest_ms.is_some(), "the other one waits");
    // Its time comes: the receiver's clock is set.
    receiver.with(|state| state.ahead = Some(3600));
    remote.accept(&page(3, now_ms()));
    eventually("all was sent", || receiver.stored() == 12);
    eventually("nothing waits", || remote.holding().oldest_ms.is_none());
}

#[test]
fn one_sample_ahead_holds_up_none_of_its_page() {
    let (lab, receiver) = (Lab::new(), Receiver::start(|_| Answer::Store));
    let remote = lab.start(&receiver.url(), |_| {});
    let mut page = page(3, now_ms());
    // A target that gives microseconds where milliseconds belong.
    let labels = [(NAME, "wrong"), ("machine", "pc")];
    page.push(labels, 1.0, now_ms() * 1000, Metadata::default())
        .expect("taken");
    remote.accept(&page);
    eventually("the others were sent", || receiver.stored() == 3);
    eventually("it is given up", || lab.dropped("future") > 0.5);
    assert!(lab.dropped("future") < 1.5);
}

#[test]
fn nothing_is_too_old_until_the_receiver_said_what_time_it_is() {
    let lab = Lab::new();
    let remote = lab.start("http://127.0.0.1:1/api/v1/write", |settings| {
        settings.spool.age = Duration::from_millis(1);
    });
    // Each page has a segment of its own, since they are further apart than a sixteenth of the age.
    let accept_three = || {
        for _ in 0..3 {
            remote.accept(&page(3, now_ms()));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    accept_three();
    assert!(lab.dropped("age") < 0.5, "by the host's own clock alone");
    lab.clock.observe(&Reading {
        date: std::time::SystemTime::now(),
        sent: uptime(),
        received: uptime(),
    });
    accept_three();
    assert!(lab.dropped("age") > 2.5);
}

#[test]
fn what_is_a_day_ahead_is_given_up() {
    let (lab, receiver) = (Lab::new(), Receiver::start(|_| Answer::Store));
    let remote = lab.start(&receiver.url(), |_| {});
    remote.accept(&page(3, now_ms() + 48 * HOUR_MS));
    remote.accept(&page(3, now_ms()));
    eventually("what is of now was sent", || receiver.stored() == 3);
    eventually("the other one is given up", || lab.dropped("future") > 2.5);
    assert!(remote.holding().oldest_ms.is_none());
    remote.stop(Duration::from_secs(5));
}
