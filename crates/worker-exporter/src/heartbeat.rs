//! Heartbeat files: a worker touches its file, the file's modification time is its last sign of life.

use std::path::Path;
use std::time::UNIX_EPOCH;

/// When the worker's file was last written, in seconds since 1970; `None` without one. `pattern` holds
/// `{worker}`. The name of a worker never leads out of the folder.
pub(crate) fn last(pattern: &str, worker: &str) -> Option<f64> {
    if worker.contains('/') || worker.starts_with('.') {
        return None;
    }
    let path = pattern.replace("{worker}", worker);
    let modified = Path::new(&path).metadata().ok()?.modified().ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_file_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pattern = format!("{}/{{worker}}.heartbeat", folder.path().display());
        assert_eq!(last(&pattern, "worker"), None);
        let file = std::fs::File::create(folder.path().join("worker.heartbeat")).unwrap();
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_500))
            .unwrap();
        assert_eq!(last(&pattern, "worker"), Some(1_700_000_000.5));
        assert_eq!(
            last(
                &format!("{}/x/{{worker}}.heartbeat", folder.path().display()),
                "../worker"
            ),
            None
        );
    }
}
