//! Upstream releases that may be downloaded, each with the SHA-256 that its project published.

/// An archive of one release for one machine architecture.
#[derive(Debug)]
pub(crate) struct Release {
    /// Name of the project, and of its main program.
    pub(crate) project: &'static str,
    /// As Rust names it: `std::env::consts::ARCH`.
    pub(crate) arch: &'static str,
    /// Where the archive is.
    pub(crate) url: &'static str,
    /// SHA-256 of the archive, lower-case hexadecimal.
    pub(crate) sha256: &'static str,
    /// Programs in the archive, by their path below its one folder.
    pub(crate) programs: &'static [&'static str],
}

/// The release of a project for this machine.
pub(crate) fn find(project: &str) -> Option<&'static Release> {
    RELEASES
        .iter()
        .find(|release| release.project == project && release.arch == std::env::consts::ARCH)
}

const RELEASES: [Release; 9] = [
    Release {
        project: "prometheus",
        arch: "x86_64",
        url: "https://github.com/prometheus/prometheus/releases/download/v3.5.0/prometheus-3.5.0.linux-amd64.tar.gz",
        sha256: "e811827af26d822afb09a4f28314f61b618b12cff5369835a67f674d8b46f39a",
        programs: &["prometheus", "promtool"],
    },
    Release {
        project: "prometheus",
        arch: "aarch64",
        url: "https://github.com/prometheus/prometheus/releases/download/v3.5.0/prometheus-3.5.0.linux-arm64.tar.gz",
        sha256: "173389cc42bf09c4e6e54cb53fa07a5a835d7c261e14775d2183181d6e385d1c",
        programs: &["prometheus", "promtool"],
    },
    Release {
        project: "alertmanager",
        arch: "x86_64",
        url: "https://github.com/prometheus/alertmanager/releases/download/v0.28.1/alertmanager-0.28.1.linux-amd64.tar.gz",
        sha256: "5ac7ab5e4b8ee5ce4d8fb0988f9cb275efcc3f181b4b408179fafee121693311",
        programs: &["alertmanager", "amtool"],
    },
    Release {
        project: "alertmanager",
        arch: "aarch64",
        url: "https://github.com/prometheus/alertmanager/releases/download/v0.28.1/alertmanager-0.28.1.linux-arm64.tar.gz",
        sha256: "d8832540e5b9f613d2fd759e31d603173b9c61cc7bb5e3bc7ae2f12038b1ce4f",
        programs: &["alertmanager", "amtool"],
    },
    Release {
        project: "node_exporter",
        arch: "x86_64",
        url: "https://github.com/prometheus/node_exporter/releases/download/v1.9.1/node_exporter-1.9.1.linux-amd64.tar.gz",
        sha256: "becb950ee80daa8ae7331d77966d94a611af79ad0d3307380907e0ec08f5b4e8",
        programs: &["node_exporter"],
    },
    Release {
        project: "node_exporter",
        arch: "aarch64",
        url: "https://github.com/prometheus/node_exporter/releases/download/v1.9.1/node_exporter-1.9.1.linux-arm64.tar.gz",
        sha256: "848f139986f63232ced83babe3cad1679efdbb26c694737edc1f4fbd27b96203",
        programs: &["node_exporter"],
    },
    Release {
        project: "pushgateway",
        arch: "x86_64",
        url: "https://github.com/prometheus/pushgateway/releases/download/v1.11.1/pushgateway-1.11.1.linux-amd64.tar.gz",
        sha256: "6ce6ffab84d0d71195036326640295c02165462abd12b8092b0fa93188f5ee37",
        programs: &["pushgateway"],
    },
    Release {
        project: "pushgateway",
        arch: "aarch64",
        url: "https://github.com/prometheus/pushgateway/releases/download/v1.11.1/pushgateway-1.11.1.linux-arm64.tar.gz",
        sha256: "b6dc1c1c46d1137e5eda253f6291247e39330d3065a839857b947e59b4f3e64b",
        programs: &["pushgateway"],
    },
    Release {
        project: "grafana",
        arch: "x86_64",
        url: "https://dl.grafana.com/oss/release/grafana-12.0.2.linux-amd64.tar.gz",
        sha256: "c1755b4da918edfd298d5c8d5f1ffce35982ad10e1640ec356570cfb8c34b3e8",
        programs: &["bin/grafana"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_has_a_whole_checksum_and_an_archive_of_its_own_architecture() {
        for release in &RELEASES {
            assert_eq!(release.sha256.len(), 64, "{}", release.url);
            assert!(
                release
                    .sha256
                    .bytes()
                    .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
            );
            let arch = if release.arch == "x86_64" {
                "amd64"
            } else {
                "arm64"
            };
            assert!(
                release.url.ends_with(&format!("linux-{arch}.tar.gz")),
                "{}",
                release.url
            );
            assert!(release.url.starts_with("https://"));
        }
    }
}
