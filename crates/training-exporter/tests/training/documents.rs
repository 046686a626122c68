//! The documents are about this program: the schema has every field that is read, the tables every metric.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_schema_has_the_fields_of_the_example_and_the_guide() {
    let schema: Value = serde_json::from_str(&read("../../docs/training-metrics.schema.json")).expect("JSON");
    let fields = |value: &Value| -> BTreeSet<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    let known = fields(&schema["properties"]);
    let whole: Value = serde_json::from_str(&read("tests/fixtures/whole/latest_metrics.json")).expect("JSON");
    assert!(fields(&whole).is_subset(&known), "{known:?}");
    assert_eq!(
        fields(&schema["properties"]["checkpoint"]["properties"]),
        fields(&whole["checkpoint"])
    );
    let guide = read("../../docs/training.md");
    for field in &known {
        assert!(
            guide.contains(&format!("\"{field}\":")),
            "docs/training.md has no {field}"
        );
    }
}

#[test]
fn every_metric_of_the_golden_pages_is_documented() {
    let reference = read("../../docs/metrics.md");
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names = BTreeSet::new();
    for page in fs::read_dir(pages).expect("golden pages").flatten() {
        if page
            .path()
            .extension()
            .is_some_and(|extension| extension == "prom")
        {
            let page = fs::read_to_string(page.path()).expect("a page");
            let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            names.extend(types.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())));
        }
    }
    names.retain(|name| !name.starts_with("training_exporter_"));
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(
            reference.contains(&format!("`{name}`")),
            "docs/metrics.md has no {name}"
        );
    }
}
