//! Images: found in the engine, pulled, or built from this repository.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use anyhow::Context as _;
use bollard::body_full;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{BuildImageOptions, CreateImageOptions};
use compose::{Build, PullPolicy, Service};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::containers::Found;
use super::context::{self, Context};
use super::engine::{Engine, advice, is_unknown, reason};
use super::labels;
use crate::progress::Progress;
use crate::render::hex;

/// Label of an image that was built here: a digest of everything that it was built from.
const SOURCE: &str = "mission-control.source";
/// A registry that has not answered by then is not reached.
const REGISTRY_LIMIT: Duration = Duration::from_secs(15);
/// Of a build that failed, so much of its output is shown.
const LAST_LINES: usize = 12;

/// The images of services, and why some have none.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// Image id by service.
    pub(crate) ids: BTreeMap<String, String>,
    /// Reason by service.
    pub(crate) missing: BTreeMap<String, String>,
    /// What could not be had or built anew, so that an older image goes on. One sentence each.
    pub(crate) stale: Vec<String>,
    /// Services whose containers stay as they are, since the image for a new one cannot be had.
    pub(crate) kept: BTreeSet<String>,
}

/// What came of one image.
pub(crate) enum Image {
    /// It is here, under this id.
    Here(String),
    /// An older one is here, and the new one could not be made for this reason.
    Stale(String, String),
    /// It is not here for this reason.
    Missing(String),
}

/// Finds, pulls or builds the image of every service.
pub(crate) fn ensure(engine: &Engine, services: &[&Service], progress: &Progress) -> anyhow::Result<Images> {
    let mut images = Images::default();
    let (own, others): (Vec<&Service>, Vec<&Service>) =
        services.iter().partition(|service| service.build.is_some());
    for (service, image) in pull_all(engine, &others, progress)? {
        images.insert(service, image);
    }
    for (service, image) in build_all(engine, &own, progress)? {
        images.insert(service, image);
    }
    Ok(images)
}

/// Whether the image of every service is here or could be had; else the first that is not, with the reason.
pub(crate) fn obtainable(engine: &Engine, services: &[&Service]) -> anyhow::Result<Result<(), String>> {
    for service in services {
        let mut wanted = vec![name(service).to_owned()];
        if id(engine, name(service))?.is_some() {
            continue;
        }
        if let Some(build) = &service.build {
            // The programs are static unless another target says that they are not.
            let unused = match build.target.as_deref() {
                Some("static") => "GLIBC_IMAGE",
                _ => "BASE_IMAGE",
            };
            wanted = build
                .args
                .iter()
                .filter(|(name, image)| name.ends_with("_IMAGE") && *name != unused && *image != "scratch")
                .map(|(_, image)| image.clone())
                .collect();
        }
        for image in wanted {
            if id(engine, &image)?.is_none()
                && let Err(reason) = in_registry(engine, &image)
            {
                return Ok(Err(format!("{image} is neither here nor to be had: {reason}")));
            }
        }
    }
    Ok(Ok(()))
}

/// Builds the images of services whose sources have changed, or all of them where none is there yet.
pub(crate) fn build_all(
    engine: &Engine,
    services: &[&Service],
    progress: &Progress,
) -> anyhow::Result<Vec<(String, Image)>> {
    // Images of one folder share its archive.
    let mut contexts: BTreeMap<_, Context> = BTreeMap::new();
    let mut images = Vec::new();
    for service in services {
        let Some(build) = &service.build else { continue };
        let context = match contexts.entry((&build.context, &build.dockerfile)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(context::pack(&build.context, &build.dockerfile)?),
        };
        let image = build_one(engine, service, build, context, progress)?;
        images.push((service.name.clone(), image));
    }
    Ok(images)
}

impl Images {
    /// What runs goes on where its new image is missing.
    pub(crate) fn keep(&mut self, present: &[Found]) {
        for found in present {
            let Some(image) = found.labels.get(labels::IMAGE) else {
                continue;
            };
            if let Some(reason) = self.missing.remove(&found.service) {
                self.kept.insert(found.service.clone());
                self.insert(found.service.clone(), Image::Stale(image.clone(), reason));
            }
        }
    }

    fn insert(&mut self, service: String, image: Image) {
        match image {
            Image::Here(id) => {
                self.ids.insert(service, id);
            }
            Image::Stale(id, reason) => {
                self.stale
                    .push(format!("{service} goes on with its older image: {reason}"));
                self.ids.insert(service, id);
            }
            Image::Missing(reason) => {
                self.missing.insert(service, reason);
            }
        }
    }
}

/// The reader of compose files lets no service through that has neither; one that is built may lack a name of its own.
fn name(service: &Service) -> &str {
    service.image.as_deref().unwrap_or(&service.name)
}

/// The id of an image that is here.
fn id(engine: &Engine, name: &str) -> anyhow::Result<Option<String>> {
    match engine.wait(engine.docker().inspect_image(name)) {
        Ok(image) => Ok(image.id),
        Err(error) if is_unknown(&error) => Ok(None),
        Err(error) => Err(said(&error)).with_context(|| format!("look for the image {name}")),
    }
}

/// What the engine says, with what to do about it.
fn said(error: &Error) -> anyhow::Error {
    let reason = reason(error);
    match advice(&reason) {
        Some(advice) => anyhow::anyhow!("{reason}; {advice}"),
        None => anyhow::anyhow!("{reason}"),
    }
}

fn is_offline() -> bool {
    std::env::var_os("MISSION_OFFLINE").is_some_and(|value| !value.is_empty())
}

fn in_registry(engine: &Engine, image: &str) -> Result<(), String> {
    if is_offline() {
        return Err("MISSION_OFFLINE is set".to_owned());
    }
    let question = engine.docker().inspect_registry_image(image, None);
    match engine.wait(async { tokio::time::timeout(REGISTRY_LIMIT, question).await }) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err("its registry does not answer".to_owned()),
    }
}

/// All at once: what takes long is mostly the network.
fn pull_all(
    engine: &Engine,
    services: &[&Service],
    progress: &Progress,
) -> anyhow::Result<Vec<(String, Image)>> {
    let mut found = Vec::new();
    let mut wanted = Vec::new();
    for service in services {
        let lacks = |why: &str| Image::Missing(format!("{} is not here, and {why}", name(service)));
        let image = match (id(engine, name(service))?, service.pull_policy) {
            (Some(_), Some(PullPolicy::Always)) if !is_offline() => None,
            (Some(id), _) => Some(Image::Here(id)),
            (None, Some(PullPolicy::Never)) => Some(lacks("its pull_policy says never")),
            (None, _) if is_offline() => Some(lacks("MISSION_OFFLINE is set")),
            (None, _) => None,
        };
        match image {
            Some(image) => found.push((service.name.clone(), image)),
            None => wanted.push(*service),
        }
    }
    if !wanted.is_empty() {
        let names: Vec<&str> = wanted.iter().map(|service| name(service)).collect();
        progress.step(&format!("pulling {}", names.join(", ")));
    }
    let shares: RefCell<BTreeMap<&str, String>> = RefCell::default();
    let pulls = wanted.iter().map(|service| async {
        let result = pull(engine, name(service), |status| {
            shares.borrow_mut().insert(&service.name, status);
            let shares = shares.borrow();
            let line: Vec<String> = shares
                .iter()
                .map(|(name, status)| format!("{name} {status}"))
                .collect();
            progress.detail(&format!("pulling: {}", line.join(", ")));
        });
        (*service, result.await)
    });
    for (service, result) in engine.wait(join_all(pulls)) {
        let image = match result {
            Ok(()) => id(engine, name(service))?,
            Err(error) => {
                let reason = format!("{} could not be pulled: {}", name(service), said(&error));
                found.push((service.name.clone(), Image::Missing(reason)));
                continue;
            }
        };
        let id = image.with_context(|| format!("{} was pulled and is not here", name(service)))?;
        found.push((service.name.clone(), Image::Here(id)));
    }
    Ok(found)
}

async fn pull(engine: &Engine, image: &str, mut tell: impl FnMut(String)) -> Result<(), Error> {
    // Without a tag the engine would pull all of them.
    let is_tagged = image
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains([':', '@']));
    let options = CreateImageOptions {
        from_image: Some(image.to_owned()),
        tag: (!is_tagged).then(|| "latest".to_owned()),
        ..CreateImageOptions::default()
    };
    let mut layers: HashMap<String, (i64, i64)> = HashMap::new();
    let mut stream = engine.docker().create_image(Some(options), None, None);
    while let Some(info) = stream.next().await {
        let CreateImageInfo {
            id: Some(layer),
            progress_detail: Some(detail),
            ..
        } = info?
        else {
            continue;
        };
        let (Some(current), Some(total)) = (detail.current, detail.total) else {
            continue;
        };
        layers.insert(layer, (current, total));
        let (current, total) = layers
            .values()
            .fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        tell(format!("{} %", current * 100 / total.max(1)));
    }
    Ok(())
}

fn build_one(
    engine: &Engine,
    service: &Service,
    build: &Build,
    context: &Context,
    progress: &Progress,
) -> anyhow::Result<Image> {
    let image = name(service);
    let source = source(build, context);
    let older = match engine.wait(engine.docker().inspect_image(image)) {
        Ok(known) => Some(known),
        Err(error) if is_unknown(&error) => None,
        Err(error) => return Err(said(&error)).with_context(|| format!("look for the image {image}")),
    };
    let (older, labels) = older.map_or((None, None), |older| {
        (older.id, older.config.and_then(|config| config.labels))
    });
    let is_current = labels.is_some_and(|labels| labels.get(SOURCE) == Some(&source));
    if let Some(id) = older.as_ref().filter(|_| is_current) {
        return Ok(Image::Here(id.clone()));
    }
    progress.step(&format!("building {image}"));
    let stream = engine.docker().build_image(
        options(build, image, source),
        None,
        Some(body_full(context.archive.clone().into())),
    );
    if let Err(reason) = engine.wait(follow(stream, image, progress)) {
        let advice = advice(&reason)
            .map(|advice| format!("\n  {advice}"))
            .unwrap_or_default();
        let reason = format!("{image} could not be built: {reason}{advice}");
        return Ok(match older {
            Some(id) => Image::Stale(id, reason),
            None => Image::Missing(reason),
        });
    }
    let id = id(engine, image)?.with_context(|| format!("{image} was built and is not here"))?;
    Ok(Image::Here(id))
}

/// Everything that the image is made of.
fn source(build: &Build, context: &Context) -> String {
    let mut hash = Sha256::new();
    hash.update(&context.digest);
    hash.update(format!("{:?}", (&build.dockerfile, &build.target, &build.args)));
    hex(&hash.finalize())
}

fn options(build: &Build, image: &str, source: String) -> BuildImageOptions {
    let mut labels: HashMap<String, String> = build.labels.clone().into_iter().collect();
    labels.insert(SOURCE.to_owned(), source);
    BuildImageOptions {
        dockerfile: build.dockerfile.display().to_string(),
        t: Some(image.to_owned()),
        rm: true,
        forcerm: true,
        buildargs: Some(build.args.clone().into_iter().collect()),
        labels: Some(labels),
        target: build.target.clone().unwrap_or_default(),
        networkmode: build.network.clone(),
        ..BuildImageOptions::default()
    }
}

/// Shows how the build goes on; fails with its last lines.
async fn follow(
    mut stream: impl Stream<Item = Result<bollard::models::BuildInfo, Error>> + Unpin,
    image: &str,
    progress: &Progress,
) -> Result<(), String> {
    let mut last: VecDeque<String> = VecDeque::new();
    while let Some(info) = stream.next().await {
        let failed = match info {
            Ok(info) => {
                let text = info.stream.unwrap_or_default();
                for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
                    if line.starts_with("Step ") {
                        progress.detail(&format!("building {image}: {line}"));
                    }
                    last.push_back(line.to_owned());
                    if last.len() > LAST_LINES {
                        last.pop_front();
                    }
                }
                info.error_detail.and_then(|detail| detail.message)
            }
            Err(error) => Some(reason(&error)),
        };
        if let Some(reason) = failed {
            let lines: Vec<String> = last.into_iter().map(|line| format!("\n    {line}")).collect();
            return Err(format!("{reason}{}", lines.concat()));
        }
    }
    Ok(())
}
