//! What holds for every text and every project.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{files, generate};

/// A text of pieces that compose files are made of.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = [
        "name: a",
        "services:",
        "volumes:",
        "a:",
        "image: a",
        "<<: *a",
        "&a",
        "*a",
        "- ",
        "  ",
        "    ",
        "\n",
        "\n  ",
        "\n    ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        "\"",
        "|",
        ">",
        "$",
        "${",
        "${A:-",
        "}",
        "$$",
        "#",
        "!",
        "?",
        "%",
        "---",
        "...",
        "ports:",
        "80:80",
        "command:",
        "environment:",
        "null",
        "~",
        "1",
        "\t",
        "\u{feff}",
        "\0",
        "é",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

/// One of the fixtures with some of its bytes replaced.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<_> = files::fixtures()
        .iter()
        .map(|file| std::fs::read(file).expect("a fixture is readable"))
        .collect();
    let damage = proptest::collection::vec(
        (any::<prop::sample::Index>(), 0..12_usize, any::<Vec<u8>>()),
        1..6,
    );
    (proptest::sample::select(texts), damage).prop_map(|(mut text, damage)| {
        for (index, length, bytes) in damage {
            let start = index.index(text.len());
            let end = text.len().min(start + length);
            text.splice(start..end, bytes);
        }
        text
    })
}

/// Every problem is on a line that the text has, and is told on one line.
fn check(text: &[u8]) {
    let lines = text.split(|byte| *byte == b'\n').count();
    let Err(error) = files::load(text, &[("A", "a")]) else {
        return;
    };
    assert!(!error.problems().is_empty());
    assert_eq!(
        error.to_string().lines().count(),
        error.problems().len(),
        "{error}"
    );
    for problem in error.problems() {
        assert!(
            problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)),
            "{lines} lines: {problem:?}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_yaml_is_read_or_refused(text in pieces()) {
        check(text.as_bytes());
    }

    #[test]
    fn damaged_files_are_read_or_refused(text in damaged()) {
        check(&text);
    }

    #[test]
    fn arbitrary_templates_are_resolved_or_refused(template in "[$AB{}:?+ -]{0,20}|[ -~]{0,20}") {
        let value = serde_json::Value::from(template.clone());
        let text = format!("name: a\nservices: {{a: {{image: a, working_dir: {value}}}}}");
        let read = files::load(text.as_bytes(), &[("A", "a"), ("B", "")]);
        if !template.contains('$') && !template.is_empty() {
            let read = read.unwrap();
            prop_assert_eq!(read.services["a"].working_dir.as_deref(), Some(&*template));
        }
        let _ = compose::variables(&text);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn projects_are_read_as_they_were_written(project in generate::project()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yaml");
        std::fs::write(&file, generate::text(&project)).unwrap();
        let read = compose::load(&file, &BTreeMap::new()).unwrap();
        let expected = compose::Project { file: read.file.clone(), folder: read.folder.clone(), ..project };
        prop_assert_eq!(read, expected);
    }
}
