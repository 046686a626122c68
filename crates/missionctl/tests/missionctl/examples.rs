//! Every example is a good inventory, whole and as it stands.

use std::path::{Path, PathBuf};

use crate::lab::Lab;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = std::fs::read_dir(&folder).expect("the examples");
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path().join("mission.toml"))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "{paths:?}");
    paths
}

/// Ports and secrets are what the machine of the test has in place of the reader's own.
#[test]
fn every_example_is_taken_as_it_stands() {
    for path in examples() {
        let example = std::fs::read_to_string(&path).expect("an example");
        let lab = Lab::new();
        for file in ["secrets/slack", "secrets/webhook"] {
            lab.write_secret(file, "https://example.org/hook\n", 0o600);
        }
        lab.write_secret("secrets/postgres", "sesame\n", 0o600);
        for file in ["secrets/litellm.dsn", "secrets/brain.dsn"] {
            lab.write_secret(file, "postgres://watcher:sesame@localhost:5432/brain\n", 0o600);
        }
        let text = match example.split_once("[stack.ports]") {
            // An example with ports of its own is to run beside another stack; here others may have them.
            Some((before, after)) => {
                let (_, rest) = after.split_once("\n\n").expect("a table that ends");
                format!("{before}\n{}\n{rest}", lab.ports_table())
            }
            None => format!("{example}\n{}", lab.ports_table()),
        };
        lab.write("mission.toml", &text);
        let ran = lab.run(&["render"]);
        assert_eq!(ran.code, 0, "{}\n{}\n{}", path.display(), ran.stdout, ran.stderr);
        assert!(
            !ran.stderr.contains(": error: "),
            "{}\n{}",
            path.display(),
            ran.stderr
        );
    }
}

#[test]
fn variables_in_examples_are_those_of_the_compose_file() {
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/compose.yaml");
    let compose = std::fs::read_to_string(compose).expect("the compose file");
    let mut seen = 0;
    for path in examples() {
        let example: toml::Table = std::fs::read_to_string(&path)
            .expect("an example")
            .parse()
            .expect("TOML");
        let variables = example.get("stack").and_then(|stack| stack.get("variables"));
        let names = variables
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(toml::Table::keys);
        for name in names {
            assert!(
                compose.contains(&format!("${{{name}:-")),
                "{}: {name}",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no example sets a variable");
}
