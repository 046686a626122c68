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
    /// Programs in the archive: their path, below its one folder if it has one, and their canonical name.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

impl Release {
    /// The archive's name without its ending, and whether it is a zip file; a compressed tar otherwise.
    pub(crate) fn archive(&self) -> (&'static str, bool) {
        let file = self.url.rsplit('/').next().unwrap_or(self.project);
        match file.strip_suffix(".zip") {
            Some(name) => (name, true),
            None => (file.strip_suffix(".tar.gz").unwrap_or(file), false),
        }
    }
}

/// The release of a project for this machine.
pub(crate) fn find(project: &str) -> Option<&'static Release> {
    RELEASES
        .iter()
        .find(|release| release.project == project && release.arch == std::env::consts::ARCH)
}

const RELEASES: [Release; 15] = [
    Release {
        project: "prometheus",
        arch: "x86_64",
        url: "https://github.com/prometheus/prometheus/releases/download/v3.5.0/prometheus-3.5.0.linux-amd64.tar.gz",
        sha256: "e811827af26d822afb09a4f28314f61b618b12cff5369835a67f674d8b46f39a",
        programs: &[("prometheus", "prometheus"), ("promtool", "promtool")],
    },
    Release {
        project: "prometheus",
        arch: "aarch64",
        url: "https://github.com/prometheus/prometheus/releases/download/v3.5.0/prometheus-3.5.0.linux-arm64.tar.gz",
        sha256: "173389cc42bf09c4e6e54cb53fa07a5a835d7c261e14775d2183181d6e385d1c",
        programs: &[("prometheus", "prometheus"), ("promtool", "promtool")],
    },
    Release {
        project: "alertmanager",
        arch: "x86_64",
        url: "https://github.com/prometheus/alertmanager/releases/download/v0.28.1/alertmanager-0.28.1.linux-amd64.tar.gz",
        sha256: "5ac7ab5e4b8ee5ce4d8fb0988f9cb275efcc3f181b4b408179fafee121693311",
        programs: &[("alertmanager", "alertmanager"), ("amtool", "amtool")],
    },
    Release {
        project: "alertmanager",
        arch: "aarch64",
        url: "https://github.com/prometheus/alertmanager/releases/download/v0.28.1/alertmanager-0.28.1.linux-arm64.tar.gz",
        sha256: "d8832540e5b9f613d2fd759e31d603173b9c61cc7bb5e3bc7ae2f12038b1ce4f",
        programs: &[("alertmanager", "alertmanager"), ("amtool", "amtool")],
    },
    Release {
        project: "node_exporter",
        arch: "x86_64",
        url: "https://github.com/prometheus/node_exporter/releases/download/v1.9.1/node_exporter-1.9.1.linux-amd64.tar.gz",
        sha256: "becb950ee80daa8ae7331d77966d94a611af79ad0d3307380907e0ec08f5b4e8",
        programs: &[("node_exporter", "node_exporter")],
    },
    Release {
        project: "node_exporter",
        arch: "aarch64",
        url: "https://github.com/prometheus/node_exporter/releases/download/v1.9.1/node_exporter-1.9.1.linux-arm64.tar.gz",
        sha256: "848f139986f63232ced83babe3cad1679efdbb26c694737edc1f4fbd27b96203",
        programs: &[("node_exporter", "node_exporter")],
    },
    Release {
        project: "pushgateway",
        arch: "x86_64",
        url: "https://github.com/prometheus/pushgateway/releases/download/v1.11.1/pushgateway-1.11.1.linux-amd64.tar.gz",
        sha256: "6ce6ffab84d0d71195036326640295c02165462abd12b8092b0fa93188f5ee37",
        programs: &[("pushgateway", "pushgateway")],
    },
    Release {
        project: "pushgateway",
        arch: "aarch64",
        url: "https://github.com/prometheus/pushgateway/releases/download/v1.11.1/pushgateway-1.11.1.linux-arm64.tar.gz",
        sha256: "b6dc1c1c46d1137e5eda253f6291247e39330d3065a839857b947e59b4f3e64b",
        programs: &[("pushgateway", "pushgateway")],
    },
    Release {
        project: "grafana",
        arch: "x86_64",
        url: "https://dl.grafana.com/oss/release/grafana-12.0.2.linux-amd64.tar.gz",
        sha256: "c1755b4da918edfd298d5c8d5f1ffce35982ad10e1640ec356570cfb8c34b3e8",
        programs: &[("bin/grafana", "grafana")],
    },
    Release {
        project: "blackbox_exporter",
        arch: "x86_64",
        url: "https://github.com/prometheus/blackbox_exporter/releases/download/v0.28.0/blackbox_exporter-0.28.0.linux-amd64.tar.gz",
        sha256: "caf5d242fb1cf6d5cb678f3f799f22703d4fafea26b03dcbbd7e1f1825e06329",
        programs: &[("blackbox_exporter", "blackbox_exporter")],
    },
    Release {
        project: "blackbox_exporter",
        arch: "aarch64",
        url: "https://github.com/prometheus/blackbox_exporter/releases/download/v0.28.0/blackbox_exporter-0.28.0.linux-arm64.tar.gz",
        sha256: "63312be0983d85e5109710a7dc93df3051157ae581853fa3655d171cc1b2806e",
        programs: &[("blackbox_exporter", "blackbox_exporter")],
    },
    Release {
        project: "postgres_exporter",
        arch: "x86_64",
        url: "https://github.com/prometheus-community/postgres_exporter/releases/download/v0.17.1/postgres_exporter-0.17.1.linux-amd64.tar.gz",
        sha256: "6da7d2edafd69ecceb08addec876786fa609849f6d5f903987c0d61c3fc89506",
        programs: &[("postgres_exporter", "postgres_exporter")],
    },
    Release {
        project: "postgres_exporter",
        arch: "aarch64",
        url: "https://github.com/prometheus-community/postgres_exporter/releases/download/v0.17.1/postgres_exporter-0.17.1.linux-arm64.tar.gz",
        sha256: "405af4e838a3d094d575e5aaeac43bd0a1818aaf2c840a3c8fc2c6fcc77218dc",
        programs: &[("postgres_exporter", "postgres_exporter")],
    },
    Release {
        project: "loki",
        arch: "x86_64",
        url: "https://github.com/grafana/loki/releases/download/v3.7.1/loki-linux-amd64.zip",
        sha256: "ef027d63a625d5b74e917b72ae832f187f151e486de15f0515d6af1d6a56aa70",
        programs: &[("loki-linux-amd64", "loki")],
    },
    Release {
        project: "alloy",
        arch: "x86_64",
        url: "https://github.com/grafana/alloy/releases/download/v1.18.1/alloy-linux-amd64.zip",
        sha256: "fac853cbc3983a50a2368f9a685b31f74392ae86dd6155461b11a911c07b483c",
        programs: &[("alloy-linux-amd64", "alloy")],
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
            let (name, is_zip) = release.archive();
            assert!(name.ends_with(&format!("linux-{arch}")), "{name}");
            let ending = if is_zip { ".zip" } else { ".tar.gz" };
            assert!(
                release.url.ends_with(&format!("/{name}{ending}")),
                "{}",
                release.url
            );
            assert!(release.url.starts_with("https://"));
        }
    }
}
