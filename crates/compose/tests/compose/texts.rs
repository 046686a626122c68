//! Made-up texts in places that read them closely: what this crate accepts, docker compose accepts, and it means the
//! same to both.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::{files, oracle};

/// The texts tried in one file, for docker compose takes a while to start.
const TEXTS: usize = 60;

/// A file with a service for each of the bodies.
fn file(bodies: &[&String]) -> String {
    let service = |(index, body)| format!("  s{index}:\n    image: a\n    {body}\n");
    let services: Vec<_> = bodies.iter().enumerate().map(service).collect();
    let volumes = "  v: {image: a, volumes: [\"va:/a\", \"vb:/b\"]}\nvolumes: {va: , vb: }\n";
    format!("name: x\nservices:\n{}{volumes}", services.concat())
}

/// Compares the bodies of services that this crate accepts.
fn compare(bodies: &[String]) {
    let variables = [("A", "a"), ("B", ""), ("HOME", "/home/me")];
    let both = |bodies: &[&String]| {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("compose.yaml");
        std::fs::write(&path, file(bodies)).expect("there is room");
        oracle::compare(&path, &files::environment(&variables))
    };
    let accepted = |body: &&String| files::load(file(&[body]).as_bytes(), &variables).is_ok();
    let accepted: Vec<_> = bodies.iter().filter(accepted).collect();
    assert!(bodies.len() == 1 || !accepted.is_empty(), "nothing to compare");
    if let Err(error) = both(&accepted) {
        let different = |body: &&String| both(&[body]).err().map(|error| format!("{body:?}: {error}"));
        let different: Vec<_> = accepted.iter().filter_map(different).collect();
        panic!("{error}\n{}", different.join("\n"));
    }
}

/// `key` with a text, or with a list of the one text.
fn quoted(key: &str, texts: &[String]) -> Vec<String> {
    texts
        .iter()
        .map(|text| format!("{key}: {}", json!(text)))
        .collect()
}

fn listed(key: &str, texts: &[String]) -> Vec<String> {
    texts
        .iter()
        .map(|text| format!("{key}: {}", json!([text])))
        .collect()
}

proptest! {
    #![proptest_config(oracle::cases(6))]

    #[test]
    fn words_without_quotes(
        texts in vec("[+-]?[0-9]{0,3}[0-9._:eExobTn -]{0,5}|[a-z~<%@`|>#?:,{}=.]{0,4}|(true|null|yes|No|ON|0o17|[.]inf)", TEXTS)
    ) {
        compare(&texts.iter().map(|text| format!("environment:\n      K: {text}")).collect::<Vec<_>>());
        compare(&texts.iter().map(|text| format!("labels:\n      - K={text}")).collect::<Vec<_>>());
        compare(&texts.into_iter().map(|text| format!("working_dir: {text}")).collect::<Vec<_>>());
    }

    #[test]
    fn numbers(texts in vec("[+-]?0?[0-9]{1,4}|0x[0-9a-f]{1,2}|[0-9][.][0-9]|\"[+-]?0?[0-9]{1,4}\"|-1", TEXTS)) {
        for key in ["pids_limit", "oom_score_adj", "mem_limit", "memswap_limit", "cpus", "expose", "group_add", "ports"] {
            let list = matches!(key, "expose" | "group_add" | "ports");
            let body = |text: &String| if list { format!("{key}: [{text}]") } else { format!("{key}: {text}") };
            compare(&texts.iter().map(body).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sizes(texts in vec("[0-9]{0,4}[.]?[0-9]{0,3} ?[kKmMgGtT]?[iI]?[bB]?", TEXTS)) {
        compare(&quoted("shm_size", &texts));
    }

    #[test]
    fn durations(texts in vec("([0-9]{0,3}[.]?[0-9]{0,2}(ns|us|µs|ms|s|m|h|d|w)?){1,3}", TEXTS)) {
        compare(&quoted("stop_grace_period", &texts));
    }

    #[test]
    fn commands(texts in vec("[ab\\\\'\" \t\n#=~*?!^%,ntä-]{0,10}", TEXTS)) {
        compare(&quoted("command", &texts));
    }

    #[test]
    fn templates(texts in vec("[AB$ {}:?+-]{0,12}|[$][{][AB](:?[-+?][AB$ {}:?+-]{0,8})?[}]", TEXTS)) {
        compare(&quoted("hostname", &texts));
    }

    #[test]
    fn ports(texts in vec("((127.0.0.1|::1|\\[::1\\]|0.0.0.0|)?:)?([0-9]{0,5}(-[0-9]{1,4})?:)?[0-9]{1,5}(-[0-9]{1,4})?(/(tcp|udp|UDP|sctp))?", 12)) {
        for body in listed("ports", &texts) {
            compare(&[body]);
        }
    }

    #[test]
    fn mounts(texts in vec("(\\./|/|~/|~|va|vb|\\.\\./|\\.)[a./]{0,3}:/?[a./]{1,4}(:(ro|rw|rslave|shared,ro|Z|,))?", TEXTS)) {
        compare(&listed("volumes", &texts));
    }

    #[test]
    fn hosts(texts in vec("[a-c.]{0,3}[:=]\\[?(10.0.0.[0-9]|::[0-9]|fe80::1|host-gateway|x|1.2.3)\\]?", TEXTS)) {
        compare(&listed("extra_hosts", &texts));
    }

    #[test]
    fn devices(texts in vec("(/dev/a|/b|c)(:(/dev/b|c|))?(:[rwmx]{0,3})?", TEXTS)) {
        compare(&listed("devices", &texts));
    }
}
