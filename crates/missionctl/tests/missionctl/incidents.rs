//! What breaks on the watched machine, and who hears of it: real processes die, the real rules fire, and the real
//! Alertmanager delivers. Only the times in the rules and routes are shortened.

use rustix::process::{Pid, Signal, kill_process};
use supervisor::testing::Supervisord;

use crate::lab::{Lab, eventually, kill};
use crate::receiver::Receiver;

/// Two workers that nothing but the test starts again.
const WORKERS: &str = "[program:worker_embed]\ncommand=sleep 1000000\nautorestart=false\n\
                       [program:worker_index]\ncommand=sleep 1000000\nautorestart=false\n";

/// A stack in a hurry, with a webhook, that watches the workers.
fn watching(workers: &Supervisord, receiver: &Receiver) -> Lab {
    let lab = Lab::new();
    lab.hurry(&["prometheus/rules/workers.yml", "prometheus/rules/stack.yml"]);
    lab.write_secret("secrets/webhook", &receiver.url("/hook"), 0o600);
    let more = format!(
        "\n[workers]\nsupervisor = [\"{}\"]\nmatch = \"worker_*\"\n\n[notify.webhook]\nurl_file = \"secrets/webhook\"\n",
        workers.url()
    );
    lab.write("mission.toml", &(lab.inventory() + &more));
    lab.up();
    lab
}

#[test]
fn a_killed_worker_is_reported_and_counted_and_its_return_too() {
    let workers = Supervisord::start(WORKERS);
    let receiver = Receiver::answering("200 OK", "ok");
    let lab = watching(&workers, &receiver);
    let embed = workers.wait_for("worker_embed", |info| info.pid.is_some());
    eventually("both workers are up", || {
        (lab.value("sum(brain_worker_status{worker=~\"worker_.+\"})") == Some(2.0)).then_some(())
    });
    kill(u64::from(embed.pid.expect("a pid")));

    let worker = ("worker", "worker_embed");
    let alert = eventually("WorkerDown reaches the webhook", || {
        receiver.heard("firing", "WorkerDown", worker)
    });
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["labels"]["machine"], "bench");
    let description = alert["annotations"]["description"]
        .as_str()
        .expect("a description");
    assert!(description.contains("EXITED"), "{description}");
    let killed = "brain_worker_exits_total{worker=\"worker_embed\",reason=\"sigkill\"}";
    assert_eq!(lab.value(killed), Some(1.0));
    assert_eq!(
        lab.value("brain_worker_last_exit_code{worker=\"worker_embed\"}"),
        Some(137.0)
    );
    assert_eq!(
        lab.value("brain_worker_restart_count{worker=\"worker_embed\"}"),
        Some(0.0)
    );
    assert_eq!(
        lab.value("brain_worker_status{worker=\"worker_index\"}"),
        Some(1.0)
    );

    workers
        .call(async |client| client.start_process("worker_embed", true).await)
        .expect("start it again");
    eventually("its return reaches the webhook", || {
        receiver.heard("resolved", "WorkerDown", worker)
    });
    eventually("the restart is counted", || {
        (lab.value("brain_worker_restart_count{worker=\"worker_embed\"}") == Some(1.0)).then_some(())
    });
    assert!(
        receiver
            .heard("firing", "WorkerDown", ("worker", "worker_index"))
            .is_none()
    );
}

#[test]
fn an_exporter_that_hangs_is_reported_and_nothing_else_is() {
    let workers = Supervisord::start(WORKERS);
    let receiver = Receiver::answering("200 OK", "ok");
    let lab = watching(&workers, &receiver);
    let rapl = i32::try_from(lab.pids()["rapl-exporter"])
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    kill_process(rapl, Signal::STOP).expect("stop it");

    let job = ("job", "rapl-exporter");
    let alert = eventually("ExporterDown reaches the webhook", || {
        receiver.heard("firing", "ExporterDown", job)
    });
    assert_eq!(alert["labels"]["severity"], "high");
    assert_eq!(alert["labels"]["machine"], "bench");
    for untouched in ["node-exporter", "worker-exporter"] {
        assert!(
            receiver
                .heard("firing", "ExporterDown", ("job", untouched))
                .is_none(),
            "{untouched}"
        );
        assert_eq!(
            lab.value(&format!("up{{job=\"{untouched}\"}}")),
            Some(1.0),
            "{untouched}"
        );
    }
    kill_process(rapl, Signal::CONT).expect("let it go on");
    eventually("its return reaches the webhook", || {
        receiver.heard("resolved", "ExporterDown", job)
    });
}
