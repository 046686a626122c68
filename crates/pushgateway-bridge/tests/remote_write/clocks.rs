//! What the receiver's clock does to samples.

use std::time::Duration;

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
