//! Words of `[stack]` that choose: as what the services run, how many, and which ones on top.

use std::ops::Range;

use toml::Spanned;

use super::problem::{Findings, did_you_mean};

/// What the services run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Containers where an engine can run them, else processes.
    Auto,
    /// Processes.
    Native,
    /// Containers.
    Docker,
}

/// How much of the stack is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    /// Exporters and the bridge: collect here, for a centre elsewhere.
    Agent,
    /// Collect and alert; nothing that a small machine can do without.
    Lite,
    /// Dashboards and the push gateway as well.
    Core,
    /// Logs and containers as well.
    Full,
}

impl Profile {
    /// Its word in `mission.toml` and `compose.yaml`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Lite => "lite",
            Self::Core => "core",
            Self::Full => "full",
        }
    }
}

/// What is started on top of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extra {
    /// Samples are kept for longer than Prometheus does.
    Longterm,
    /// Traces.
    Tracing,
    /// Elasticsearch and Kibana.
    Elk,
}

impl Extra {
    /// Every one there is.
    const ALL: [Self; 3] = [Self::Longterm, Self::Tracing, Self::Elk];

    /// Its word in `mission.toml` and `compose.yaml`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Longterm => "longterm",
            Self::Tracing => "tracing",
            Self::Elk => "elk",
        }
    }
}

/// `backend = "auto"`
pub(super) fn backend(
    backend: Option<&Spanned<String>>,
    demo: Option<&Spanned<bool>>,
    findings: &mut Findings,
) -> Backend {
    let Some(backend) = backend else {
        return Backend::Auto;
    };
    match backend.get_ref().as_str() {
        "auto" => return Backend::Auto,
        "native" => return Backend::Native,
        "docker" if demo.is_none() => return Backend::Docker,
        "docker" => findings.refuse(
            Some(backend.span()),
            "the made-up machine of `demo = true` is a process, which containers do not see",
            "write backend = \"native\", or remove `demo`",
        ),
        other => one_of(backend.span(), other, &["auto", "native", "docker"], findings),
    }
    Backend::Auto
}

/// `profile = "core"`
pub(super) fn profile(profile: Option<&Spanned<String>>, findings: &mut Findings) -> Profile {
    const ALL: [Profile; 4] = [Profile::Agent, Profile::Lite, Profile::Core, Profile::Full];
    let Some(profile) = profile else {
        return Profile::Core;
    };
    let known = ALL.into_iter().find(|known| known.name() == profile.get_ref());
    known.unwrap_or_else(|| {
        one_of(
            profile.span(),
            profile.get_ref(),
            &ALL.map(Profile::name),
            findings,
        );
        Profile::Core
    })
}

/// `extras = ["longterm"]`
pub(super) fn extras(extras: &[Spanned<String>], findings: &mut Findings) -> Vec<Extra> {
    let mut checked = Vec::new();
    for extra in extras {
        match Extra::ALL
            .into_iter()
            .find(|known| known.name() == extra.get_ref())
        {
            Some(known) if checked.contains(&known) => findings.refuse(
                Some(extra.span()),
                format!("`{}` is listed twice", extra.get_ref()),
                "remove one",
            ),
            Some(known) => checked.push(known),
            None => one_of(
                extra.span(),
                extra.get_ref(),
                &Extra::ALL.map(Extra::name),
                findings,
            ),
        }
    }
    checked
}

/// Refuses a word that is none of the known ones.
pub(crate) fn one_of(at: Range<usize>, word: &str, known: &[&str], findings: &mut Findings) {
    let hint = match did_you_mean(word, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "this file names none; remove it".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    findings.refuse(Some(at), format!("`{word}` is not known here"), hint);
}
