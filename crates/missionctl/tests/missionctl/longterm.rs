//! What is kept for longer than Prometheus keeps it.

use crate::lab::{Lab, eventually};

#[test]
fn everything_also_goes_to_victoria_metrics() {
    let lab = Lab::new();
    lab.edit("mission.toml", |text| {
        text.replace(
            "backend = \"native\"",
            "backend = \"native\"\nextras = [\"longterm\"]",
        )
    });
    lab.up();
    let kept = eventually("the samples arrive", || {
        let answer = lab.get("victoria-metrics", "/api/v1/query?query=rapl_exporter_build_info")?;
        answer["data"]["result"].as_array()?.first().cloned()
    });
    assert_eq!(kept["metric"]["machine"], "bench");
    eventually("its own numbers arrive too", || {
        lab.query("up{job=\"victoria-metrics\"} == 1").pop()
    });
    let source = lab.read(".mission/run/grafana/provisioning/datasources/victoria-metrics.yml");
    assert!(source.contains("uid: victoria-metrics"), "{source}");

    // Without it nothing is sent anywhere, and Grafana is not told of it.
    lab.edit("mission.toml", |text| text.replace("\"longterm\"", ""));
    lab.up();
    assert!(
        !lab.read(".mission/run/prometheus/prometheus.yml")
            .contains("remote_write")
    );
    assert!(
        !lab.path(".mission/run/grafana/provisioning/datasources/victoria-metrics.yml")
            .exists()
    );
    assert!(!lab.pids().contains_key("victoria-metrics"));
}

#[test]
fn where_it_cannot_be_had_the_rest_runs() {
    let lab = Lab::new();
    lab.edit("mission.toml", |text| {
        text.replace(
            "backend = \"native\"",
            "backend = \"native\"\nextras = [\"longterm\"]",
        )
    });
    let without = |name: &str| !std::path::Path::new(name).join("victoria-metrics").exists();
    let path = std::env::var("PATH").expect("a PATH");
    let path: Vec<&str> = path.split(':').filter(|folder| without(folder)).collect();
    // The other programs, under their canonical names.
    let programs = lab.path("programs");
    std::fs::create_dir(&programs).expect("a folder");
    for program in crate::lab::PROGRAMS
        .iter()
        .filter(|name| **name != "victoria-metrics")
    {
        std::os::unix::fs::symlink(crate::lab::on_path(program), programs.join(program)).expect("a link");
    }
    let path = format!("{}:{}", programs.display(), path.join(":"));
    let ran = lab.up_with(&[("PATH", &path)]);
    let said = "victoria-metrics could not be had, so nothing is kept for longer than Prometheus does";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(
        !lab.read(".mission/run/prometheus/prometheus.yml")
            .contains("remote_write")
    );
}
