use proptest::prelude::*;

use super::*;

const WRITE: &str = "machine = \"pc\"\n[remote_write]\nurl = \"http://centre:9090/api/v1/write\"\n";

fn good(text: &str) -> Settings {
    parse(Path::new("/etc/bridge.toml"), text).expect("a good file")
}

#[test]
fn refusals_say_where_and_what_to_do() {
    let target = |text: &str| format!("{WRITE}[[target]]\njob = \"node\"\n{text}");
    for (text, expected) in [
        ("x = 1".to_owned(), "/etc/bridge.toml:1: unknown field `x`"),
        (
            "[remote_write]\nurl = \"http://centre/\"".to_owned(),
            "/etc/bridge.toml: machine: name this host",
        ),
        (
            "machine = \"\"\n[remote_write]\nurl = \"http://centre/\"".to_owned(),
            "/etc/bridge.toml:1: machine: it needs a name",
        ),
        (
            format!("{WRITE}[pushgateway]\nurl = \"http://centre:9091\""),
            "/etc/bridge.toml:4: there are both [remote_write] and [pushgateway]",
        ),
        (
            "machine = \"pc\"\n[pushgateway]\nurl = \"centre:9091\"".to_owned(),
            "/etc/bridge.toml:2: pushgateway: url: centre:9091: the address begins with neither",
        ),
        (
            format!("{WRITE}user = \"bridge\""),
            "/etc/bridge.toml:2: remote_write: user and password_file belong together",
        ),
        (
            format!("{WRITE}token_file = \"nowhere\""),
            "/etc/bridge.toml:2: remote_write: read /etc/nowhere",
        ),
        (
            "[[target]]\njob = \"node\"\nurl = \"http://localhost:9100/metrics\"".to_owned(),
            "/etc/bridge.toml: nothing says where the targets' samples go",
        ),
        (
            target("url = \"http://localhost/\"\ninterval = \"5s\"\ntimeout = \"10s\""),
            "/etc/bridge.toml:4: timeout: 10s is longer than the interval of 5s",
        ),
        (
            target("url = \"http://localhost/\"\ninterval = \"99999999999999d\""),
            "is longer than a day",
        ),
        (
            format!("{WRITE}[spool]\nsize = \"1KB\""),
            "/etc/bridge.toml:5: a spool of 1024 bytes is too small",
        ),
        (
            target("url = \"http://localhost/\"\nlabels = { job = \"x\" }"),
            "labels: `job` comes from the key `job`",
        ),
        (
            target("url = \"http://localhost/\"\nlabels = { \"a-b\" = \"x\" }"),
            "labels: `a-b` is not the name of a label",
        ),
        (
            target("url = \"http://h/a\"\n[[target]]\njob = \"node\"\nurl = \"http://h/b\""),
            "/etc/bridge.toml:7: two targets have the labels of node/h:80",
        ),
        (
            format!("{WRITE}[spool]\nsize = \"1G\""),
            "/etc/bridge.toml:5: \"1G\" is no size above 0",
        ),
    ] {
        let refused = parse(Path::new("/etc/bridge.toml"), &text).expect_err(&text);
        let refused = format!("{refused:#}");
        assert!(refused.contains(expected), "{text}\n{refused}");
    }
}

#[test]
fn a_target_has_the_labels_that_prometheus_would_give_it() {
    let settings = good(&format!(
        "{WRITE}[[target]]\njob = \"node\"\nurl = \"https://localhost/metrics\"\nlabels = {{ rack = \"desk\" }}"
    ));
    let [target] = settings.targets.as_slice() else {
        panic!("{settings:?}");
    };
    let expected = [
        ("instance", "localhost:443"),
        ("job", "node"),
        ("machine", "pc"),
        ("rack", "desk"),
    ];
    let labels = &target.identity.labels;
    assert!(
        labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(expected),
        "{labels:?}"
    );
    assert_eq!(target.name, "node/localhost:443");
}

#[test]
fn a_target_has_the_interval_of_all_and_may_be_on_another_machine() {
    let settings = good(&format!(
        "interval = \"5s\"\n{WRITE}[[target]]\njob = \"node\"\nurl = \"http://nas:9100/\"\nlabels = {{ machine = \"nas\" }}"
    ));
    let [target] = settings.targets.as_slice() else {
        panic!("{settings:?}");
    };
    assert_eq!(target.interval, Duration::from_secs(5));
    assert_eq!(target.http.timeout, Duration::from_secs(5));
    assert!(
        target
            .identity
            .labels
            .contains(&("machine".to_owned(), "nas".to_owned()))
    );
}

#[test]
fn an_instance_is_host_and_port() {
    for (url, expected) in [
        ("http://localhost:9100/metrics", "localhost:9100"),
        ("http://[::1]/metrics", "[::1]:80"),
        ("http://[::1]:9100", "[::1]:9100"),
        ("https://host?x=1", "host:443"),
    ] {
        assert_eq!(instance(url), expected);
    }
}

#[test]
fn an_empty_file_asks_for_nothing() {
    assert_eq!(good(""), Settings::default());
}

proptest! {
    /// Any file is taken, or refused with its name.
    #[test]
    fn any_file_is_read_or_refused(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "machine = \"pc\"", "machine = 1", "[remote_write]", "[pushgateway]", "url = \"http://centre:9091\"",
                "url = \"\"", "url = \"http://u:p@h/\"", "user = \"a\"", "password_file = \"/nowhere\"", "proxy = \"\"",
                "proxy = \"http://proxy:3128\"", "[[target]]", "[target]", "job = \"node\"", "job = \"\"",
                "interval = \"0s\"", "interval = \"99999999999999d\"", "labels = { a = \"b\" }", "labels = { instance = \"x\" }",
                "sample_limit = -1", "body_limit = \"1MB\"", "[spool]", "size = \"1GB\"", "age = \"1h\"", "{", "\"", "é",
            ]),
            0..14,
        ),
    ) {
        if let Err(error) = parse(Path::new("/etc/bridge.toml"), &lines.join("\n")) {
            let shown = format!("{error:#}");
            prop_assert!(shown.contains("/etc/bridge.toml"), "{}", shown);
        }
    }
}
