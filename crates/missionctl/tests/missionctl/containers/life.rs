//! The core profile in real containers, from the first `up` to `down`.

use serde_json::Value;

use super::host::Host;
use super::lab::{Lab, docker};
use crate::exporters::{QUERIES, address, brain};
use crate::lab::{Ran, eventually, kill};
use crate::postgres::PASSWORD;
use crate::receiver::Receiver;

const MACHINE: &str = "[[machine]]\nname = \"bench\"\naddress = \"localhost\"\n\
     exporters = [\"node\", \"rapl\", \"gpu\", \"worker\"]\n";

/// Everything that the distribution has a program for.
const RUNNING: [&str; 15] = [
    "alertmanager",
    "blackbox-exporter",
    "device-exporter",
    "gpu-exporter",
    "lancedb-exporter",
    "node-exporter",
    "postgres-exporter",
    "prometheus",
    "pushgateway",
    "pushgateway-bridge",
    "rapl-exporter",
    "sql-exporter",
    "training-exporter",
    "victoria-metrics",
    "worker-exporter",
];

const METRICS: &str = "{\"phase\": \"phase3\", \"loss\": 0.5, \"step\": 7}";

/// The whole life of one stack, in one test: starting it is what takes long.
#[test]
fn the_core_profile_comes_up_lives_and_goes() {
    let host = Host::start();
    let lab = Lab::new("extras = [\"longterm\"]", "");
    let receiver = Receiver::listening("0.0.0.0", "200 OK", "");
    let hook = format!("http://127.0.0.1:{}/hook", receiver.port);
    lab.write_secret("secrets/hook", &hook);
    lab.write_secret("secrets/postgres", PASSWORD);
    lab.write_secret("secrets/shop", &address(host.postgres_port(), PASSWORD));
    lab.write("shop.toml", QUERIES);
    lab.write("training/latest_metrics.json", METRICS);
    lab.write("training/result.json", "{\"performance\": 0.8, \"samples\": 20}");
    let rest = format!(
        "{MACHINE}\n[[probe]]\nname = \"alerting\"\nurl = \"http://localhost:{}/-/ready\"\n\n\
         [postgres]\naddress = \"localhost:{}\"\nuser = \"watcher\"\npassword_file = \"secrets/postgres\"\n\n\
         [lancedb]\npath = \"{}\"\n\n\
         [[sql]]\npack = \"shop.toml\"\ndsn_file = \"secrets/shop\"\n\n\
         [workers]\nsupervisor = [\"unix://{}\"]\ndocker = [\"{}-rapl-exporter-*\"]\n\n\
         [training]\nmetrics = \"training/latest_metrics.json\"\n\
         canary = {{ results = \"training/result.json\" }}\n\n\
         [[device]]\nport = \"tcp://localhost:{}\"\n\n\
         [bridge]\nremote_write = \"http://localhost:{}/api/v1/write\"\ninterval = \"1s\"\n\n\
         [notify.webhook]\nurl_file = \"secrets/hook\"\n",
        lab.ports["alertmanager"],
        host.postgres_port(),
        brain(),
        host.supervisor_socket().display(),
        lab.project(),
        host.board_port(),
        lab.ports["victoria-metrics"],
    );
    lab.write("mission.toml", &lab.inventory("extras = [\"longterm\"]", &rest));

    let ran = lab.up();
    assert!(
        ran.stderr
            .contains("grafana is left out, so there are no dashboards"),
        "{}",
        ran.stderr
    );
    let containers = lab.containers();
    assert_eq!(containers.keys().collect::<Vec<_>>(), RUNNING);
    everything_is_scraped(&lab);
    what_is_on_the_machine_is_seen(&lab);
    nobody_has_more_rights_than_said(&lab);
    an_alert_is_delivered(&lab, &receiver);
    only_what_changed_is_touched(&lab, &rest);
    // Prometheus has been told to read its configuration again by then.
    a_killed_container_comes_back(&lab, "prometheus");
    docker_compose_agrees(&lab);

    // Containers whose engine is away come back with it: nothing is started beside them.
    let native = lab
        .inventory("", MACHINE)
        .replace("backend = \"docker\"", "backend = \"native\"");
    lab.write("mission.toml", &native);
    let away = lab
        .command(&["up"])
        .env("DOCKER_HOST", "unix:///nowhere")
        .output();
    let away = Ran::of(away.expect("run missionctl"));
    assert_eq!(away.code, 1);
    assert!(
        away.stderr
            .contains("the services run as containers, and no container engine"),
        "{}",
        away.stderr
    );
    let other = lab.run(&["up"]);
    assert!(
        other.stderr.contains("run missionctl down first"),
        "{}",
        other.stderr
    );

    // Also where nobody has written down what runs.
    std::fs::remove_file(lab.path(".mission/state.json")).expect("remove");
    assert!(lab.run(&["status"]).stdout.contains("prometheus"));
    let gone = lab.run(&["down"]);
    assert_eq!(gone.code, 0, "{}", gone.stderr);
    assert!(lab.containers().is_empty());
    assert!(lab.labelled("network").is_empty());
    assert!(
        lab.labelled("volume")
            .iter()
            .any(|name| name.ends_with("prometheus-data"))
    );
    assert_eq!(lab.run(&["status"]).code, 3);
    assert!(lab.run(&["down"]).stdout.contains("nothing was running"));
}

fn everything_is_scraped(lab: &Lab) {
    let targets = lab
        .get("prometheus", "/api/v1/targets?state=active")
        .expect("targets");
    let targets = targets["data"]["activeTargets"].as_array().expect("a list");
    let down: Vec<&Value> = targets.iter().filter(|target| target["health"] != "up").collect();
    assert!(down.is_empty(), "{down:?}");
    let jobs: std::collections::BTreeSet<&str> = targets
        .iter()
        .filter_map(|target| target["labels"]["job"].as_str())
        .collect();
    for job in RUNNING.into_iter().chain(["probe"]) {
        assert!(jobs.contains(job), "{job} is not among {jobs:?}");
    }
    assert!(
        targets
            .iter()
            .all(|target| target["labels"]["machine"] == "bench")
    );
}

fn what_is_on_the_machine_is_seen(lab: &Lab) {
    let value = |expression: &str| {
        let path = format!("/api/v1/query?query={expression}");
        let answer = lab.get("prometheus", &path)?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse::<f64>()
            .ok()
    };
    for expression in [
        "probe_success",
        "pg_up",
        "gpu_expected_count%2B1",
        "brain_lancedb_rows_total%7Btable=%22compacted%22%7D",
        "shop_databases",
        // The password went through a file of its own, and the address is the machine's.
        "sql_query_success%7Bquery=%22shop/databases%22%7D",
        "brain_worker_status%7Bworker=~%22.*rapl-exporter.*%22%7D",
        "cet_training_loss",
        // Written by the container beside the run.
        "canary_samples",
        "device_connection_status",
        "model_tokens_total",
        "bridge_target_up%7Btarget=~%22node-exporter.*%22%7D",
        "bridge_last_push_timestamp_seconds",
        "brain_worker_status",
        "brain_worker_memory_bytes%3E0",
        "hw_cpu_load_percent",
        "val_package_power_watts",
        "node_load1%2B1",
        "vm_rows%3E0",
    ] {
        eventually(expression, || value(expression).filter(|value| *value > 0.0));
    }
    // The folder is this machine's, so that people find it beside the run.
    let status = lab.run(&["canary", "status"]);
    assert!(
        status.stdout.contains("no baseline was accepted"),
        "{}{}",
        status.stdout,
        status.stderr
    );
    // The machine's own interface, not a container's.
    let address = format!("node_network_info%7Baddress=%22{}%22%7D", hardware_address());
    eventually(&address, || value(&address));
}

/// Of an interface of this machine that is not the engine's.
fn hardware_address() -> String {
    let interfaces = std::fs::read_dir("/sys/class/net").expect("interfaces").flatten();
    let mut own = interfaces.filter(|interface| {
        let name = interface.file_name().to_string_lossy().into_owned();
        !["lo", "br-", "veth", "docker"]
            .iter()
            .any(|engine| name.starts_with(engine))
    });
    let interface = own.next().expect("an interface").path();
    let address = std::fs::read_to_string(interface.join("address")).expect("an address");
    address.trim().to_owned()
}

fn nobody_has_more_rights_than_said(lab: &Lab) {
    let format = "{{.HostConfig.Privileged}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} \
                  {{.HostConfig.SecurityOpt}} {{.HostConfig.LogConfig.Type}} {{gt .HostConfig.Memory 0}}";
    for (name, container) in lab.containers() {
        let id = container.split(' ').next().expect("an id");
        // Who reads this machine's files does so without SELinux' labels, which would have to be changed for it.
        let rights = docker(&["inspect", "--format", format, id]).replace(" label=disable", "");
        assert_eq!(
            rights, "false true [ALL] [no-new-privileges] json-file true",
            "{name}"
        );
    }
}

fn an_alert_is_delivered(lab: &Lab, receiver: &Receiver) {
    let ran = lab.run(&["alerts", "test", "--severity", "critical"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(!receiver.bodies("/hook").is_empty());
}

fn a_killed_container_comes_back(lab: &Lab, name: &str) {
    let pid = lab.service(name)["pid"].as_u64().expect("a pid");
    kill(pid);
    eventually(name, || {
        let service = lab.service(name);
        let is_new = service["pid"].as_u64().is_some_and(|new| new != pid);
        (is_new && service["healthy"] == true && service["restarts"] == 1).then_some(())
    });
}

fn only_what_changed_is_touched(lab: &Lab, rest: &str) {
    let before = lab.containers();
    let again = lab.up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );
    assert_eq!(lab.containers(), before);

    // What somebody has paused goes on, and what somebody has removed is made anew.
    docker(&["pause", &format!("{}-rapl-exporter-1", lab.project())]);
    docker(&["rm", "--force", &format!("{}-pushgateway-1", lab.project())]);
    assert_eq!(lab.run(&["status"]).code, 1);
    lab.up();
    let mended = lab.containers();
    let changed: Vec<&String> = mended
        .keys()
        .filter(|name| mended[*name] != before[*name])
        .collect();
    assert_eq!(changed, ["pushgateway"]);
    let before = mended;

    // A limit is a rule: Prometheus reads it without a restart.
    let limited = rest.replace("exporters = [", "limits = { load15 = 99 }\nexporters = [");
    lab.write(
        "mission.toml",
        &lab.inventory("extras = [\"longterm\"]", &limited),
    );
    lab.up();
    assert_eq!(lab.containers(), before);
    eventually("the limit", || {
        let answer = lab.get("prometheus", "/api/v1/query?query=mission:load15_limit")?;
        (answer["data"]["result"][0]["value"][1] == "99").then_some(())
    });

    // What reads its file at the start only is made anew, and nothing else.
    let fewer = limited.replace("[workers]\n", "[workers]\nmatch = \"nothing_*\"\n");
    lab.write("mission.toml", &lab.inventory("extras = [\"longterm\"]", &fewer));
    lab.up();
    let after = lab.containers();
    let changed: Vec<&String> = after
        .keys()
        .filter(|name| after[*name] != before[*name])
        .collect();
    assert_eq!(changed, ["worker-exporter"]);

    // A rule that Prometheus would not take is refused by the promtool of its own image.
    let rules = lab.stack().join("prometheus/rules/workers.yml");
    let good = std::fs::read_to_string(&rules).expect("rules");
    std::fs::write(&rules, good.replace("expr: ", "expr: sum by (")).expect("write");
    let refused = lab.run(&["up"]);
    assert_eq!(refused.code, 1);
    let what = "prometheus refuses the rendered configuration; what runs was not touched";
    assert!(
        refused.stderr.contains(what) && refused.stderr.contains("rules/workers.yml"),
        "{}",
        refused.stderr
    );
    std::fs::write(&rules, good).expect("write");

    // A bad inventory touches nothing.
    lab.write(
        "mission.toml",
        &lab.inventory("extras = [\"longterm\"]\nnonsense = 1", &fewer),
    );
    assert_eq!(lab.run(&["up"]).code, 2);
    assert_eq!(lab.containers(), after);
    lab.write("mission.toml", &lab.inventory("extras = [\"longterm\"]", &fewer));
}

/// The real `docker compose` reads the same file, knows the same containers, and can take them down.
fn docker_compose_agrees(lab: &Lab) {
    let config = lab.compose(&["config", "--quiet"]);
    assert_eq!((config.code, config.stderr.as_str()), (0, ""));
    let listed = lab.compose(&["ps", "--services"]);
    let mut services: Vec<&str> = listed.stdout.lines().collect();
    services.sort_unstable();
    assert_eq!(services, RUNNING, "{}", listed.stderr);
    let logs = lab.compose(&["logs", "--tail", "1", "prometheus"]);
    assert!(
        logs.stdout.contains("prometheus"),
        "{}{}",
        logs.stdout,
        logs.stderr
    );

    let down = lab.compose(&["down"]);
    assert_eq!(down.code, 0, "{}", down.stderr);
    assert!(lab.containers().is_empty());
    assert!(lab.labelled("network").is_empty(), "{}", down.stderr);
    // missionctl finds that nothing runs, and its next `up` has the old data.
    assert_eq!(lab.run(&["status"]).code, 3);
    lab.up();
    let path = "/api/v1/query?query=count_over_time(up%7Bjob%3D%22prometheus%22%7D%5B10m%5D)";
    let samples = lab.get("prometheus", path).expect("an answer");
    let count = samples["data"]["result"][0]["value"][1]
        .as_str()
        .expect("a value");
    assert!(count.parse::<u32>().expect("a number") > 10, "{count} samples");
}
