//! Proves the files of the stack itself: Prometheus' rules, Alertmanager's routes and messages, the dashboards and what the
//! documentation says about them. Needs `promtool` and `amtool`, which `make test` puts on the PATH.

mod alertmanager;
mod containers;
mod dashboards;
mod documentation;
mod files;
mod prometheus;
mod promql;
mod slack;

const SEVERITIES: [&str; 5] = ["critical", "high", "warning", "info", "none"];
const ANNOTATIONS: [&str; 5] = ["summary", "description", "impact", "action", "runbook_url"];
const CHANNELS: [&str; 2] = ["slack_configs", "webhook_configs"];
/// Fires always, so that nothing can be shown to keep it silent.
const WATCHDOG: &str = "Watchdog";
