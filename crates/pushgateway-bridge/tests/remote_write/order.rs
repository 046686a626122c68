//! What comes first after an outage, at receivers with and without an out-of-order window.

use std::time::Duration;

use pushgateway_bridge::remote_write::Order;
use pushgateway_bridge::sample::{Metadata, Page};

use crate::lab::{Lab, eventually, expected, now_ms, page, sorted};
use crate::prometheus::Prometheus;
use crate::receiver::{Answer, Receiver};

const SERIES: usize = 25;
/// Every 15 s for three hours.
const SCRAPES: i64 = 720;

fn hours_ago() -> Vec<i64> {
    let now = now_ms();
    (0..SCRAPES)
        .map(|number| now - (SCRAPES - number) * 15_000)
        .collect()
}

/// Another host, whose samples are of now.
fn neighbour(prometheus: &Prometheus) -> Lab {
    let lab = Lab::new();
    let remote = lab.start(&prometheus.url(), |_| {});
    let mut page = Page::new();
    let labels = [("__name__", "up"), ("machine", "neighbour")];
    page.push(labels, 1.0, now_ms(), Metadata::default())
        .expect("taken");
    remote.accept(&page);
    eventually("the neighbour is there", || {
        !prometheus.samples("up{machine=\"neighbour\"}").is_empty()
    });
    remote.stop(Duration::from_secs(5));
    lab
}

#[test]
fn with_a_window_three_hours_are_caught_up_beside_what_is_fresh() {
    let (lab, mut prometheus, times) = (Lab::new(), Prometheus::new(Some("1d")), hours_ago());
    {
        // Nobody is there.
        let remote = lab.start(&prometheus.url(), |_| {});
        for at in &times {
            remote.accept(&page(SERIES, *at));
        }
        remote.stop(Duration::from_millis(10));
    }
    prometheus.start();
    neighbour(&prometheus);
    let remote = lab.start(&prometheus.url(), |_| {});
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    let now = now_ms();
    remote.accept(&page(SERIES, now));
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    let times: Vec<i64> = times.into_iter().chain([now]).collect();
    assert_eq!(prometheus.samples("lab_value"), expected(SERIES, &times));
    assert!(lab.dropped("too_old") + lab.dropped("out_of_order") + lab.dropped("rejected") < 0.5);
}

#[test]
fn without_a_window_all_is_sent_in_order_and_what_is_refused_is_counted() {
    let (lab, mut prometheus, times) = (Lab::new(), Prometheus::new(None), hours_ago());
    {
        let remote = lab.start(&prometheus.url(), |_| {});
        for at in &times {
            remote.accept(&page(SERIES, *at));
        }
        remote.stop(Duration::from_millis(10));
    }
    prometheus.start();
    neighbour(&prometheus);
    let remote = lab.start(&prometheus.url(), |_| {});
    eventually("all was sent or given up", || {
        remote.holding().oldest_ms.is_none()
    });
    let stored = prometheus.samples("lab_value");
    let kept = stored.values().next().map_or(0, Vec::len);
    // One hour before the neighbour's newest sample.
    assert!((230..=241).contains(&kept), "{kept} of {SCRAPES} scrapes");
    let newest = times.split_at(times.len() - kept).1;
    assert_eq!(stored, expected(SERIES, newest));
    let refused = (times.len() - kept) * SERIES;
    assert!(
        (lab.dropped("too_old") - refused as f64).abs() < 0.5,
        "{} for {refused}",
        lab.dropped("too_old")
    );
}

#[test]
fn fresh_samples_do_not_wait_for_the_backlog() {
    let receiver = Receiver::start(|_| Answer::Say("503 Service Unavailable", ""));
    let (lab, times) = (Lab::new(), hours_ago());
    let remote = lab.start(&receiver.url(), |settings| {
        settings.order = Order::FreshFirst;
        // A record of the backlog every tenth of a second: an age, if fresh ones had to wait for it.
        settings.backlog_rate = 10 * 25;
    });
    for at in &times {
        remote.accept(&page(SERIES, *at));
    }
    receiver.script(|_| Answer::Store);
    let has = |at: i64| {
        receiver.with(|state| {
            state
                .stored
                .values()
                .any(|samples| samples.iter().any(|sample| sample.0 == at))
        })
    };
    eventually("it is back", || receiver.stored() > 0);
    let fresh = now_ms();
    remote.accept(&page(SERIES, fresh));
    eventually("the fresh sample is there", || has(fresh));
    assert!(
        receiver.stored() < SERIES * times.len(),
        "the backlog was not waited for"
    );
    assert!(remote.holding().oldest_ms.is_some());
}

#[test]
fn in_order_nothing_goes_before_the_backlog() {
    let receiver = Receiver::start(|_| Answer::Say("503 Service Unavailable", ""));
    let (lab, times) = (Lab::new(), hours_ago());
    // What the receiver takes is not known.
    let remote = lab.start(&receiver.url(), |_| {});
    for at in &times {
        remote.accept(&page(SERIES, *at));
    }
    receiver.script(|_| Answer::Store);
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    let stored = receiver.with(|state| state.stored.clone());
    assert_eq!(stored, expected(SERIES, &times), "as they came, without sorting");
}

#[test]
fn what_is_resent_after_a_crash_is_there_once() {
    let (lab, mut prometheus) = (Lab::new(), Prometheus::new(Some("1d")));
    prometheus.start();
    let times = hours_ago();
    let remote = lab.start(&prometheus.url(), |_| {});
    for at in &times {
        remote.accept(&page(SERIES, *at));
    }
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    remote.accept(&page(SERIES, now_ms()));
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    remote.stop(Duration::from_secs(5));
    drop(remote);
    let before = prometheus.samples("lab_value");
    // As if it had been killed before it noted anything.
    let list = lab.folder.path().join("spool/acknowledged.json");
    std::fs::remove_file(list).expect("removed");
    let remote = lab.start(&prometheus.url(), |_| {});
    let next = remote.holding().next;
    assert!(next > 0);
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    assert_eq!(prometheus.samples("lab_value"), before);
    assert_eq!(sorted(before.clone()), before);
    assert!(lab.dropped("duplicate") + lab.dropped("out_of_order") < 0.5);
}
