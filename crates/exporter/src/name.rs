//! What names of metrics and labels may look like; checked when the program is compiled, or as it runs for names that
//! come from outside. The rules are those of <https://prometheus.io/docs/concepts/data_model/>.

/// A name or label that the text format cannot carry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// The metric's name.
    #[error("`{0}` is not a metric name: use letters, digits and _, and no digit in front")]
    Metric(String),
    /// A label's name.
    #[error("`{0}` is not a label name: use letters, digits and _, not __ in front, and not le or quantile")]
    Label(String),
    /// A label name that stands twice on one sample.
    #[error("label `{0}` stands twice on one sample")]
    Repeated(String),
}

/// Checks a name that is known only at run time.
pub(crate) fn check_metric_name(name: &str) -> Result<(), NameError> {
    if is_metric_name(name) {
        Ok(())
    } else {
        Err(NameError::Metric(name.into()))
    }
}

/// Checks a label name that is known only at run time.
pub(crate) fn check_label_name(name: &str) -> Result<(), NameError> {
    if is_label_name(name) {
        Ok(())
    } else {
        Err(NameError::Label(name.into()))
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`; colons belong to recording rules.
pub(crate) const fn is_metric_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes[0].is_ascii_digit() {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if !bytes[i].is_ascii_alphanumeric() && bytes[i] != b'_' {
            return false;
        }
        i += 1;
    }
    true
}

/// As for metrics, without the names that Prometheus keeps to itself (`__…`, `le` and `quantile`).
pub(crate) const fn is_label_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let reserved = bytes.len() >= 2 && bytes[0] == b'_' && bytes[1] == b'_';
    is_metric_name(name) && !reserved && !equal(name, "le") && !equal(name, "quantile")
}

pub(crate) const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_text_format() {
        assert!(is_metric_name("rapl_power_watts"));
        for bad in ["", "9lives", "with space", "colon:name", "naïve", "dash-ed"] {
            assert!(!is_metric_name(bad), "{bad}");
            assert!(check_metric_name(bad).is_err(), "{bad}");
        }
        for bad in ["__name__", "le", "quantile", "a-b", ""] {
            assert!(!is_label_name(bad), "{bad}");
        }
        assert!(is_label_name("le_mans"));
    }
}
