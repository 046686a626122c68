//! Follows supervisord's main log through its interface, where the file cannot be read.
//!
//! The interface tells the end of the log, not its length: the end is read, and what was read before is
//! found in it. So a rotation needs no notice: nothing is found, all is new. What went into the old file
//! between the last question and the rotation is lost to this reader.

/// How many bytes are asked for: first few, then more until what is known is found.
const SIZES: [usize; 4] = [8 << 10, 64 << 10, 512 << 10, 4 << 20];

/// How much of what is known is looked for: a few lines, whose times and pids make them unique.
const MEMORY: usize = 256;

/// The end of what is known; `None` before the first look.
#[derive(Default)]
pub(crate) struct LogWindow {
    known: Option<String>,
}

impl LogWindow {
    /// Tells every line that was completed since the last call; none at the first. `read` returns the
    /// last so many bytes of the log.
    pub(crate) fn lines<E>(
        &mut self,
        mut read: impl FnMut(usize) -> Result<String, E>,
        mut tell: impl FnMut(&str),
    ) -> Result<(), E> {
        let Some(known) = &self.known else {
            let text = read(SIZES[0])?;
            self.known = Some(end(complete(&text)).to_owned());
            return Ok(());
        };
        for size in SIZES {
            let text = read(size)?;
            let text = complete(&text);
            let new = match text.rfind(known.as_str()) {
                Some(at) if !known.is_empty() => &text[at + known.len()..],
                _ if text.len() + LONGEST_TORN_LINE >= size && size < SIZES[SIZES.len() - 1] => continue,
                _ => text,
            };
            new.lines().for_each(&mut tell);
            if !text.is_empty() {
                self.known = Some(end(text).to_owned());
            }
            return Ok(());
        }
        Ok(())
    }
}

/// A text that is shorter than asked for by more than this is the whole log.
const LONGEST_TORN_LINE: usize = 4096;

/// Up to the last end of line.
fn complete(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |at| at + 1)]
}

fn end(text: &str) -> &str {
    let mut start = text.len().saturating_sub(MEMORY);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn lines(window: &mut LogWindow, log: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let read = |size: usize| Ok::<_, Infallible>(log[log.len().saturating_sub(size)..].to_owned());
        window.lines(read, |line| lines.push(line.to_owned())).unwrap();
        lines
    }

    fn line(number: usize) -> String {
        format!(
            "2026-11-22 11:12:40,{:03} INFO spawned: 'worker_{number}' with pid {number}\n",
            number % 1000
        )
    }

    #[test]
    fn a_rotated_log_is_new() {
        let mut window = LogWindow::default();
        let mut log: String = (0..500).map(line).collect();
        assert!(lines(&mut window, &log).is_empty());
        log.push_str("torn");
        assert!(lines(&mut window, &log).is_empty());
        log.push_str(" no more\n");
        assert_eq!(lines(&mut window, &log), ["torn no more"]);
        assert!(lines(&mut window, "").is_empty());
        assert_eq!(lines(&mut window, "fresh\n"), ["fresh"]);
    }

    #[test]
    fn an_empty_log_that_grows_is_new() {
        let mut window = LogWindow::default();
        assert!(lines(&mut window, "").is_empty());
        assert_eq!(lines(&mut window, "first\n"), ["first"]);
    }

    proptest! {
        #[test]
        fn each_line_is_told_once(bursts in prop::collection::vec(0..3000usize, 1..8)) {
            let mut window = LogWindow::default();
            let mut log = line(0);
            lines(&mut window, &log);
            let mut written = 1;
            for burst in bursts {
                let expected: Vec<String> = (written..written + burst).map(line).collect();
                log.push_str(&expected.concat());
                written += burst;
                let told: Vec<String> =
                    lines(&mut window, &log).into_iter().map(|line| line + "\n").collect();
                prop_assert_eq!(told, expected);
            }
        }
    }
}
