//! Names of runs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Names of runs: the path below the folder that is searched. With several of them its own name stands in front.
pub(super) struct Names<'a> {
    roots: &'a [PathBuf],
    prefixes: Vec<String>,
}

/// The run that is told by `latest_metrics.json` has this name.
const RESERVED: &str = "cet";

impl<'a> Names<'a> {
    pub(super) fn new(roots: &'a [PathBuf]) -> Self {
        let mut count: HashMap<String, usize> = HashMap::new();
        for root in roots {
            *count.entry(last(root)).or_default() += 1;
        }
        let prefix = |root: &PathBuf| match count.get(&last(root)) {
            Some(1) => last(root),
            _ => text(root).trim_matches('/').to_owned(),
        };
        Self {
            roots,
            prefixes: roots.iter().map(prefix).collect(),
        }
    }

    pub(super) fn of(&self, root: usize, folder: &Path) -> String {
        let prefix = &self.prefixes[root];
        let inner = folder
            .strip_prefix(&self.roots[root])
            .map(text)
            .unwrap_or_default();
        if inner.is_empty() {
            prefix.clone()
        } else if self.roots.len() > 1 || inner == RESERVED {
            format!("{prefix}/{inner}")
        } else {
            inner
        }
    }
}

fn last(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| text(path), |name| text(Path::new(name)))
}

/// The path as text; what is not UTF-8 becomes `\xff`.
fn text(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn one_folder_needs_no_name() {
        let roots = [PathBuf::from("/srv/runs")];
        let names = Names::new(&roots);
        for (folder, name) in [
            ("/srv/runs", "runs"),
            ("/srv/runs/a/b", "a/b"),
            ("/srv/runs/cet", "runs/cet"),
        ] {
            assert_eq!(names.of(0, Path::new(folder)), name);
        }
        let odd = Path::new("/srv/runs").join(std::ffi::OsStr::from_bytes(b"a\xff"));
        assert_eq!(names.of(0, &odd), "a\\xff");
    }

    #[test]
    fn folders_of_the_same_name_have_their_path_in_front() {
        let roots = ["/a/runs", "/b/runs", "/c/other"].map(PathBuf::from);
        let names = Names::new(&roots);
        assert_eq!(names.of(0, Path::new("/a/runs/x")), "a/runs/x");
        assert_eq!(names.of(1, Path::new("/b/runs/x")), "b/runs/x");
        assert_eq!(names.of(2, Path::new("/c/other/x")), "other/x");
    }
}
