//! Receivers that refuse, fail, hang, cut off their answers, or know only version 1.0.

use std::time::Duration;

use crate::lab::{Lab, eventually, expected, now_ms, page, sorted};
use crate::receiver::{Answer, Receiver};

const SERIES: usize = 40;

/// The times of so many scrapes up to now.
fn times(count: i64) -> Vec<i64> {
    let now = now_ms();
    (0..count).map(|number| now - (count - number) * 1000).collect()
}

/// Brings pages of these times away, and waits until nothing waits.
fn bring(lab: &Lab, receiver: &Receiver, times: &[i64]) {
    let remote = lab.start(&receiver.url(), |settings| {
        settings.http.timeout = Duration::from_secs(2);
    });
    for at in times {
        remote.accept(&page(SERIES, *at));
    }
    eventually("all was sent", || remote.holding().oldest_ms.is_none());
    remote.stop(Duration::from_secs(5));
}

#[test]
fn a_receiver_of_version_2_gets_everything_once() {
    let (lab, receiver, times) = (Lab::new(), Receiver::start(|_| Answer::Store), times(20));
    bring(&lab, &receiver, &times);
    assert_eq!(
        receiver.with(|state| state.stored.clone()),
        expected(SERIES, &times)
    );
    assert!(receiver.with(|state| state.requests.iter().all(|request| request.version == 2)));
    assert!(receiver.with(|state| {
        state
            .requests
            .iter()
            .all(|request| request.path == "/api/v1/write")
    }));
}

#[test]
fn a_page_of_many_series_goes_out_in_parts() {
    let (lab, receiver) = (Lab::new(), Receiver::start(|_| Answer::Store));
    let remote = lab.start(&receiver.url(), |_| {});
    let at = now_ms();
    remote.accept(&page(25_000, at));
    eventually("all was sent", || receiver.stored() == 25_000);
    assert_eq!(
        receiver.with(|state| state.stored.clone()),
        expected(25_000, &[at])
    );
    let largest = receiver.with(|state| state.requests.iter().map(|request| request.series.len()).max());
    assert!(largest <= Some(10_000), "{largest:?}");
}

#[test]
fn each_attempt_to_reach_a_receiver_that_is_away_is_counted() {
    let lab = Lab::new();
    let _remote = lab.start("http://127.0.0.1:1/api/v1/write", |_| {});
    eventually("it was tried again", || {
        lab.count("bridge_push_total{outcome=\"unavailable\"}") > 1.5
    });
}

#[test]
fn who_ignores_version_2_gets_version_1() {
    for answer in [
        Answer::Say("415 Unsupported Media Type", ""),
        // Read as version 1.0, and so as empty: 2xx without what was written.
        Answer::Say("204 No Content", ""),
    ] {
        let receiver = Receiver::start(move |request| {
            if request.version == 2 {
                answer.clone()
            } else {
                Answer::Store
            }
        });
        let (lab, times) = (Lab::new(), times(20));
        bring(&lab, &receiver, &times);
        assert_eq!(
            receiver.with(|state| state.stored.clone()),
            expected(SERIES, &times)
        );
        let of_version_2 = receiver.with(|state| {
            state
                .requests
                .iter()
                .filter(|request| request.version == 2)
                .count()
        });
        assert_eq!(of_version_2, 1, "asked once");
    }
}

#[test]
fn one_bad_series_costs_only_itself() {
    for version in [1, 2] {
        let receiver = Receiver::start(move |request| match request.version {
            2 if version == 1 => Answer::Say("415 Unsupported Media Type", ""),
            _ => Answer::Refuse("series=7"),
        });
        let (lab, times) = (Lab::new(), times(5));
        bring(&lab, &receiver, &times);
        let mut expected = expected(SERIES, &times);
        expected.remove("__name__=lab_value,machine=pc,series=7");
        assert_eq!(
            sorted(receiver.with(|state| state.stored.clone())),
            expected,
            "version {version}"
        );
        assert!(
            (lab.dropped("rejected") - 5.0).abs() < 0.5,
            "version {version}: {}",
            lab.dropped("rejected")
        );
    }
}

#[test]
fn errors_of_the_receiver_cost_nothing() {
    for head in [
        "500 Internal Server Error",
        "503 Service Unavailable\r\nRetry-After: 1",
        "429 Too Many Requests",
        "401 Unauthorized",
        "404 Not Found",
        "302 Found\r\nLocation: /login",
    ] {
        let mut failures = 6;
        let receiver = Receiver::start(move |_| {
            failures -= 1;
            if failures >= 0 {
                Answer::Say(head, "not now")
            } else {
                Answer::Store
            }
        });
        let (lab, times) = (Lab::new(), times(10));
        bring(&lab, &receiver, &times);
        assert_eq!(
            receiver.with(|state| state.stored.clone()),
            expected(SERIES, &times),
            "{head}"
        );
    }
}

#[test]
fn a_cut_answer_means_that_it_is_sent_again() {
    let mut cuts = 3;
    let receiver = Receiver::start(move |_| {
        cuts -= 1;
        if cuts >= 0 { Answer::Cut } else { Answer::Store }
    });
    let (lab, times) = (Lab::new(), times(10));
    bring(&lab, &receiver, &times);
    let mut stored = sorted(receiver.with(|state| state.stored.clone()));
    stored.values_mut().for_each(Vec::dedup);
    assert_eq!(stored, expected(SERIES, &times));
}

#[test]
fn a_hanging_receiver_costs_nothing() {
    let mut hangs = 2;
    let receiver = Receiver::start(move |_| {
        hangs -= 1;
        if hangs >= 0 { Answer::Hang } else { Answer::Store }
    });
    let (lab, times) = (Lab::new(), times(10));
    bring(&lab, &receiver, &times);
    assert_eq!(
        receiver.with(|state| state.stored.clone()),
        expected(SERIES, &times)
    );
}

#[test]
fn what_is_too_much_at_once_goes_out_in_parts() {
    let receiver = Receiver::start(|request| {
        if request.series.values().map(Vec::len).sum::<usize>() > 15 {
            Answer::Say("413 Content Too Large", "")
        } else {
            Answer::Store
        }
    });
    let (lab, times) = (Lab::new(), times(10));
    bring(&lab, &receiver, &times);
    assert_eq!(
        receiver.with(|state| state.stored.clone()),
        expected(SERIES, &times)
    );
}

#[test]
fn who_refuses_everything_is_no_receiver() {
    let receiver = Receiver::start(|_| Answer::Say("400 Bad Request", "what is this?"));
    let lab = Lab::new();
    let remote = lab.start(&receiver.url(), |_| {});
    // The empty write was taken, so that this is about the data.
    let times = times(1);
    remote.accept(&page(3, times[0]));
    eventually("the samples are given up", || lab.dropped("rejected") > 2.5);
    drop(remote);

    // Nothing is taken here, not even nothing.
    let nothing = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", nothing.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in nothing.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let lab = Lab::new();
    let remote = lab.start(&url, |_| {});
    remote.accept(&page(3, now_ms()));
    eventually("it was tried several times", || {
        lab.count("bridge_push_total{outcome=\"rejected\"}") > 2.5
    });
    assert!(lab.dropped("rejected") < 0.5);
    assert!(remote.holding().oldest_ms.is_some());
}
