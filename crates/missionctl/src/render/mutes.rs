//! Routes that the user does not write: maintenance windows, and a short way for test alerts.
//!
//! Both become children of the routes below the root, so that what they do not match goes the way it always went. A
//! child inherits the receiver. Alertmanager allows no muting on the root itself, so an alert that no route claims is
//! never muted.

use anyhow::Context;
use serde_yaml_ng::{Mapping, Value};

use crate::inventory::Window;

/// Name of the synthetic alert; the routes below send it without waiting for others to group it with.
pub(crate) const TEST_ALERT: &str = "MissionControlTest";

/// Adds the windows' time intervals, and the routes.
pub(crate) fn apply(config: &mut Value, windows: &[Window]) -> anyhow::Result<()> {
    if !windows.is_empty() {
        let intervals = windows.iter().map(time_interval).collect();
        let config = config.as_mapping_mut().context("the file is not a mapping")?;
        config.insert("time_intervals".into(), Value::Sequence(intervals));
    }
    let root = config
        .get_mut("route")
        .and_then(Value::as_mapping_mut)
        .context("route is not a mapping")?;
    let mut routes = children(root);
    if routes.is_empty() {
        // Everything goes to the root; a route that claims everything takes its place.
        routes.push(Mapping::new());
    }
    let routes = routes
        .into_iter()
        .map(|route| Value::Mapping(extended(route, windows)));
    root.insert("routes".into(), routes.collect());
    Ok(())
}

fn children(route: &Mapping) -> Vec<Mapping> {
    let routes = route
        .get("routes")
        .and_then(Value::as_sequence)
        .into_iter()
        .flatten();
    routes.filter_map(Value::as_mapping).cloned().collect()
}

/// The route's own children come before the windows, which are for what those do not claim.
fn extended(mut route: Mapping, windows: &[Window]) -> Mapping {
    let own = children(&route);
    // After a child that lets others see its alerts too, a further route would take them a second time.
    let continues = own
        .iter()
        .any(|child| child.get("continue") == Some(&Value::Bool(true)));
    let mut routes = vec![test_route()];
    routes.extend(
        own.into_iter()
            .map(|child| Value::Mapping(extended(child, windows))),
    );
    if !continues {
        routes.extend(muted(windows, &[]));
    }
    route.insert("routes".into(), Value::Sequence(routes));
    route
}

/// A test shows whether the channels work, at once and for each test anew.
fn test_route() -> Value {
    mapping([
        ("matchers", strings([format!("alertname = \"{TEST_ALERT}\"")])),
        (
            "group_by",
            strings(["alertname", "machine", "test_id"].map(str::to_owned)),
        ),
        ("group_wait", "0s".into()),
        ("group_interval", "1s".into()),
    ])
}

/// One route for each window, and below it one for each later window, since an alert may fall into several.
fn muted(windows: &[Window], outer: &[&Window]) -> Vec<Value> {
    let mut routes = Vec::new();
    for (index, window) in windows.iter().enumerate() {
        let mut all = outer.to_vec();
        all.push(window);
        let names = all.iter().map(|window| interval_name(window));
        let mut route = vec![
            ("matchers", strings(matchers(window))),
            ("mute_time_intervals", strings(names)),
        ];
        let inner = muted(&windows[index + 1..], &all);
        if !inner.is_empty() {
            route.push(("routes", Value::Sequence(inner)));
        }
        routes.push(mapping(route));
    }
    routes
}

fn matchers(window: &Window) -> Vec<String> {
    let any_of = |label: &str, values: &[String]| {
        let escaped: Vec<String> = values.iter().map(|value| escape(value)).collect();
        (!values.is_empty()).then(|| format!("{label} =~ \"{}\"", escaped.join("|")))
    };
    [
        any_of("severity", &window.severities),
        any_of("machine", &window.machines),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Machine names may hold dots and other signs that mean something in a regular expression, inside a quoted string.
/// A backslash before any other character is an error there.
fn escape(value: &str) -> String {
    value
        .chars()
        .flat_map(|c| {
            if c.is_ascii_punctuation() && !"_-".contains(c) {
                vec!['\\', '\\', c]
            } else {
                vec![c]
            }
        })
        .collect()
}

fn interval_name(window: &Window) -> String {
    format!("maintenance-{}", window.name)
}

fn time_interval(window: &Window) -> Value {
    let mut interval = Vec::new();
    if !window.days.is_empty() {
        interval.push(("weekdays", strings(window.days.iter().cloned())));
    }
    if !window.times.is_empty() {
        let times = window.times.iter().map(|(start, end)| {
            mapping([
                ("start_time", start.as_str().into()),
                ("end_time", end.as_str().into()),
            ])
        });
        interval.push(("times", Value::Sequence(times.collect())));
    }
    interval.push(("location", "Local".into()));
    mapping([
        ("name", interval_name(window).into()),
        ("time_intervals", Value::Sequence(vec![mapping(interval)])),
    ])
}

fn mapping<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Mapping(
        entries
            .into_iter()
            .map(|(key, value)| (Value::from(key), value))
            .collect(),
    )
}

fn strings(values: impl IntoIterator<Item = String>) -> Value {
    Value::Sequence(values.into_iter().map(Value::from).collect())
}
