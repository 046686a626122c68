//! The bridge between targets and a real Pushgateway, with a real Prometheus behind it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use exporter::testing::{self, Running, Signal, free_port};

use crate::BRIDGE;
use crate::programs::{Program, Target, request, wait_for};

const PAGE: &str = "# HELP temp_celsius Of the \"room\" \\\\ hall.\n# TYPE temp_celsius gauge\n\
    temp_celsius{zone=\"a\\\"b\\\\c\\nd\"} 21.5 1234\ntemp_celsius{zone=\"nan\"} NaN\ntemp_celsius{zone=\"inf\"} +Inf\n\
    # TYPE jobs_total counter\njobs_total{job=\"backup\"} 3\n\
    # TYPE took_seconds histogram\ntook_seconds_bucket{le=\"1\"} 1\ntook_seconds_bucket{le=\"+Inf\"} 2\n\
    took_seconds_sum 3.5\ntook_seconds_count 2\n\
    # TYPE size_bytes summary\nsize_bytes{quantile=\"0.5\"} 10\nsize_bytes_sum 30\nsize_bytes_count 3\n\
    plain 7\n";

struct Bench {
    folder: tempfile::TempDir,
    config: PathBuf,
    port: u16,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("bridge.toml");
        Self {
            folder,
            config,
            port: free_port(),
        }
    }

    fn configure(&self, targets: &str) {
        let text = format!(
            "machine = \"pc\"\n[pushgateway]\nurl = \"http://127.0.0.1:{}/\"\n{targets}",
            self.port
        );
        std::fs::write(&self.config, text).expect("write the configuration");
    }

    fn flags(&self) -> [String; 2] {
        [
            format!("--config.file={}", self.config.display()),
            format!("--storage.path={}", self.folder.path().join("data").display()),
        ]
    }

    fn start(&self, targets: &str) -> Running {
        self.configure(targets);
        Running::start(BRIDGE, &self.flags().each_ref().map(String::as_str))
    }
}

fn has(page: &str, line: &str) -> bool {
    page.lines().any(|other| other == line)
}

/// The line without its value.
fn has_series(page: &str, series: &str) -> bool {
    page.lines().any(|line| line.starts_with(&format!("{series} ")))
}

fn push_count(bridge: &Running, outcome: &str) -> Option<f64> {
    let series = format!("bridge_push_total{{outcome=\"{outcome}\"}}");
    testing::value(&bridge.metrics(), &series)
}

const GROUP: &str = "instance=\"pc\",job=\"node\",machine=\"pc\"";

#[test]
fn groups_types_and_values_arrive_and_prometheus_scrapes_them() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let target = Target::serve(PAGE);
    let _bridge = bench.start(&target.entry("node"));
    let page = wait_for("a page", || {
        Some(gateway.page()).filter(|page| page.contains("plain{"))
    });
    for line in [
        "# HELP temp_celsius Of the \"room\" \\\\ hall.".to_owned(),
        "# TYPE temp_celsius gauge".to_owned(),
        format!("temp_celsius{{{GROUP},zone=\"a\\\"b\\\\c\\nd\"}} 21.5"),
        format!("temp_celsius{{{GROUP},zone=\"nan\"}} NaN"),
        format!("temp_celsius{{{GROUP},zone=\"inf\"}} +Inf"),
        "# TYPE jobs_total counter".to_owned(),
        format!("jobs_total{{exported_job=\"backup\",{GROUP}}} 3"),
        "# TYPE took_seconds histogram".to_owned(),
        format!("took_seconds_bucket{{{GROUP},le=\"1\"}} 1"),
        format!("took_seconds_sum{{{GROUP}}} 3.5"),
        "# TYPE size_bytes summary".to_owned(),
        format!("size_bytes{{{GROUP},quantile=\"0.5\"}} 10"),
        "# TYPE plain untyped".to_owned(),
        format!("plain{{{GROUP}}} 7"),
        format!("up{{{GROUP}}} 1"),
        format!("scrape_samples_scraped{{{GROUP}}} 12"),
        format!("push_failure_time_seconds{{{GROUP}}} 0"),
    ] {
        assert!(has(&page, &line), "{line} is not on\n{page}");
    }
    wait_for("the bridge's own page", || {
        let own = "instance=\"pc\",job=\"pushgateway-bridge\",machine=\"pc\"";
        let series = format!("bridge_samples_dropped_total{{{own},reason=\"rejected\"}} 0");
        has(&gateway.page(), &series).then_some(())
    });
    let scrape = format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs:\n- job_name: pushgateway\n  honor_labels: true\n  \
         static_configs:\n  - targets: [\"127.0.0.1:{}\"]\n",
        bench.port
    );
    let prometheus = Program::prometheus(bench.folder.path(), &scrape);
    wait_for("the target in Prometheus", || {
        let found = prometheus.query("up{job=\"node\",instance=\"pc\",machine=\"pc\"} == 1");
        (found.len() == 1).then_some(())
    });
    // What the alert PushStale looks at.
    let ages = prometheus.query("time() - push_time_seconds{job=\"node\",machine=\"pc\"}");
    let [(_, age)] = ages.as_slice() else {
        panic!("{ages:?}");
    };
    assert!(age.parse::<f64>().expect("an age") < 90.0, "{age}");
}

#[test]
fn what_ends_is_deleted() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let (node, gpu) = (Target::serve("a 1\n"), Target::serve("b 1\n"));
    let mut bridge = bench.start(&(node.entry("node") + &gpu.entry("gpu")));
    let gpu_up = "up{instance=\"pc\",job=\"gpu\",machine=\"pc\"}";
    wait_for("both groups", || {
        let page = gateway.page();
        (has_series(&page, gpu_up) && page.contains("a{")).then_some(())
    });
    bench.configure(&node.entry("node"));
    bridge.signal(Signal::HUP);
    wait_for("the target that is gone", || {
        let page = gateway.page();
        (!page.contains("job=\"gpu\"") && page.contains("job=\"node\"")).then_some(())
    });
    assert!(!bridge.metrics().contains("gpu"), "{}", bridge.metrics());
    let started = Instant::now();
    bridge.signal(Signal::TERM);
    assert_eq!(bridge.wait(), Some(0));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    let page = gateway.page();
    assert!(!page.contains("machine=\"pc\""), "{page}");
}

#[test]
fn a_target_that_is_down_leaves_only_that_it_is_down() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let target = Target::serve("a 1\nb 1\n");
    let bridge = bench.start(&target.entry("node"));
    let series = |name: &str| format!("{name}{{{GROUP}}}");
    wait_for("the page", || {
        has(&gateway.page(), &format!("{} 1", series("b"))).then_some(())
    });
    let down_with = |status, content_type: &str, page: &str| {
        target.show(status, content_type, page);
        wait_for("up 0", || {
            let page = gateway.page();
            (has(&page, &format!("{} 0", series("up"))) && !has_series(&page, &series("a"))).then_some(())
        });
        let up = "bridge_target_up{target=\"node/pc\"}";
        assert_eq!(testing::value(&bridge.metrics(), up), Some(0.0));
        target.show(200, "text/plain", "a 1\n");
        wait_for("up again", || {
            has(&gateway.page(), &format!("{} 1", series("a"))).then_some(())
        });
        assert!(!has_series(&gateway.page(), &series("b")));
    };
    down_with(503, "text/plain", "overloaded\n");
    down_with(200, "text/html", "<html></html>");
    down_with(200, "text/plain", "a 1\na{ 2\n");
    target.show(200, "", "");
    wait_for("an empty page", || {
        let page = gateway.page();
        (has(&page, &format!("{} 1", series("up"))) && !has_series(&page, &series("a"))).then_some(())
    });
}

#[test]
fn a_pushgateway_that_comes_back_gets_everything_again() {
    let bench = Bench::new();
    let target = Target::serve("a 1\n");
    let gateway = Program::pushgateway(bench.port);
    let bridge = bench.start(&target.entry("node"));
    let series = format!("a{{{GROUP}}}");
    wait_for("the page", || {
        has(&gateway.page(), &format!("{series} 1")).then_some(())
    });
    drop(gateway);
    wait_for("a failed push", || {
        (push_count(&bridge, "unavailable") > Some(0.0)).then_some(())
    });
    target.show(200, "text/plain", "a 2\n");
    let gateway = Program::pushgateway(bench.port);
    wait_for("the newest page", || {
        has(&gateway.page(), &format!("{series} 2")).then_some(())
    });
    let dropped = "bridge_samples_dropped_total{reason=\"superseded\"}";
    assert!(testing::value(&bridge.metrics(), dropped) > Some(0.0));
}

#[test]
fn two_targets_that_contradict_each_other_both_arrive() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let one = Target::serve("# TYPE a gauge\na 1\n# TYPE h gauge\nh 1\n");
    let other = Target::serve("# TYPE a counter\na 2\n# TYPE b gauge\nb 3\n");
    let bridge = bench.start(&(one.entry("one") + &other.entry("other")));
    let group = |job: &str| format!("instance=\"pc\",job=\"{job}\",machine=\"pc\"");
    wait_for("both", || {
        let page = gateway.page();
        let one = has(&page, &format!("a{{{}}} 1", group("one")));
        let other = has(&page, &format!("b{{{}}} 3", group("other")));
        (one && other && has(&page, &format!("a{{{}}} 2", group("other")))).then_some(())
    });
    assert_eq!(push_count(&bridge, "unavailable"), Some(0.0));
}

#[test]
fn labels_of_the_page_win_where_it_is_asked_for() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let target = Target::serve("a{job=\"x/y\",instance=\"other\"} 1\na 2\n");
    let bridge = bench.start(&(target.entry("node") + "honor_labels = true\n"));
    wait_for("both groups", || {
        let page = gateway.page();
        let other = "a{instance=\"other\",job=\"x/y\",machine=\"pc\"} 1";
        (has(&page, other) && has(&page, &format!("a{{{GROUP}}} 2"))).then_some(())
    });
    target.show(200, "text/plain", "a 2\n");
    wait_for("the group that is gone", || {
        (!gateway.page().contains("job=\"x/y\"")).then_some(())
    });
    assert_eq!(push_count(&bridge, "rejected"), Some(0.0));
}

#[test]
fn the_page_is_golden() {
    let target = Target::serve(PAGE);
    let bench = Bench::new();
    let gone = free_port();
    let gone = format!(
        "[[target]]\njob = \"gone\"\nurl = \"http://127.0.0.1:{gone}/metrics\"\nlabels = {{ instance = \"pc\" }}\n"
    );
    bench.configure(&(target.entry("node") + &gone));
    let page = testing::once(BRIDGE, &bench.flags().each_ref().map(String::as_str));
    testing::lint(&page, &[]);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/two-targets.txt");
    testing::assert_golden(&page, &golden);
}

#[test]
fn without_anything_to_bring_it_is_healthy() {
    let bridge = Running::start(BRIDGE, &[]);
    assert_eq!(bridge.get("/healthz").status, 200);
    let page = bridge.metrics();
    assert!(!page.contains("bridge_target_up"), "{page}");
    assert!(!page.contains("bridge_spool"), "{page}");
    testing::withstands_half_open_connections(&bridge);
}

#[test]
fn a_bad_file_leaves_the_earlier_one_in_use() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let target = Target::serve("a 1\n");
    let bridge = bench.start(&target.entry("node"));
    for bad in ["[[target]]\njob = 1\n", "[spool]\nsize = \"2GB\"\n"] {
        bench.configure(bad);
        bridge.signal(Signal::HUP);
        wait_for("the refusal", || {
            let name = "pushgateway_bridge_config_last_reload_successful";
            (testing::value(&bridge.metrics(), name) == Some(0.0)).then_some(())
        });
        target.show(200, "text/plain", "a 2\n");
        wait_for("the target goes on", || {
            has(&gateway.page(), &format!("a{{{GROUP}}} 2")).then_some(())
        });
        target.show(200, "text/plain", "a 1\n");
        wait_for("and on", || {
            has(&gateway.page(), &format!("a{{{GROUP}}} 1")).then_some(())
        });
        bench.configure(&target.entry("node"));
        bridge.signal(Signal::HUP);
        wait_for("the good file", || {
            let name = "pushgateway_bridge_config_last_reload_successful";
            (testing::value(&bridge.metrics(), name) == Some(1.0)).then_some(())
        });
    }
}

#[test]
fn what_another_host_contradicts_costs_only_itself() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.port);
    let other = b"# TYPE g counter\ng 1\n# TYPE t gauge\nt 1\n";
    let path = "/metrics/job/other/machine/elsewhere";
    let pushed = request(bench.port, "PUT", path, &[], other).map(|(status, _)| status);
    assert_eq!(pushed, Some(200));
    let families: Vec<_> = ('a'..='m')
        .map(|name| format!("# TYPE {name} gauge\n{name} 1\n"))
        .collect();
    let target = Target::serve(
        &(families.concat() + "# TYPE t histogram\nt_bucket{le=\"+Inf\"} 1\nt_sum 1\nt_count 1\n"),
    );
    let bridge = bench.start(&target.entry("node"));
    let has = |name: &str| has_series(&gateway.page(), &format!("{name}{{{GROUP}}}"));
    wait_for("what is not contradicted", || {
        (has("a") && has("m") && has("up")).then_some(())
    });
    assert!(!has("g") && !has("t_count"), "{}", gateway.page());
    let rejected = push_count(&bridge, "rejected");
    let dropped = || {
        testing::value(
            &bridge.metrics(),
            "bridge_samples_dropped_total{reason=\"rejected\"}",
        )
    };
    let before = dropped();
    wait_for("further pages", || (dropped() > before).then_some(()));
    // They go in one request each.
    assert_eq!(push_count(&bridge, "rejected"), rejected);
}

#[test]
fn a_pushgateway_that_refuses_everything_is_asked_ever_more_seldom() {
    let bench = Bench::new();
    let target = Target::serve("a 1\n");
    let refusing = Target::serve("");
    refusing.show(401, "text/plain", "who are you?\n");
    bench.configure(&target.entry("node"));
    let text = std::fs::read_to_string(&bench.config).expect("read it");
    let there = format!(":{}/", bench.port);
    std::fs::write(
        &bench.config,
        text.replace(&there, &format!(":{}/", refusing.port)),
    )
    .expect("write it");
    let bridge = Running::start(BRIDGE, &bench.flags().each_ref().map(String::as_str));
    wait_for("refusals", || {
        (push_count(&bridge, "rejected") > Some(3.0)).then_some(())
    });
    let dropped = testing::value(
        &bridge.metrics(),
        "bridge_samples_dropped_total{reason=\"superseded\"}",
    );
    assert!(dropped > Some(0.0), "{dropped:?}");
    assert!(
        !bridge.metrics().contains("bridge_last_push"),
        "{}",
        bridge.metrics()
    );
}
