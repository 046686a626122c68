//! `[training]`: runs that training-exporter follows, and the canary set.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::amounts::duration;
use super::choices::one_of;
use super::file;
use super::file::OneOrMany;
use super::problem::Findings;

/// What training-exporter follows. Paths are absolute.
#[derive(Debug)]
pub(crate) struct Training {
    /// The file of metrics that the trainer rewrites.
    pub(crate) metrics: Option<PathBuf>,
    /// Files of events of the LLM orchestra, with `*` in their names perhaps.
    pub(crate) orchestra: Vec<PathBuf>,
    /// Folders with runs below them.
    pub(crate) runs: Vec<PathBuf>,
    /// How long a run is shown after its end.
    pub(crate) expire: Option<String>,
    /// The canary set.
    pub(crate) canary: Option<Canary>,
    /// Where the inventory names the first of these.
    pub(crate) span: Range<usize>,
}

/// `canary = { … }`
#[derive(Debug)]
pub(crate) struct Canary {
    /// Where its results come from.
    pub(crate) source: Source,
    /// Where the baseline and the decisions are, absolute.
    pub(crate) folder: PathBuf,
    /// How often the command runs, or how old its result may be.
    pub(crate) every: Option<String>,
    /// How long the command may run.
    pub(crate) timeout: Option<String>,
    /// Relative drop from the baseline that is forgetting.
    pub(crate) drop: Option<f64>,
    /// `lower` where less is better.
    pub(crate) direction: Option<String>,
    /// Results of fewer samples decide nothing.
    pub(crate) min_samples: Option<u64>,
    /// Where the inventory names the command or the file.
    pub(crate) span: Range<usize>,
}

/// Where the results of the canary set come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A program and its arguments; a program with a slash in its name is absolute.
    Command(Vec<String>),
    /// A file that the user's own schedule writes, absolute.
    File(PathBuf),
}

/// Where the table names what it follows, for what asks for the service.
pub(super) fn span(training: &file::Training) -> Option<Range<usize>> {
    let canary = training.canary.as_ref().and_then(canary_span);
    let metrics = training.metrics.as_ref().map(Spanned::span);
    metrics
        .or_else(|| training.runs.as_ref().map(Spanned::span))
        .or_else(|| training.orchestra.as_ref().map(Spanned::span))
        .or(canary)
}

fn canary_span(canary: &file::Canary) -> Option<Range<usize>> {
    let command = canary.command.as_ref().map(Spanned::span);
    command.or_else(|| canary.results.as_ref().map(Spanned::span))
}

/// Checks `[training]`. Whether the files are there is a matter for [`crate::preflight`].
pub(crate) fn check(training: &file::Training, root: &Path, findings: &mut Findings) -> Option<Training> {
    let Some(span) = span(training) else {
        findings.refuse(
            findings.header("[training]"),
            "nothing is named that could be followed",
            "name metrics = \"training/latest_metrics.json\", or folders with runs = [\"/srv/runs\"]",
        );
        return None;
    };
    let metrics = training
        .metrics
        .as_ref()
        .and_then(|path| one(path, root, findings));
    let canary = training.canary.as_ref();
    let canary = canary.and_then(|canary| self::canary(canary, metrics.as_deref(), root, findings));
    Some(Training {
        canary,
        metrics,
        orchestra: many(training.orchestra.as_ref(), root, findings),
        runs: many(training.runs.as_ref(), root, findings),
        expire: training
            .expire
            .as_ref()
            .and_then(|expire| duration(expire, findings)),
        span,
    })
}

fn one(path: &Spanned<String>, root: &Path, findings: &mut Findings) -> Option<PathBuf> {
    absolute(path.get_ref(), &path.span(), root, findings)
}

fn many(paths: Option<&Spanned<OneOrMany>>, root: &Path, findings: &mut Findings) -> Vec<PathBuf> {
    let Some(paths) = paths else { return Vec::new() };
    let texts = paths.get_ref().list().into_iter();
    texts
        .filter_map(|text| absolute(&text, &paths.span(), root, findings))
        .collect()
}

fn absolute(text: &str, at: &Range<usize>, root: &Path, findings: &mut Findings) -> Option<PathBuf> {
    if text.is_empty() || text.contains(char::is_control) {
        findings.refuse(
            Some(at.clone()),
            format!("{text:?} is no path"),
            "write a path, from the folder of mission.toml or from the root",
        );
        return None;
    }
    Some(root.join(text))
}

fn canary(
    canary: &file::Canary,
    metrics: Option<&Path>,
    root: &Path,
    findings: &mut Findings,
) -> Option<Canary> {
    let (source, span) = source(canary, root, findings)?;
    let folder = canary.folder.as_ref();
    let Some(folder) = folder
        .and_then(|folder| one(folder, root, findings))
        .or_else(|| Some(metrics?.parent()?.join("canary")))
    else {
        findings.refuse(
            Some(span),
            "there is no place for the canary set's baseline and decisions",
            "add `folder = \"training/canary\"`; with metrics it is the folder `canary` beside that file",
        );
        return None;
    };
    if let Some(drop) = &canary.drop
        && !(*drop.get_ref() > 0.0 && *drop.get_ref() < 1.0)
    {
        findings.refuse(
            Some(drop.span()),
            format!("{} is no share of the baseline", drop.get_ref()),
            "write a number between 0 and 1: 0.10 is a tenth",
        );
    }
    if let Some(direction) = &canary.direction
        && !["higher", "lower"].contains(&direction.get_ref().as_str())
    {
        one_of(
            direction.span(),
            direction.get_ref(),
            &["higher", "lower"],
            findings,
        );
    }
    let mut time = |time: &Option<Spanned<String>>| time.as_ref().and_then(|time| duration(time, findings));
    Some(Canary {
        every: time(&canary.every),
        timeout: time(&canary.timeout),
        source,
        folder,
        drop: canary.drop.as_ref().map(|drop| *drop.get_ref()),
        direction: canary
            .direction
            .as_ref()
            .map(|direction| direction.get_ref().clone()),
        min_samples: canary.min_samples.as_ref().map(|samples| *samples.get_ref()),
        span,
    })
}

fn source(canary: &file::Canary, root: &Path, findings: &mut Findings) -> Option<(Source, Range<usize>)> {
    match (&canary.command, &canary.results) {
        (Some(command), None) => {
            let at = command.span();
            let mut words = command.get_ref().clone();
            let Some(program) = words.first_mut().filter(|program| !program.is_empty()) else {
                let hint = "write the program and its arguments: [\"./canary.sh\", \"--fast\"]";
                findings.refuse(Some(at), "the command is empty", hint);
                return None;
            };
            if program.contains('/') {
                // Where the exporter runs, `./` would be its own folder.
                let path = root.join(&*program);
                *program = path.components().collect::<PathBuf>().display().to_string();
            }
            Some((Source::Command(words), at))
        }
        (None, Some(results)) => Some((Source::File(one(results, root, findings)?), results.span())),
        (Some(_), Some(results)) => {
            let what = "the canary set has a command and a file of results";
            findings.refuse(Some(results.span()), what, "keep one of the two");
            None
        }
        (None, None) => {
            let hint =
                "add `command = [\"./canary.sh\"]`, or `results = \"…\"` for what your own schedule writes";
            findings.refuse(
                findings.header("[training]"),
                "the canary set has neither a command nor a file of results",
                hint,
            );
            None
        }
    }
}
