//! Every way to get an inventory wrong is refused with its line and a hint, and `check` starts nothing.

use std::net::TcpListener;

use crate::lab::{Lab, Ran};

/// Checks this text, on ports that are free here.
fn check(text: &str) -> Ran {
    let lab = Lab::new();
    let text = format!("{text}\n{}", lab.ports_table());
    check_in(&lab, &text)
}

fn check_in(lab: &Lab, text: &str) -> Ran {
    lab.write("mission.toml", text);
    let ran = lab.run(&["check"]);
    assert!(!lab.path(".mission/run/supervisord.pid").exists());
    ran
}

fn assert_refused(text: &str, line: usize, what: &str, hint: &str) {
    let lab = Lab::new();
    let ran = check_in(&lab, text);
    assert_eq!(ran.code, 2, "{text}\n{}\n{}", ran.stdout, ran.stderr);
    let at = format!("{}:{line}: error: ", lab.path("mission.toml").display());
    let mut lines = ran.stderr.lines();
    let first = lines
        .find(|line| line.starts_with(&at))
        .unwrap_or_else(|| panic!("no {at} in\n{}", ran.stderr));
    assert!(first.contains(what), "{what} is not in: {first}");
    assert_eq!(
        lines.next().map(str::trim),
        Some(format!(
            "{line} | {}",
            text.lines().nth(line - 1).expect("the line")
        ))
        .as_deref()
    );
    let said = lines.next().expect("a hint");
    assert!(
        said.trim().starts_with("hint: ") && said.contains(hint),
        "{hint} is not in: {said}"
    );
    assert!(ran.stderr.contains("nothing was touched"), "{}", ran.stderr);
}

const MACHINE: &str = "[[machine]]\nname = \"a\"\naddress = \"10.255.255.1\"\n";

#[test]
fn keys_that_do_not_exist() {
    assert_refused(
        "[stack]\nbnid = \"127.0.0.1\"\n",
        2,
        "unknown key `bnid`",
        "did you mean `bind`?",
    );
    assert_refused(
        "[stack]\nbind = \"127.0.0.1\"\ncolour = 1\n",
        3,
        "unknown key `colour`",
        "known here: bind, backend",
    );
    assert_refused(
        "[trianing]\nmetrics = \"/srv\"\n",
        1,
        "unknown key `trianing`",
        "did you mean `training`?",
    );
    assert_refused(
        "[stack.ports]\nrapl = 1\n",
        2,
        "unknown key `rapl`",
        "rapl-exporter",
    );
    assert_refused(
        "[[machine]]\nname = \"a\"\n",
        1,
        "the key `address` is missing",
        "add `address = …`",
    );
}

#[test]
fn values_of_the_wrong_type_or_kind() {
    assert_refused(
        "[stack]\nbind = 127\n",
        2,
        "invalid type: integer `127`",
        "write a string here",
    );
    assert_refused(
        &format!("[stack]\ndemo = true\n\n{MACHINE}exporters = [\"rapl\"]\n"),
        2,
        "nothing here would watch the made-up machine",
        "address = \"localhost\"",
    );
    assert_refused(
        "[stack.ports]\nprometheus = \"9090\"\n",
        2,
        "invalid type: string",
        "a whole number from 1 to 65535",
    );
    assert_refused(
        "[stack.ports]\nprometheus = 99999\n",
        2,
        "99999",
        "from 1 to 65535",
    );
    assert_refused(
        "[stack.ports]\nprometheus = \"1\"\n",
        2,
        "invalid type: string",
        "65535",
    );
    assert_refused(
        "[workers]\nsupervisor = \"unix:///a\"\n",
        2,
        "invalid type: string",
        "a list in brackets",
    );
    assert_refused(
        "[stack]\nretention = \"15d\"\n",
        2,
        "invalid type: string",
        "a table in braces",
    );
    assert_refused(
        "[workers]\nmatch = 1\n",
        2,
        "invalid type",
        "a string or a list of strings",
    );
    assert_refused("[stack]\nbind = \"127.0.0.1\nprofile = 1\n", 2, "", "");
    assert_refused(
        "[stack]\nretention = { time = \"15 days\" }\n",
        2,
        "`15 days` is not a duration",
        "15d",
    );
    assert_refused(
        "[stack]\nretention = { size = \"10\" }\n",
        2,
        "`10` is not a size",
        "10GB",
    );
    assert_refused(
        "[stack]\nprofile = \"coer\"\n",
        2,
        "`coer` is not known",
        "did you mean `core`?",
    );
    assert_refused(
        "[stack]\nrunbook_base = \"docs\"\n",
        2,
        "`docs` is not a URL",
        "https://",
    );
    let limits = format!("{MACHINE}limits = {{ load15 = -1.0 }}\n");
    assert_refused(&limits, 4, "-1 is no limit", "above 0");
}

#[test]
fn what_to_start_and_as_what() {
    assert_refused(
        "[stack]\nbackend = \"dokcer\"\n",
        2,
        "`dokcer` is not known",
        "did you mean `docker`?",
    );
    assert_refused(
        "[stack]\nbackend = \"docker\"\ndemo = true\n",
        2,
        "containers do not see",
        "native",
    );
    assert_refused(
        "[stack]\nextras = [\"tracing\", \"elkk\"]\n",
        2,
        "`elkk` is not known",
        "did you mean `elk`?",
    );
    assert_refused(
        "[stack]\nextras = [\"elk\", \"elk\"]\n",
        2,
        "`elk` is listed twice",
        "remove one",
    );
    assert_refused(
        "[stack.variables]\nprometheus_port = \"1\"\n",
        2,
        "`prometheus_port` is no name of a variable",
        "capital letters",
    );
    assert_refused(
        "[stack]\nretention = { longterm = \"6h\" }\n",
        2,
        "`6h` is no time to keep samples",
        "90d",
    );
}

#[test]
fn what_toml_or_prometheus_would_not_take() {
    assert_refused(
        "[stack]\nbind = 127.0.0.1\n",
        2,
        "invalid",
        "addresses need quotes",
    );
    assert_refused(
        "[machine]\nname = \"a\"\n",
        1,
        "a table where a list belongs",
        "[[…]]",
    );
    assert_refused(
        "[stack]\nretention = { time = \"300y\" }\n",
        2,
        "`300y` is not a duration",
        "290y at most",
    );
    assert_refused(
        "[stack]\nretention = { size = \"9999999TB\" }\n",
        2,
        "`9999999TB` is not a size",
        "10GB",
    );
    assert_refused(
        "[[target]]\njob = \"x\"\naddress = \"10.255.255.1:80\"\npath = \"/metrics?format=prometheus\"\n",
        4,
        "is more than a path",
        "leave out what follows",
    );
    assert_refused(
        "[[target]]\njob = \"x\"\naddress = \"10.255.255.1:80\"\nlabels = { machine = \"\" }\n",
        4,
        "`machine` is empty",
        "leave it out",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_refusal_like_any_other() {
    let lab = Lab::new();
    let refused = |what: &str, hint: &str| {
        let ran = lab.run(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(
            ran.stderr.contains(what) && ran.stderr.contains(hint),
            "{}",
            ran.stderr
        );
    };
    std::fs::write(lab.path("mission.toml"), b"[stack]\n# \xff\n").expect("write");
    refused("it is not UTF-8", "save it as UTF-8");
    std::fs::remove_file(lab.path("mission.toml")).expect("remove");
    refused("no such file", "missionctl init");
    std::fs::create_dir(lab.path("mission.toml")).expect("a folder");
    refused("is a directory", "it must be a file");
}

#[test]
fn an_ipv6_address_may_stand_in_brackets() {
    let ran = check("[[machine]]\nname = \"a\"\naddress = \"[fd00::5]\"\n");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn addresses() {
    assert_refused(
        "[stack]\nbind = \"localhost\"\n",
        2,
        "`localhost` is not an IP address",
        "127.0.0.1",
    );
    assert_refused(
        "[stack]\nbind = \"192.0.2.1\"\n",
        2,
        "cannot listen on 192.0.2.1",
        "ip addr",
    );
    let machine = |address: &str| format!("[[machine]]\nname = \"a\"\naddress = \"{address}\"\n");
    assert_refused(
        &machine("http://pc"),
        3,
        "`http://pc` is not a host name",
        "leave out the scheme",
    );
    assert_refused(
        &machine("pc:9100"),
        3,
        "`pc:9100` is not a host name",
        "leave out the port",
    );
    assert_refused(&machine("192.168.1.300"), 3, "`192.168.1.300`", "four numbers");
    assert_refused(&machine("my pc"), 3, "`my pc`", "letters, digits");
    let target = |address: &str| format!("[[target]]\njob = \"app\"\naddress = \"{address}\"\n");
    assert_refused(&target("localhost"), 3, "`localhost` has no port", "host:port");
    assert_refused(&target("localhost:http"), 3, "`http` is not a port", "1 to 65535");
    assert_refused(
        &target("localhost:70000"),
        3,
        "`70000` is not a port",
        "1 to 65535",
    );
    assert_refused(
        "[workers]\nsupervisor = [\"/run/a.sock\"]\n",
        2,
        "no address of a supervisor",
        "unix:///",
    );
}

#[test]
fn a_target_on_this_machine_that_does_not_answer() {
    let lab = Lab::new();
    let port = lab.ports["grafana"];
    let text = format!("[[target]]\njob = \"app\"\naddress = \"localhost:{port}\"\n");
    assert_refused(&text, 3, "connection refused", "required = false");

    let ran = check(&format!("{text}required = false\n"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains(":3: warning: target app"), "{}", ran.stderr);

    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let ran = check(&format!(
        "[[target]]\njob = \"app\"\naddress = \"127.0.0.1:{port}\"\n"
    ));
    assert_eq!(
        (ran.code, ran.stderr.contains("target app")),
        (0, false),
        "{}",
        ran.stderr
    );
}

#[test]
fn two_things_of_one_name_or_on_one_port() {
    let twice = format!("{MACHINE}[[machine]]\nname = \"a\"\naddress = \"10.255.255.2\"\n");
    assert_refused(&twice, 5, "two machines are named `a`", "label `machine`");
    let same = format!("{MACHINE}[[machine]]\nname = \"b\"\naddress = \"10.255.255.1\"\n");
    assert_refused(&same, 6, "b and a are the same machine", "one [[machine]]");
    let port = format!("{MACHINE}exporters = [\"node\", \"worker:9100\"]\n");
    assert_refused(
        &port,
        4,
        "worker-exporter and node-exporter cannot both listen on port 9100",
        "another port",
    );
    let word = format!("{MACHINE}exporters = [\"node\", \"node:9101\"]\n");
    assert_refused(&word, 4, "`node:9101` is listed twice", "remove one");
    let services = "[stack.ports]\nprometheus = 9999\nalertmanager = 9999\n";
    assert_refused(
        services,
        3,
        "prometheus and alertmanager cannot both listen on port 9999",
        "another port",
    );
    let local = "[stack.ports]\nprometheus = 9999\n\n[[machine]]\nname = \"a\"\naddress = \"localhost\"\n\
                 exporters = [\"worker:9999\"]\n";
    assert_refused(
        local,
        7,
        "prometheus and worker-exporter cannot both listen on port 9999",
        "another port",
    );
    let target =
        "[stack.ports]\nprometheus = 9999\n\n[[target]]\njob = \"app\"\naddress = \"localhost:9999\"\n";
    assert_refused(target, 6, "port 9999 is prometheus's", "remove the target");
    assert_refused(
        "[[target]]\njob = \"prometheus\"\naddress = \"a:1\"\n",
        2,
        "belongs to the stack",
        "another name",
    );
}

#[test]
fn two_services_on_a_low_port() {
    let lab = Lab::new();
    let ran = check_in(&lab, "[stack.ports]\nprometheus = 80\nalertmanager = 80\n");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("alertmanager = 1080"), "{}", ran.stderr);
}

#[test]
fn exporters_that_do_not_exist() {
    let machine = |exporter: &str| format!("{MACHINE}exporters = [\"{exporter}\"]\n");
    assert_refused(&machine("wroker"), 4, "`wroker`", "did you mean `worker`?");
    assert_refused(
        &machine("quantum"),
        4,
        "`quantum`",
        "known are node, rapl, gpu, worker, lancedb, sql, training, device;",
    );
    assert_refused(&machine("node:x"), 4, "`x` is not a port", "whole numbers");
}

#[test]
fn lancedb_folders() {
    let folders = |path: &str| format!("[lancedb]\npath = {path}\n");
    assert_refused(
        &folders("\"brain\""),
        2,
        "`brain` is no absolute path",
        "/srv/brain",
    );
    assert_refused(
        &folders("\"/srv/brain/facts.lance\""),
        2,
        "is a table",
        "the folder above it",
    );
    assert_refused(&folders("\"/srv/a,b\""), 2, "has a comma", "rename");
    assert_refused(
        &folders("[\"/srv/a/brain\", \"/srv/b/brain\"]"),
        2,
        "have the same name",
        "told apart",
    );
    assert_refused(&folders("7"), 2, "invalid type", "a string or a list of strings");
    assert_refused(&folders("[]"), 2, "no folder is named", "remove [lancedb]");
    assert_refused(
        &folders("\"/tmp/a\\nautostart = false\""),
        2,
        "characters that supervisord",
        "by a link",
    );
    assert_refused("[lancedb]\n", 1, "the key `path` is missing", "add `path");
    let ran = check(&folders("\"/nowhere/brain\""));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains(":2: warning: there is no folder /nowhere/brain yet"),
        "{}",
        ran.stderr
    );
    assert_refused("[gpu]\nexpected = -1\n", 2, "invalid value", "a whole number");
    assert_refused("[gpu]\ncount = 1\n", 2, "unknown key `count`", "expected");
    assert_refused(
        "[gpu]\nexpected = 0\n",
        2,
        "no GPUs cannot be missed",
        "remove it",
    );
    let uncounted = check("[gpu]\nexpected = 2\n");
    assert!(
        uncounted.stderr.contains(":2: warning: nobody counts GPUs here"),
        "{}",
        uncounted.stderr
    );
    assert_refused(
        &format!(
            "[stack]\ndemo = true\n{MACHINE}exporters = [\"rapl\"]\n{}",
            folders("\"/srv\"")
        ),
        8,
        "tables, databases, runs and devices of its own",
        "remove this table",
    );
}

#[test]
fn databases() {
    let sql = |rest: &str| format!("[[sql]]\n{rest}\n");
    assert_refused(
        &sql("pack = \"litelm\""),
        2,
        "no pack `litelm`",
        "did you mean `litellm`?",
    );
    assert_refused(&sql("pack = \"own\""), 2, "no pack `own`", "ends with .toml");
    assert_refused(
        &sql("dsn = \"sqlite:/a\""),
        1,
        "the key `pack` is missing",
        "add `pack",
    );
    assert_refused(
        &sql("pack = \"litellm\""),
        2,
        "the address of the database is missing",
        "dsn_file",
    );
    assert_refused(
        &sql("pack = \"litellm\"\ndsn = \"postgres://me:pw@db/x\""),
        3,
        "a password does not belong into the inventory",
        "dsn_file",
    );
    assert_refused(
        &sql("pack = \"litellm\"\ndsn = \"oracle://db\""),
        3,
        "no address of a database",
        "postgres://",
    );
    assert_refused(
        &sql("pack = \"litellm\"\ndsn = \"sqlite:/a\"\ndsn_file = \"b\""),
        4,
        "given twice",
        "keep one",
    );
    assert_refused(
        &sql("pack = \"own.toml\"\ndsn = \"sqlite:/a\""),
        2,
        "own.toml cannot be read: no such file",
        "docs/sql.md",
    );
    let two = "pack = \"litellm\"\ndsn = \"sqlite:/a\"\n";
    assert_refused(
        &format!("{}{}", sql(two), sql(two)),
        6,
        "two databases are called `litellm`",
        "another `name`",
    );
    assert_refused(
        &sql("pack = \"litellm\"\nname = \"a/b\"\ndsn = \"sqlite:/a\""),
        3,
        "\"a/b\" is no name of a database",
        "letters",
    );
    assert_refused(
        &sql("pack = \"litellm\"\ndsn = \"sqlite:/a\"\nprobe_interval = \"often\""),
        4,
        "`often` is not a duration",
        "30s",
    );
    assert_refused(
        &sql("pack = \"litellm\"\ndsn = \"sqlite:/a\"\nlabels = { \"a-b\" = \"c\" }"),
        4,
        "`a-b` is no label name",
        "underscores",
    );

    let named = sql("pack = \"litellm\"\nname = \"other\"\ndsn = \"sqlite:/b\"");
    assert_refused(
        &format!("{}{named}", sql(two)),
        6,
        "litellm and other would have the same series",
        "labels = ",
    );

    assert_refused(
        &sql("pack = \"litellm\"\ndsn = \"sqlite:/a\"\nlabels = { machine = \"c\" }"),
        4,
        "`machine` is the stack's",
        "otherwise",
    );

    let missing = check(&sql("pack = \"litellm\"\ndsn = \"sqlite:/nowhere/a.db\""));
    assert_eq!(missing.code, 0, "{}", missing.stderr);
    assert!(
        missing
            .stderr
            .contains("there is no SQLite file /nowhere/a.db yet"),
        "{}",
        missing.stderr
    );
}

#[test]
fn files_that_databases_need() {
    let lab = Lab::new();
    lab.write_secret("secrets/dsn", "postgres://me:hush@[::1/x", 0o600);
    lab.write("own.toml", "[[query]]\nname = \n");
    let bad = check_in(
        &lab,
        "[[sql]]\npack = \"litellm\"\ndsn_file = \"secrets/dsn\"\n[[sql]]\npack = \"own.toml\"\ndsn = \"sqlite:/a\"\n",
    );
    assert_eq!(bad.code, 2, "{}", bad.stderr);
    assert!(
        bad.stderr.contains("secret file") && bad.stderr.contains("holds an address without"),
        "{}",
        bad.stderr
    );
    assert!(bad.stderr.contains("own.toml:2: "), "{}", bad.stderr);
    assert!(!bad.stderr.contains("hush"), "{}", bad.stderr);
}

#[test]
fn maintenance_windows() {
    let window = |rest: &str| format!("[[maintenance]]\nname = \"backup\"\n{rest}\n");
    assert_refused(
        &window("days = [\"sundya\"]"),
        3,
        "`sundya`",
        "did you mean `sunday`?",
    );
    assert_refused(
        &window("times = [\"22:00-02:00\"]"),
        3,
        "ends before it begins",
        "\"22:00-24:00\"",
    );
    assert_refused(
        &window("times = [\"2-4\"]"),
        3,
        "`2-4` is no time of day",
        "02:00-04:00",
    );
    assert_refused(&window(""), 2, "never ends", "days = ");
    let severity = "days = [\"sunday\"]\nmutes = { severity = [\"warn\"] }";
    assert_refused(&window(severity), 4, "`warn`", "warning");
    let machine = "days = [\"sunday\"]\nmutes = { machine = [\"pc\"] }";
    assert_refused(&window(machine), 4, "`pc` is not known", "names none");
}

const WEBHOOK: &str = "[notify.webhook]\nurl_file = \"secrets/webhook\"\n";

fn assert_secret_refused(content: Option<(&str, u32)>, what: &str, hint: &str) {
    let lab = Lab::new();
    if let Some((text, mode)) = content {
        lab.write_secret("secrets/webhook", text, mode);
    }
    let ran = check_in(&lab, WEBHOOK);
    assert_eq!(ran.code, 2, "{}\n{}", ran.stdout, ran.stderr);
    let at = format!("{}:2: error: ", lab.path("mission.toml").display());
    let line = ran
        .stderr
        .lines()
        .find(|line| line.starts_with(&at))
        .expect("the line");
    assert!(line.contains(what) && line.contains("secrets/webhook"), "{line}");
    assert!(
        ran.stderr.contains("hint: ") && ran.stderr.contains(hint),
        "{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("hush"),
        "the secret is printed: {}",
        ran.stderr
    );
}

#[test]
fn secrets() {
    assert_secret_refused(None, "no such file", "umask 077");
    assert_secret_refused(
        Some(("https://example.org/hush", 0o644)),
        "can be read by others (mode 0644)",
        "chmod 600",
    );
    assert_secret_refused(
        Some(("https://example.org/hush", 0o620)),
        "mode 0620",
        "chmod 600",
    );
    assert_secret_refused(Some(("\n", 0o600)), "is empty", "https://");
    assert_secret_refused(Some(("hush", 0o600)), "does not hold a URL", "https://");
    assert_secret_refused(Some(("https:///hush", 0o600)), "does not hold a URL", "https://");
    assert_secret_refused(Some(("ftp://hush", 0o600)), "neither http nor https", "https://");
    assert_secret_refused(
        Some(("https://a/hush\nhttps://b/hush\n", 0o600)),
        "more than one line",
        "one line",
    );
    assert_secret_refused(
        Some(("https://hooks.slack.com/services/TXXXX/hush", 0o600)),
        "placeholder",
        "https://",
    );

    let lab = Lab::new();
    lab.write_secret("secrets/webhook", "https://example.org/hush\n", 0o400);
    assert_eq!(
        check_in(&lab, &format!("{WEBHOOK}\n{}", lab.ports_table())).code,
        0
    );
    let channel = "[notify.slack]\nwebhook_url_file = \"secrets/webhook\"\nchannel = \"alerts\"\n";
    let ran = check_in(&lab, channel);
    assert!(
        ran.stderr.contains(":3: error: `alerts` is not a Slack channel"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_port_that_somebody_else_holds() {
    let lab = Lab::new();
    let held = TcpListener::bind(("127.0.0.1", lab.ports["alertmanager"])).expect("bind");
    let ran = lab.run(&["check"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let text = lab.read("mission.toml");
    let line = text
        .lines()
        .position(|line| line.starts_with("alertmanager = "))
        .expect("the port")
        + 1;
    let said = format!(
        ":{line}: error: port {} of alertmanager is taken by ",
        held.local_addr().expect("an address").port()
    );
    let found = ran
        .stderr
        .lines()
        .find(|line| line.contains(&said))
        .unwrap_or_else(|| panic!("{}", ran.stderr));
    assert!(found.contains(&format!("pid {}", std::process::id())), "{found}");
    assert!(
        ran.stderr.contains("[stack.ports] alertmanager = "),
        "{}",
        ran.stderr
    );
    drop(held);
    assert_eq!(lab.run(&["check"]).code, 0);
}

#[test]
fn several_things_wrong_are_all_said_at_once() {
    let ran =
        check("[stack]\nbind = \"x\"\nprofile = \"y\"\n\n[[machine]]\nname = \"a\"\naddress = \"b c\"\n");
    for line in [2, 3, 7] {
        assert!(
            ran.stderr.contains(&format!("mission.toml:{line}: error: ")),
            "{line}: {}",
            ran.stderr
        );
    }
}

#[test]
fn init_writes_an_inventory_that_is_good_and_never_overwrites() {
    let lab = Lab::new();
    let ran = lab.run(&["init"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("is there already and stays as it is"),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.read("mission.toml"), lab.inventory());

    std::fs::remove_file(lab.path("mission.toml")).expect("remove");
    assert_eq!(lab.run(&["init"]).code, 0);
    let written = lab.read("mission.toml");
    // On the test's own ports, since the usual ones may be taken here.
    lab.write("mission.toml", &format!("{written}\n{}", lab.ports_table()));
    let ran = lab.run(&["check"]);
    assert_eq!(ran.code, 0, "{written}\n{}", ran.stderr);
}

#[test]
fn probes() {
    let refused = |probe: &str, line: usize, what: &str, hint: &str| {
        assert_refused(&format!("[[probe]]\nname = \"api\"\n{probe}\n"), line, what, hint);
    };
    assert_refused(
        "[[probe]]\nname = \"api\"\n",
        2,
        "probe `api` asks nothing",
        "url = ",
    );
    refused(
        "tcp = \"pc:22\"\nicmp = \"pc\"",
        2,
        "asks several things",
        "keep one",
    );
    refused(
        "url = \"localhost:8080\"",
        3,
        "is not a URL",
        "http://host:port/path",
    );
    refused("url = \"ftp://localhost/\"", 3, "neither http nor https", "http");
    refused("url = \"http://pc:99999/\"", 3, "no good port", "65535");
    refused(
        "url = \"http://me:hush@pc/\"",
        3,
        "every alert would show",
        "needs none",
    );
    refused("tcp = \"pc\"", 3, "`pc` has no port", "pc:22");
    refused("icmp = \"http://pc\"", 3, "not a host name", "scheme");
    refused(
        "tcp = \"pc:22\"\ninterval = \"1m\"",
        4,
        "too seldom",
        "30s or less",
    );
    refused(
        "tcp = \"pc:22\"\ninterval = \"often\"",
        4,
        "not a duration",
        "30s",
    );
    refused(
        "tcp = \"pc:22\"\nexpect_json = { status = \"ok\" }",
        4,
        "only a page answers with JSON",
        "`url`",
    );
    let expecting = |expected: &str| format!("url = \"http://pc/\"\nexpect_json = {expected}");
    refused(&expecting("{}"), 4, "an empty table expects nothing", "status");
    refused(
        &expecting("{ a = { b = [1] } }"),
        4,
        "`a.b` is a list",
        "single values",
    );
    refused(&expecting("{ a = nan }"), 4, "`a` is NaN", "single values");
    refused(
        &expecting("{ a = 2024-01-01 }"),
        4,
        "`a` is a date",
        "single values",
    );
    refused(&expecting("\"ok\""), 4, "invalid type", "a table in braces");
    assert_refused(
        "[[probe]]\nname = \"a b\"\ntcp = \"pc:22\"\n",
        2,
        "\"a b\" is no name of a probe",
        "letters",
    );
    assert_refused(
        "[[probe]]\nname = \"a\"\ntcp = \"pc:22\"\n[[probe]]\nname = \"a\"\nicmp = \"pc\"\n",
        5,
        "two probes are named `a`",
        "its own",
    );
    let good = "[[probe]]\nname = \"a\"\nurl = \"https://[::1]:8443/x?y=1\"\n\
                expect_json = { status = \"ok\", deep = { n = 1, f = 0.5, b = true } }\ninterval = \"30s\"\n";
    let ran = check(good);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn the_job_of_probes_is_the_stacks_own() {
    assert_refused(
        "[[target]]\njob = \"probe\"\naddress = \"pc:1\"\n",
        2,
        "the job `probe` belongs to the stack",
        "another name",
    );
}

#[test]
fn postgres() {
    let refused = |more: &str, line: usize, what: &str, hint: &str| {
        let text = format!("[postgres]\naddress = \"10.255.255.1:5432\"\nuser = \"watcher\"\n{more}\n");
        assert_refused(&text, line, what, hint);
    };
    assert_refused(
        "[postgres]\naddress = \"pc\"\nuser = \"watcher\"\n",
        2,
        "`pc` has no port",
        "5432",
    );
    assert_refused(
        "[postgres]\naddress = \"pc:5432\"\n",
        1,
        "the key `user` is missing",
        "add `user",
    );
    refused("sslmode = \"prefer\"", 4, "knows no `prefer`", "\"require\"");
    refused("sslmode = \"on\"", 4, "`on` is not known", "disable, require");
    refused("database = \"a/b\"", 4, "no name of a database", "letters");
    refused(
        "password_file = \"secrets/none\"",
        4,
        "no such file",
        "put the password in",
    );

    let lab = Lab::new();
    lab.write_secret("secrets/postgres", "hush\n", 0o640);
    let text = "[postgres]\naddress = \"10.255.255.1:5432\"\nuser = \"watcher\"\npassword_file = \"secrets/postgres\"\n";
    let ran = check_in(&lab, text);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("mode 0640"), "{}", ran.stderr);
    lab.write_secret("secrets/postgres", "hush hush\n", 0o600);
    let ran = check_in(&lab, text);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("has a blank") && !ran.stderr.contains("hush"),
        "{}",
        ran.stderr
    );
    lab.write_secret("secrets/postgres", "hush\n", 0o600);
    let ran = check_in(&lab, &format!("{text}\n{}", lab.ports_table()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn what_runs_in_containers_only_is_left_out_and_said() {
    let lab = Lab::new();
    let text = format!(
        "[stack]\nbackend = \"native\"\nprofile = \"full\"\nextras = [\"longterm\", \"elk\"]\n{}",
        lab.ports_table()
    );
    let ran = check_in(&lab, &text);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let at = |line: usize| format!("{}:{line}: warning: ", lab.path("mission.toml").display());
    for (line, service) in [(3, "cadvisor"), (4, "elasticsearch"), (4, "kibana")] {
        let said = format!("{}{service} runs in containers only; left out", at(line));
        assert!(ran.stderr.contains(&said), "{said}\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("victoria-metrics"), "{}", ran.stderr);
}

#[test]
fn training_runs_and_the_canary_set() {
    let training = |rest: &str| format!("[training]\n{rest}\n");
    assert_refused(
        &training(""),
        1,
        "nothing is named that could be followed",
        "latest_metrics.json",
    );
    assert_refused(&training("metrics = \"\""), 2, "\"\" is no path", "mission.toml");
    assert_refused(
        &training("runs = \"/srv\"\nexpire = \"soon\""),
        3,
        "`soon` is not a duration",
        "30s",
    );
    let canary = |keys: &str| training(&format!("metrics = \"m.json\"\ncanary = {{ {keys} }}"));
    assert_refused(
        &canary("command = []"),
        3,
        "the command is empty",
        "its arguments",
    );
    assert_refused(
        &canary("command = [\"a\"], results = \"b\""),
        3,
        "a command and a file of results",
        "keep one",
    );
    assert_refused(
        &canary("every = \"1h\""),
        1,
        "neither a command nor a file of results",
        "results = ",
    );
    assert_refused(
        &canary("command = [\"a\"], drop = 10"),
        3,
        "10 is no share of the baseline",
        "between 0 and 1",
    );
    assert_refused(
        &canary("command = [\"a\"], direction = \"up\""),
        3,
        "`up` is not known here",
        "higher, lower",
    );
    assert_refused(
        &training("canary = { command = [\"a\"] }"),
        2,
        "no place for the canary set's baseline",
        "folder = ",
    );
    let ran = check(&canary("command = [\"./canary.sh\"]"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for warned in ["m.json yet", "canary.sh is no program that this user may run"] {
        assert!(ran.stderr.contains(warned), "{}", ran.stderr);
    }
}

#[test]
fn devices() {
    let device = |rest: &str| format!("[[device]]\n{rest}\n");
    assert_refused(
        &device("port = \"ttyUSB0\""),
        2,
        "`ttyUSB0` is no port",
        "/dev/serial/by-id",
    );
    assert_refused(&device("port = \"tcp://here\""), 2, "here", "tcp://host:port");
    assert_refused(
        &device("port = \"/dev/ttyACM0\"\nprotocol = \"jsno\""),
        3,
        "`jsno`",
        "did you mean `json`?",
    );
    assert_refused(
        &device("port = \"/dev/ttyACM*\"\nid = \"kitchen\""),
        3,
        "all devices that match",
        "a single port",
    );
    assert_refused(
        &(device("port = \"/dev/ttyACM0\"") + &device("port = \"/dev/ttyACM0\"")),
        4,
        "is listed twice",
        "remove one",
    );
    assert_refused(
        "[device]\nport = \"/dev/ttyACM0\"\n",
        1,
        "a table where a list belongs",
        "double brackets",
    );
    let ran = check(&device("port = \"/dev/serial/by-id/*\"\nbaud = 460800"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn bridges_and_receivers() {
    let bridge = |rest: &str| format!("[bridge]\n{rest}\n");
    assert_refused(&bridge(""), 1, "the bridge leads nowhere", "remote_write = ");
    assert_refused(
        &bridge("remote_write = \"http://a/\"\npushgateway = \"http://b\""),
        3,
        "two centres",
        "keep one",
    );
    assert_refused(
        &bridge("remote_write = \"centre:9090\""),
        2,
        "is not a URL",
        "http://host",
    );
    let password = bridge("remote_write = \"http://me:hunter2@centre/\"");
    assert_refused(&password, 2, "a password does not belong", "password_file");
    let more = |keys: &str| bridge(&format!("remote_write = \"http://127.0.0.1:1/w\"\n{keys}"));
    assert_refused(
        &more("user = \"me\""),
        3,
        "the user has no password",
        "password_file",
    );
    assert_refused(&more("ca_file = \"no.pem\""), 3, "cannot be read", "PEM");
    assert_refused(&more("token_file = \"no\""), 3, "cannot be read", "umask 077");
    assert_refused(
        &more("intake = \"10.255.255.1:9091\""),
        3,
        "no address of this machine",
        "127.0.0.1",
    );
    assert_refused(&more("spool = { size = \"big\" }"), 3, "is not a size", "10GB");
    let ran = check(&more(""));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let warned = ":2: warning: the centre of [bridge] at 127.0.0.1:1 does not answer";
    assert!(ran.stderr.contains(warned), "{}", ran.stderr);
    assert_refused(
        "[stack]\nprofile = \"agent\"\n",
        2,
        "an agent keeps nothing itself",
        "add [bridge]",
    );
    assert_refused(
        "[receiver]\n",
        1,
        "the key `out_of_order` is missing",
        "add `out_of_order",
    );
    let alone = check("[receiver]\nout_of_order = \"24h\"\n");
    assert!(
        alone
            .stderr
            .contains(":2: warning: Prometheus listens on 127.0.0.1"),
        "{}",
        alone.stderr
    );
}
