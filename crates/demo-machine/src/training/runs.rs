//! Runs of two other trainers: one writes JSON lines, as LLaMA-Factory does, the other a CSV file with columns that are
//! mostly empty, as Lightning does. A run that has made all its steps is followed by the next one, in the same folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{SLOWNESS, lines, progress};
use crate::story::{Moment, Pace};

/// Steps of a run: an hour, and some 100 kB.
const STEPS: u64 = 720;
/// Steps in a thousand seconds.
const RATE: u64 = 200;
/// Steps between two looks at how well the model does on what it has not seen.
const BETWEEN_EVALUATIONS: u64 = 20;

/// How a run writes down what it does.
#[derive(Clone, Copy)]
enum Format {
    /// One object a step.
    JsonLines,
    /// Columns, most of them empty.
    Csv,
}

/// A run.
struct Run {
    file: PathBuf,
    format: Format,
    step: u64,
    pace: Pace,
}

/// The runs of a folder.
pub(super) struct Runs([Run; 2]);

impl Runs {
    /// Each goes on behind its last line.
    pub(super) fn resume(folder: &Path) -> Self {
        let runs = crate::runs(folder);
        let run = |name: &str, format| {
            let file = runs.join(name);
            let text = fs::read_to_string(&file).unwrap_or_default();
            Run {
                step: steps(&text, format),
                pace: Pace::default(),
                file,
                format,
            }
        };
        Self([
            run("lora-7b/trainer_log.jsonl", Format::JsonLines),
            run("distill-tiny/metrics.csv", Format::Csv),
        ])
    }

    pub(super) fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        self.0.iter_mut().try_for_each(|run| run.advance(moment))
    }
}

/// How many steps a file has. In CSV each evaluation has a line of its own, and there is a header.
fn steps(text: &str, format: Format) -> u64 {
    let is_step = |line: &&str| match format {
        Format::JsonLines => line.starts_with('{'),
        Format::Csv => line.starts_with(|c: char| c.is_ascii_digit()) && !line.ends_with(','),
    };
    text.lines().filter(is_step).count() as u64
}

impl Run {
    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let rate = RATE * 1000 / moment.scene.steady(SLOWNESS);
        let mut written = String::new();
        for _ in 0..self.pace.events(rate, moment) {
            if self.step >= STEPS {
                lines::append(&self.file, &std::mem::take(&mut written))?;
                let _ = fs::remove_file(&self.file);
                self.step = 0;
            }
            self.step += 1;
            let unrest = moment.scene.unrest as f64 / 1000.0;
            written.push_str(&self.lines(unrest));
        }
        if written.is_empty() {
            return Ok(());
        }
        lines::append(&self.file, &written)
    }

    /// What the file gets of this step.
    fn lines(&self, unrest: f64) -> String {
        let step = self.step;
        let progress = progress(step);
        let loss = (1.9 - 1.2 * progress) * unrest;
        let rate = 2e-4 * (1.0 - step as f64 / STEPS as f64);
        let is_evaluated = step.is_multiple_of(BETWEEN_EVALUATIONS);
        let unseen = (2.0 - 1.1 * progress) * unrest;
        match self.format {
            Format::JsonLines => {
                let line = json!({
                    "current_steps": step, "total_steps": STEPS, "loss": loss, "lr": rate,
                    "percentage": step as f64 * 100.0 / STEPS as f64,
                });
                format!("{line}\n")
            }
            Format::Csv => {
                let head = if step == 1 {
                    "epoch,step,val_loss,train_loss\n"
                } else {
                    ""
                };
                let epoch = step / 120;
                let evaluation = is_evaluated.then(|| format!("{epoch},{step},{unseen},\n"));
                format!("{head}{epoch},{step},,{loss}\n{}", evaluation.unwrap_or_default())
            }
        }
    }
}
