//! `[[probe]]`: what is asked from outside, and which answer is a good one.

use std::ops::Range;

use toml::Spanned;

use super::amounts::{duration, milliseconds};
use super::expectation::{self, Expectation};
use super::problem::Findings;
use super::url::Url;
use super::{HostPort, address, file};

/// `ProbeFailed` looks back for a minute, which must hold an answer even when one is lost.
const LONGEST_SECONDS: u64 = 30;

/// One thing that is asked from outside.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Value of the label `probe`, and name of the module.
    pub(crate) name: String,
    /// What is asked, and how.
    pub(crate) question: Question,
    /// How often, when not the stack's own interval.
    pub(crate) interval: Option<String>,
    /// Where the inventory names it.
    pub(crate) span: Range<usize>,
}

/// What a probe asks.
#[derive(Debug)]
pub(crate) enum Question {
    /// A page that must answer with a status of success.
    Http {
        /// Which one.
        url: Url,
        /// What it must say.
        expect: Vec<Expectation>,
    },
    /// A port that must take a connection.
    Tcp(HostPort),
    /// A host that must answer a ping.
    Icmp(String),
}

impl Probe {
    /// The host that is asked.
    pub(crate) fn host(&self) -> &str {
        match &self.question {
            Question::Http { url, .. } => &url.host,
            Question::Tcp(address) => &address.host,
            Question::Icmp(host) => host,
        }
    }

    /// What is asked, as the user wrote it.
    pub(crate) fn subject(&self) -> String {
        match &self.question {
            Question::Http { url, .. } => url.to_string(),
            Question::Tcp(address) => address.to_string(),
            Question::Icmp(host) => host.clone(),
        }
    }
}

/// Checks every probe. Whether it answers is what the probe itself will tell.
pub(crate) fn check(probes: &[file::Probe], findings: &mut Findings) -> Vec<Probe> {
    let mut checked: Vec<Probe> = Vec::new();
    for probe in probes {
        let name = name(&probe.name, &checked, findings);
        let interval = probe
            .interval
            .as_ref()
            .and_then(|interval| self::interval(interval, findings));
        if let Some(question) = question(probe, findings) {
            checked.push(Probe {
                name,
                question,
                interval,
                span: probe.name.span(),
            });
        }
    }
    checked
}

fn name(name: &Spanned<String>, others: &[Probe], findings: &mut Findings) -> String {
    let text = name.get_ref();
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || !text.chars().all(good) {
        findings.refuse(
            Some(name.span()),
            format!("{text:?} is no name of a probe"),
            "use letters, digits, hyphens, underscores, dots",
        );
    }
    if others.iter().any(|other| other.name == *text) {
        findings.refuse(
            Some(name.span()),
            format!("two probes are named `{text}`"),
            "the name becomes the label `probe`, so each needs its own",
        );
    }
    text.clone()
}

fn interval(interval: &Spanned<String>, findings: &mut Findings) -> Option<String> {
    let text = duration(interval, findings)?;
    if milliseconds(&text)? > LONGEST_SECONDS * 1000 {
        findings.refuse(
            Some(interval.span()),
            format!("a probe every {text} is too seldom for the alert ProbeFailed, which looks back for 1m"),
            format!("write {LONGEST_SECONDS}s or less, or leave it out: every 15s"),
        );
        return None;
    }
    Some(text)
}

fn question(probe: &file::Probe, findings: &mut Findings) -> Option<Question> {
    if let Some(expect) = probe.expect_json.as_ref().filter(|_| probe.url.is_none()) {
        let hint = "expect_json looks into the answer of a `url`; remove it, or probe a URL";
        findings.refuse(Some(expect.span()), "only a page answers with JSON", hint);
    }
    match (&probe.url, &probe.tcp, &probe.icmp) {
        (Some(url), None, None) => http(url, probe.expect_json.as_ref(), findings),
        (None, Some(tcp), None) => tcp_address(tcp, findings).map(Question::Tcp),
        (None, None, Some(icmp)) => match address::host(icmp.get_ref()) {
            Ok(host) => Some(Question::Icmp(host)),
            Err((what, hint)) => refuse(icmp.span(), what, hint, findings),
        },
        (None, None, None) => refuse(
            probe.name.span(),
            format!("probe `{}` asks nothing", probe.name.get_ref()),
            "add url = \"http://…\", tcp = \"host:port\" or icmp = \"host\"",
            findings,
        ),
        _ => refuse(
            probe.name.span(),
            format!("probe `{}` asks several things", probe.name.get_ref()),
            "keep one of url, tcp and icmp; make a [[probe]] for each of the others",
            findings,
        ),
    }
}

fn refuse<T>(
    at: Range<usize>,
    what: impl Into<String>,
    hint: impl Into<String>,
    findings: &mut Findings,
) -> Option<T> {
    findings.refuse(Some(at), what, hint);
    None
}

fn http(
    url: &Spanned<String>,
    expect: Option<&Spanned<toml::Table>>,
    findings: &mut Findings,
) -> Option<Question> {
    let expect = match expect.map(|table| (table.span(), expectation::leaves(table.get_ref()))) {
        None => Vec::new(),
        Some((_, Ok(leaves))) => leaves,
        Some((at, Err(what))) => {
            let hint = "expect single values: { status = \"healthy\", checks = { database = true } }";
            return refuse(at, what, hint, findings);
        }
    };
    match Url::parse(url.get_ref()) {
        Ok(parsed) if parsed.credentials.is_some() => refuse(
            url.span(),
            "the URL holds a name or password, which every alert would show",
            "probe a page that needs none",
            findings,
        ),
        Ok(url) => Some(Question::Http { url, expect }),
        Err((wrong, hint)) => refuse(url.span(), format!("`{}` {wrong}", url.get_ref()), hint, findings),
    }
}

fn tcp_address(tcp: &Spanned<String>, findings: &mut Findings) -> Option<HostPort> {
    match address::host_port(tcp.get_ref()) {
        Ok(address) => Some(address),
        Err((what, _)) => refuse(tcp.span(), what, "write `host:port`, such as `pc:22`", findings),
    }
}
