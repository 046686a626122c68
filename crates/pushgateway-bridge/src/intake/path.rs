//! The path of a push, which names its group: `/metrics/job/<job>{/<label>/<value>}`, values also as `@base64`.
//! <https://github.com/prometheus/pushgateway/blob/master/README.md#url>

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::scrape::is_label_name;

/// Pushgateway clients pad or do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Labels of one group.
const MAX_LABELS: usize = 32;
const SUFFIX: &str = "@base64";

/// The group's labels, sorted by name; `None` when the path is none of a push.
pub(super) fn group(path: &str) -> Option<Result<Vec<(String, String)>, String>> {
    let rest = path.strip_prefix("/metrics/job")?;
    let (in_base64, rest) = match rest.strip_prefix(SUFFIX) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    Some(labels(rest.strip_prefix('/')?, in_base64))
}

fn labels(rest: &str, in_base64: bool) -> Result<Vec<(String, String)>, String> {
    let mut segments = rest.strip_suffix('/').unwrap_or(rest).split('/');
    let job = decode(segments.next().unwrap_or_default(), in_base64)?;
    if job.is_empty() {
        return Err("job name is required".to_owned());
    }
    let mut labels = vec![("job".to_owned(), job)];
    while let Some(name) = segments.next() {
        let (name, in_base64) = match name.strip_suffix(SUFFIX) {
            Some(name) => (name, true),
            None => (name, false),
        };
        let value = segments
            .next()
            .ok_or("odd number of components in label string")?;
        if !is_label_name(name) || name.starts_with("__") {
            return Err(format!("improper label name {name:?}"));
        }
        if labels.iter().any(|(other, _)| other == name) {
            return Err(format!("label {name:?} stands twice"));
        }
        if labels.len() == MAX_LABELS {
            return Err(format!("more than {MAX_LABELS} labels"));
        }
        labels.push((name.to_owned(), decode(value, in_base64)?));
    }
    labels.sort();
    Ok(labels)
}

fn decode(segment: &str, in_base64: bool) -> Result<String, String> {
    let wrong = |what: &str| format!("{segment:?} is not {what}");
    let bytes = percent_decoded(segment).ok_or_else(|| wrong("percent-encoded"))?;
    let bytes = if in_base64 {
        // One `=` stands for the empty value.
        let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
        let (digits, _) = bytes.split_at(bytes.len() - padding);
        BASE64.decode(digits).map_err(|_| wrong("base64"))?
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(|_| wrong("UTF-8"))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pushgateway::group::Group;

    fn good(path: &str) -> Vec<(String, String)> {
        group(path).expect("a push").expect(path)
    }

    #[test]
    fn a_path_names_a_group() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect()
        };
        assert_eq!(good("/metrics/job/backup"), pairs(&[("job", "backup")]));
        assert_eq!(good("/metrics/job/backup/"), pairs(&[("job", "backup")]));
        assert_eq!(
            good("/metrics/job/a%20b/path@base64/L3Zhci90bXA=/db/x"),
            pairs(&[("db", "x"), ("job", "a b"), ("path", "/var/tmp")])
        );
        assert_eq!(good("/metrics/job@base64/Lw"), pairs(&[("job", "/")]));
        assert_eq!(
            good("/metrics/job/x/empty@base64/="),
            pairs(&[("empty", ""), ("job", "x")])
        );
        assert_eq!(
            good("/metrics/job/x/empty//db/y"),
            pairs(&[("db", "y"), ("empty", ""), ("job", "x")])
        );
    }

    #[test]
    fn what_names_none_is_refused() {
        for other in [
            "/",
            "/metrics",
            "/metrics/job",
            "/metrics/jobs/x",
            "/api/v1/status",
        ] {
            assert!(group(other).is_none(), "{other}");
        }
        for (path, expected) in [
            ("/metrics/job/", "job name is required"),
            ("/metrics/job@base64/=", "job name is required"),
            ("/metrics/job/x/db", "odd number"),
            ("/metrics/job/x/a-b/y", "improper label name"),
            ("/metrics/job/x/__name__/y", "improper label name"),
            ("/metrics/job/x/job/y", "stands twice"),
            ("/metrics/job/%zz", "not percent-encoded"),
            ("/metrics/job/%ff", "not UTF-8"),
            ("/metrics/job@base64/!", "not base64"),
        ] {
            let refused = group(path).expect("a push").expect_err(path);
            assert!(refused.contains(expected), "{path}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_a_group_or_refused(path in "(/metrics/job(@base64)?)?[/a-z@%=0-9é]{0,30}") {
            if let Some(Ok(labels)) = group(&path) {
                prop_assert!(labels.iter().any(|(name, value)| name == "job" && !value.is_empty()));
                prop_assert!(labels.is_sorted());
            }
        }

        /// What the delivery writes, a Pushgateway and this intake read back.
        #[test]
        fn a_delivered_path_reads_back(
            job in "\\PC{1,12}",
            others in prop::collection::btree_map("[a-z]{4,6}", "\\PC{0,12}", 0..4),
        ) {
            let mut labels: Vec<_> = others.into_iter().collect();
            labels.push(("job".to_owned(), job));
            labels.sort();
            let path = Group(labels.clone()).path();
            prop_assert_eq!(good(&path), labels);
        }
    }
}
