//! The walk over the folders that runs are searched in. Links are not followed, except where they are such a folder
//! themselves; depth and number are bounded.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use super::names::Names;
use super::place::{FolderKind, Place, latest};

/// Folders inside of folders are searched so far down.
const DEEPEST: usize = 6;
/// Further folders are left out: those that are the deepest, and of these the first by name, as names often tell the time.
const MOST_FOLDERS: usize = 5_000;
/// Further entries of one folder are left out.
const MOST_ENTRIES: usize = 10_000;
/// Further places are left out, the oldest first.
pub(crate) const MOST_PLACES: usize = 1_000;

/// What the walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The newest first, each with the run's name.
    pub(crate) places: Vec<(String, Place)>,
    /// Places that were too many.
    pub(crate) left_out: usize,
    /// Folders that are to be searched and cannot be read.
    pub(crate) missing: Vec<String>,
    /// Folders in them that cannot be read, and why.
    pub(crate) unreadable: Vec<(PathBuf, std::io::Error)>,
}

/// A folder that is still to be searched.
struct Task {
    folder: PathBuf,
    root: usize,
    depth: usize,
    /// The place that event files belong to.
    owner: Option<usize>,
    /// The places of the folder that it is in, and of the one above that.
    above: [Option<usize>; 2],
}

/// Walks over all folders. Places that were last written to before `oldest`, in Unix seconds, are not missed.
pub(crate) fn walk(roots: &[PathBuf], oldest: f64) -> Walk {
    let mut walk = Walk::default();
    let mut places: Vec<(usize, Place)> = Vec::new();
    let mut tasks: VecDeque<Task> = (0..roots.len())
        .map(|root| Task {
            folder: roots[root].clone(),
            root,
            depth: 0,
            owner: None,
            above: [None; 2],
        })
        .collect();
    let mut room = MOST_FOLDERS;
    let mut searched = HashSet::new();
    while let Some(task) = tasks.pop_front() {
        // One of the folders may lie in another.
        if !searched.insert(task.folder.clone()) {
            continue;
        }
        match search(&task) {
            Ok((place, mut below)) => {
                walk.left_out += below.len().saturating_sub(room);
                below.truncate(room);
                room -= below.len();
                enter(&task, place, below, &mut places, &mut tasks);
            }
            Err(error) if task.depth == 0 => walk
                .missing
                .push(format!("search {} for runs: {error}", task.folder.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => walk.unreadable.push((task.folder, error)),
        }
    }
    let names = Names::new(roots);
    let mut taken = HashSet::new();
    walk.places = places
        .into_iter()
        .filter(|(_, place)| !place.is_empty())
        .map(|(root, mut place)| {
            place.complete();
            (names.of(root, &place.folder), place)
        })
        .filter(|(name, _)| taken.insert(name.clone()))
        .collect();
    walk.sort();
    let surplus = walk.places.iter().skip(MOST_PLACES);
    walk.left_out += surplus.filter(|(_, place)| place.modified() >= oldest).count();
    walk.places.truncate(MOST_PLACES);
    walk
}

impl Walk {
    /// Asks the files that were found whether they have changed.
    pub(crate) fn refresh(&mut self) {
        for (_, place) in &mut self.places {
            place.refresh();
        }
        self.places.retain(|(_, place)| !place.is_empty());
        self.sort();
    }

    fn sort(&mut self) {
        self.places.sort_by_cached_key(|(name, place)| {
            (std::cmp::Reverse(place.modified().to_bits()), name.clone())
        });
    }
}

/// Searches one folder, and says which folders are in it.
fn search(task: &Task) -> std::io::Result<(Place, Vec<PathBuf>)> {
    let mut place = Place::new(task.folder.clone());
    let mut below = Vec::new();
    for entry in std::fs::read_dir(&task.folder)?.take(MOST_ENTRIES) {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() {
            place.file(&name, path);
        } else if kind.is_dir() {
            match FolderKind::of(&name) {
                FolderKind::Checkpoint => place.checkpoint(&path),
                FolderKind::Epoch => place.epoch(&path),
                FolderKind::Ignored => {}
                FolderKind::Checkpoints => {
                    models(&mut place, &path);
                    below.push(path);
                }
                FolderKind::Other => below.push(path),
            }
        }
    }
    if task.depth == DEEPEST {
        below.clear();
    }
    below.sort_unstable_by(|a, b| b.cmp(a));
    place.bound_logs();
    Ok((place, below))
}

/// The files of models in a folder of checkpoints, for the run beside which it lies.
fn models(place: &mut Place, folder: &Path) {
    let mut inner = Place::new(folder.into());
    for entry in std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .take(MOST_ENTRIES)
    {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            inner.file(&entry.file_name().to_string_lossy(), entry.path());
        }
    }
    place.checkpoint = latest(place.checkpoint, inner.checkpoint);
}

fn enter(
    task: &Task,
    mut place: Place,
    below: Vec<PathBuf>,
    places: &mut Vec<(usize, Place)>,
    tasks: &mut VecDeque<Task>,
) {
    let mut owner = task.owner;
    if place.is_output_folder() {
        owner = Some(places.len());
    } else if owner.is_none() && place.is_log_folder() {
        owner = task.above[1];
    }
    if let Some((_, owner)) = owner.and_then(|owner| places.get_mut(owner)) {
        owner.adopt(&mut place);
    }
    let above = [Some(places.len()), task.above[0]];
    places.push((task.root, place));
    tasks.extend(below.into_iter().map(|folder| Task {
        folder,
        root: task.root,
        depth: task.depth + 1,
        owner,
        above,
    }));
}
