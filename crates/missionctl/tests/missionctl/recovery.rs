//! What dies comes back; what ends is gone.

use rustix::process::Signal;

use crate::lab::{Lab, SERVICES, eventually, is_alive, kill, signal};

#[test]
fn a_killed_exporter_comes_back_by_itself_and_nothing_else_moves() {
    let lab = Lab::new();
    lab.up();
    let before = lab.pids();
    kill(before["rapl-exporter"]);
    let after = eventually("the exporter is back", || {
        let pids = lab.pids();
        let healthy = lab.run(&["status"]).code == 0;
        (healthy && pids.len() == before.len() && pids["rapl-exporter"] != before["rapl-exporter"])
            .then_some(pids)
    });
    for service in SERVICES.into_iter().filter(|service| *service != "rapl-exporter") {
        assert_eq!(after[service], before[service], "{service}");
    }
    let status = lab.status();
    let service = status["services"]
        .as_array()
        .expect("services")
        .iter()
        .find(|one| one["name"] == "rapl-exporter");
    assert_eq!(service.expect("the exporter")["restarts"], 1);
}

#[test]
fn up_recovers_from_a_killed_supervisord_and_down_leaves_no_process() {
    let lab = Lab::new();
    lab.up();
    let orphans = lab.pids();
    kill(lab.supervisord());
    eventually("supervisord is gone", || {
        (!is_alive(lab.supervisord())).then_some(())
    });
    let status = lab.run(&["status"]);
    assert_eq!(status.code, 3, "{}", status.stdout);
    assert!(
        status.stdout.contains("missionctl up recovers"),
        "{}",
        status.stdout
    );

    lab.up();
    let recovered = lab.pids();
    assert_eq!(recovered.len(), SERVICES.len());
    for (service, pid) in &orphans {
        assert!(!is_alive(*pid), "{service} of the killed supervisord still runs");
    }

    let supervisord = lab.supervisord();
    let down = lab.run(&["down"]);
    assert_eq!(down.code, 0, "{}", down.stderr);
    for (service, pid) in &recovered {
        assert!(!is_alive(*pid), "{service} still runs");
    }
    assert!(!is_alive(supervisord));
    assert_eq!(lab.run(&["status"]).code, 3);
    assert!(lab.path(".mission/data/prometheus").is_dir(), "data stays");
}

#[test]
fn down_also_stops_what_outlived_a_killed_supervisord() {
    let lab = Lab::new();
    lab.up();
    let pids = lab.pids();
    kill(lab.supervisord());
    let down = lab.run(&["down"]);
    assert_eq!(down.code, 0, "{}", down.stderr);
    for (service, pid) in &pids {
        assert!(!is_alive(*pid), "{service} still runs");
    }
    assert_eq!(lab.run(&["down"]).stdout, "nothing was running\n");
}

#[test]
fn a_supervisord_that_is_ending_is_as_good_as_gone() {
    let lab = Lab::new();
    lab.up();
    let supervisord = lab.supervisord();
    // supervisord waits for it, and answers nothing but that it is shutting down.
    signal(lab.pids()["pushgateway"], Signal::STOP);
    signal(supervisord, Signal::TERM);
    let ran = eventually("supervisord is ending", || {
        let ran = lab.run(&["status"]);
        (ran.code == 3).then_some(ran)
    });
    assert!(ran.stdout.contains("about to go"), "{}", ran.stdout);
    lab.up();
    assert_ne!(lab.supervisord(), supervisord);
}
