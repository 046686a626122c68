//! Who holds a GPU's memory: processes grouped by what runs them, from `<procfs>/<pid>/{cgroup,comm}`. Readable by
//! everybody; the processes of other containers and namespaces are only seen from the host's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::reading::Process;

/// At most this many groups have a row of their own.
const ROWS: usize = 32;
/// Characters of a container's id that its engine shows.
const SHORT_ID: usize = 12;

/// What holds memory: its command, and the systemd unit or container that it runs in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder {
    pub(crate) process: String,
    pub(crate) unit: String,
}

/// The processes of this machine.
#[derive(Debug)]
pub(crate) struct Processes(PathBuf);

impl Processes {
    pub(crate) fn new(procfs: &Path) -> Self {
        Self(procfs.into())
    }

    /// Memory by holder, the largest first; the smallest of many are one holder called `other`.
    pub(crate) fn holders(&self, processes: &[Process]) -> Vec<(Holder, u64)> {
        let mut groups: BTreeMap<Holder, u64> = BTreeMap::new();
        for process in processes {
            let bytes = groups.entry(self.holder(process.pid)).or_default();
            *bytes = bytes.saturating_add(process.bytes);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let rest: u64 = groups.iter().skip(ROWS).map(|(_, bytes)| bytes).sum();
        if groups.len() > ROWS {
            groups.truncate(ROWS);
            let other = Holder {
                process: "other".into(),
                unit: String::new(),
            };
            match groups.iter_mut().find(|(holder, _)| *holder == other) {
                Some((_, bytes)) => *bytes += rest,
                None => groups.push((other, rest)),
            }
        }
        groups
    }

    fn holder(&self, pid: u32) -> Holder {
        let read = |file| exporter::fs::read_text(&self.0.join(pid.to_string()).join(file)).ok();
        Holder {
            // Ended since, or of another namespace.
            process: read("comm").unwrap_or_else(|| "unknown".into()),
            unit: read("cgroup").and_then(|text| unit(&text)).unwrap_or_default(),
        }
    }
}

/// The innermost container or unit in the text of a `cgroup` file.
fn unit(cgroup: &str) -> Option<String> {
    // Version 2 first; of version 1 systemd's own hierarchy has the same names.
    let path = |prefix: &str| {
        let mut lines = cgroup.lines().filter(|line| line.starts_with(prefix));
        lines.find_map(|line| line.splitn(3, ':').nth(2))
    };
    let path = path("0::")
        .filter(|path| *path != "/")
        .or_else(|| path("1:name=systemd:"))?;
    let parts = || path.rsplit('/').filter(|part| !part.is_empty());
    let container = parts().find_map(container);
    container.or_else(|| {
        let is_unit = |part: &&str| matches!(part.rsplit_once('.'), Some((_, "service" | "scope")));
        parts().find(is_unit).map(str::to_owned)
    })
}

/// `docker-<id>.scope`, `libpod-<id>.scope`, `cri-containerd-<id>.scope`, or the bare id below `docker`.
fn container(part: &str) -> Option<String> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let (engine, id) = name.rsplit_once('-').unwrap_or(("container", name));
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| format!("{engine}-{}", &id[..SHORT_ID]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_innermost_container_or_service() {
        let id = "0123456789abcdef".repeat(4);
        let cases = [
            (
                "0::/system.slice/ollama.service\n".to_owned(),
                Some("ollama.service"),
            ),
            (
                format!("0::/system.slice/docker-{id}.scope\n"),
                Some("docker-0123456789ab"),
            ),
            (format!("0::/docker/{id}\n"), Some("container-0123456789ab")),
            (
                format!(
                    "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope/container\n"
                ),
                Some("libpod-0123456789ab"),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-code-1.scope\n"
                    .to_owned(),
                Some("app-gnome-code-1.scope"),
            ),
            (
                "4:memory:/x\n1:name=systemd:/system.slice/vllm.service\n0::/\n".to_owned(),
                Some("vllm.service"),
            ),
            ("0::/\n".to_owned(), None),
            ("noise\n".to_owned(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(unit(&text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn many_holders_become_rows_and_a_rest() {
        let procfs = tempfile::tempdir().expect("a folder");
        for pid in 1..=40 {
            let folder = procfs.path().join(pid.to_string());
            std::fs::create_dir(&folder).expect("a folder");
            std::fs::write(folder.join("comm"), format!("job{}\n", pid / 2)).expect("write");
            std::fs::write(
                folder.join("cgroup"),
                format!("0::/system.slice/unit{pid}.service\n"),
            )
            .expect("write");
        }
        let processes = Processes::new(procfs.path());
        let all: Vec<Process> = (1..=40)
            .map(|pid| Process {
                pid,
                bytes: u64::from(pid),
            })
            .collect();
        let holders = processes.holders(&all);
        assert_eq!(holders.len(), ROWS + 1);
        assert_eq!(holders[0].0.unit, "unit40.service");
        let rest = &holders[ROWS];
        assert_eq!((rest.0.process.as_str(), rest.1), ("other", 36), "1 + 2 + … + 8");
        let total: u64 = holders.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(total, 820, "nothing is lost");

        let gone = processes.holders(&[Process { pid: 99, bytes: 5 }]);
        assert_eq!((gone[0].0.process.as_str(), gone[0].1), ("unknown", 5));
    }

    #[test]
    fn processes_of_one_unit_and_command_share_a_row() {
        let procfs = tempfile::tempdir().expect("a folder");
        for pid in [7, 8] {
            let folder = procfs.path().join(pid.to_string());
            std::fs::create_dir(&folder).expect("a folder");
            std::fs::write(folder.join("comm"), "python3\n").expect("write");
            std::fs::write(folder.join("cgroup"), "0::/system.slice/vllm.service\n").expect("write");
        }
        let two = [Process { pid: 7, bytes: 1 }, Process { pid: 8, bytes: 2 }];
        let holders = Processes::new(procfs.path()).holders(&two);
        let vllm = Holder {
            process: "python3".into(),
            unit: "vllm.service".into(),
        };
        assert_eq!(holders, [(vllm, 3)]);
    }
}
