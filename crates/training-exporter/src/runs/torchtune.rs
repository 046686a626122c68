//! The log that torchtune writes to disk: `Step 12 | loss:1.25 lr:0.0003 tokens_per_second_per_gpu:1234 `.

use super::record::Record;

/// Reads a line; `None` when it is none of such a log.
pub(crate) fn record(line: &[u8]) -> Option<Record> {
    let line = str::from_utf8(line).ok()?;
    let (step, pairs) = line.strip_prefix("Step ")?.split_once(" | ")?;
    let mut record = Record::default();
    record.number("step", step.parse().ok()?);
    for pair in pairs.split_ascii_whitespace() {
        let (tag, value) = pair.rsplit_once(':')?;
        if let Some(value) = number(value) {
            record.scalar(tag, value);
        }
    }
    record.whole()
}

/// A number, or a tensor of one as Python shows it: `tensor(1.25)`.
fn number(text: &str) -> Option<f64> {
    let text = text
        .strip_prefix("tensor(")
        .map_or(text, |text| text.trim_end_matches([')', ',']));
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_read() {
        let record = record(b"Step 12 | loss:1.25 lr:3e-4 grad_norm:tensor(0.5) ").expect("a record");
        assert_eq!(record.step, Some(12.0));
        let expected = [("loss", 1.25), ("lr", 3e-4), ("grad_norm", 0.5)];
        assert_eq!(
            record.scalars,
            expected.map(|(tag, value)| (tag.to_owned(), value))
        );
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in [
            "",
            "Step",
            "Step x | loss:1",
            "Step 1 | loss",
            "Step 1 | ",
            "INFO: Step 1 | loss:1",
        ] {
            assert_eq!(record(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "Step [0-9]{0,3} \\| [a-z:0-9 .]*") {
            let _ = (record(&bytes), record(text.as_bytes()));
        }
    }
}
