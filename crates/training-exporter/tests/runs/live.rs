//! Trainers that are being followed while they write, with the libraries that they really use.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use exporter::testing::Running;
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, eventually, of, of_tag, state, wait_for_state};

/// A step of the trainer. Long against what the machine may be busy with meanwhile.
const STEP: f64 = 0.5;

struct Trainer {
    child: Child,
}

impl Trainer {
    /// Starts a trainer and waits for its first step.
    fn start(format: &str, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/trainer.py");
        let mut child = Command::new("training-python")
            .arg(script)
            .arg(format)
            .arg(folder)
            .arg(STEP.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("training-python: {error}; run `make test`, which puts it on the PATH")
            });
        let mut steps = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        steps.read_line(&mut first).expect("its first step");
        assert_eq!(first.trim(), "1");
        std::thread::spawn(move || steps.lines().map_while(Result::ok).count());
        Self { child }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("send the signal");
    }

    /// Lets it end by itself.
    fn end(mut self) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("tell it to end");
        assert!(self.child.wait().expect("wait for it").success());
    }

    fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("wait for it");
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A trainer is followed; stopped it is stalled, let go it runs again, and it ends as `end` lets it.
fn follow(format: &str, end: fn(Trainer), expected: &str) {
    let lab = Lab::new();
    let trainer = Trainer::start(format, &lab.run("a/b"));
    let running = lab.start();
    let first = eventually(&running, "a step", |page| {
        of(page, "training_step", "a/b").is_some()
    });
    let first = of(&first, "training_step", "a/b").expect("a step");
    // Enough of them to know the trainer's pace, and how long its writer holds steps back.
    let page = eventually(&running, "more steps", |page| {
        of(page, "training_step", "a/b") >= Some(first + 7.0)
    });
    assert_eq!(state(&page, "a/b"), Some("running"));
    assert_eq!(
        of_tag(&page, "training_nonfinite_total", "a/b", "grad_norm"),
        Some(1.0)
    );
    assert_eq!(
        of_tag(&page, "training_nonfinite_total", "a/b", "loss"),
        Some(0.0)
    );
    let step = of(&page, "training_step", "a/b").expect("a step");
    let loss = of_tag(&page, "training_scalar", "a/b", "loss").expect("a loss");
    assert!((loss - 1.0 / step).abs() < 1e-3, "{loss} at step {step}");
    assert!(of(&page, "training_step_seconds", "a/b") >= Some(STEP));

    trainer.signal(Signal::STOP);
    let (silence, step_time) = wait_for_stall(&running);
    println!("{format}: stalled after {silence:.2} s without progress, at {step_time:.2} s a step");

    trainer.signal(Signal::CONT);
    wait_for_state(&running, "a/b", "running");
    end(trainer);
    let page = wait_for_state(&running, "a/b", expected);
    assert_eq!(
        of_tag(&page, "training_nonfinite_total", "a/b", "grad_norm"),
        Some(1.0)
    );
    std::thread::sleep(Duration::from_secs_f64(4.0 * STEP));
    assert_eq!(state(&running.metrics(), "a/b"), Some(expected));
}

/// Waits until the run is shown as stalled. Any page that is asked for after three step times of silence has to show
/// it; a little more is allowed for what a busy machine holds back. Returns the silence and the step time.
fn wait_for_stall(running: &Running) -> (f64, f64) {
    loop {
        let asked = SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_secs_f64();
        let page = running.metrics();
        let step_time = of(&page, "training_step_seconds", "a/b").expect("a pace");
        let silence = asked - of(&page, "training_last_progress_timestamp_seconds", "a/b").expect("a time");
        if state(&page, "a/b") == Some("stalled") {
            return (silence, step_time);
        }
        assert!(
            silence < 3.0 * step_time + 3.0,
            "no stall after {silence} s of silence\n{page}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn event_files_of_tensorboards_own_writer() {
    follow("tensorboard", Trainer::kill, "crashed");
}

#[test]
fn event_files_of_a_run_that_ends() {
    follow("tensorboard", Trainer::end, "finished");
}

#[test]
fn event_files_of_tensorboardx_with_a_file_that_names_the_process() {
    follow("tensorboardx", Trainer::kill, "crashed");
}

#[test]
fn a_csv_whose_header_changes() {
    follow("csv", Trainer::end, "finished");
}

#[test]
fn json_lines_that_name_the_process() {
    follow("jsonl", Trainer::kill, "crashed");
}

#[test]
fn a_trainer_that_starts_again_goes_on_with_its_run() {
    let lab = Lab::new();
    let running = lab.start();
    let first = Trainer::start("tensorboard", &lab.run("again"));
    wait_for_state(&running, "again", "running");
    first.kill();
    wait_for_state(&running, "again", "crashed");
    let second = Trainer::start("tensorboard", &lab.run("again"));
    let page = wait_for_state(&running, "again", "running");
    // Both files are read.
    eventually(&running, "a step of the second file", |page| {
        of(page, "training_step", "again") >= Some(1.0)
    });
    assert!(of(&page, "training_loss_frozen", "again").is_some());
    second.end();
    wait_for_state(&running, "again", "finished");
}
