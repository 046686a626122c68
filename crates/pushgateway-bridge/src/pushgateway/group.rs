//! The group under which a Pushgateway keeps a source's values, and the path that names it.
//! <https://github.com/prometheus/pushgateway/blob/master/README.md#url>

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

/// The labels of a group, sorted by name; `job` is one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group(pub(crate) Vec<(String, String)>);

impl Group {
    /// `/metrics/job/node/instance/localhost:9100/machine/pc`: the job comes first.
    pub(crate) fn path(&self) -> String {
        let mut path = "/metrics".to_owned();
        let jobs = self.0.iter().filter(|(name, _)| name == "job");
        let others = self.0.iter().filter(|(name, _)| name != "job");
        for (name, value) in jobs.chain(others) {
            segment(&mut path, name, value);
        }
        path
    }

    /// Whether the group's path says this already.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(label, _)| label == name)
    }
}

/// What cannot stand in a path is written in base64, and so is the empty value.
fn segment(path: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        // One `=`, since a path with nothing between two slashes is another path.
        let _ = write!(path, "/{name}@base64/=");
    } else if value.contains('/') || value == "." || value == ".." {
        let _ = write!(path, "/{name}@base64/{}", URL_SAFE.encode(value));
    } else {
        let _ = write!(path, "/{name}/");
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
                path.push(char::from(byte));
            } else {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_holds_every_value() {
        let labels = [
            ("instance", "localhost:9100"),
            ("job", "a b"),
            ("machine", "x/y"),
            ("room", ""),
            ("up", ".."),
        ];
        let group = Group(labels.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
        assert_eq!(
            group.path(),
            "/metrics/job/a%20b/instance/localhost:9100/machine@base64/eC95/room@base64/=/up@base64/Li4="
        );
    }
}
