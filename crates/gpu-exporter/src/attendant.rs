//! A thread that answers one question at a time, and may be given up on.
//!
//! Calls into a driver cannot be cancelled. Who waits for one has a deadline; the thread that makes it stays behind
//! until the driver answers, and gets no second question meanwhile.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

/// The asking end. Dropping it ends the thread as soon as the driver lets it go.
pub(crate) struct Attendant<T> {
    questions: Sender<()>,
    answers: Receiver<T>,
    is_busy: bool,
}

/// The thread's end: the questions to answer.
pub(crate) struct Questions<T> {
    questions: Receiver<()>,
    answers: Sender<T>,
}

/// What came of a question.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer<T> {
    InTime(T),
    /// Nothing until the deadline.
    Late,
    /// The thread has ended and will never answer.
    Never,
}

impl<T: Send + 'static> Attendant<T> {
    /// Starts the thread.
    pub(crate) fn start(name: &str, serve: impl FnOnce(Questions<T>) + Send + 'static) -> io::Result<Self> {
        let (questions, asked) = channel();
        let (answer, answers) = channel();
        let work = Questions {
            questions: asked,
            answers: answer,
        };
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || serve(work))?;
        Ok(Self {
            questions,
            answers,
            is_busy: false,
        })
    }

    /// Asks, unless the last question is still open. Returns the answer to the last question if it came after its
    /// deadline: too old to show, but what it counted counts.
    pub(crate) fn ask(&mut self) -> Option<T> {
        let late = self.answers.try_recv().ok();
        self.is_busy &= late.is_none();
        if !self.is_busy {
            self.is_busy = self.questions.send(()).is_ok();
        }
        late
    }

    /// Whether the last question is still open.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Waits for the answer until the deadline.
    pub(crate) fn answer(&mut self, deadline: Instant) -> Answer<T> {
        let patience = deadline.saturating_duration_since(Instant::now());
        match self.answers.recv_timeout(patience) {
            Ok(answer) => {
                self.is_busy = false;
                Answer::InTime(answer)
            }
            Err(RecvTimeoutError::Timeout) => Answer::Late,
            Err(RecvTimeoutError::Disconnected) => Answer::Never,
        }
    }
}

impl<T> Questions<T> {
    /// Answers every question until nobody asks any more.
    pub(crate) fn answer_with(&self, mut answer: impl FnMut() -> T) {
        while self.questions.recv().is_ok() && self.answers.send(answer()).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_late_answer_is_told_apart_and_no_second_question_is_asked_meanwhile() {
        let (release, held) = channel();
        let mut count = 0;
        let mut attendant = Attendant::start("test", move |questions| {
            questions.answer_with(|| {
                count += 1;
                held.recv().expect("a release");
                count
            });
        })
        .expect("a thread");
        assert_eq!(attendant.ask(), None);
        assert_eq!(attendant.answer(Instant::now()), Answer::Late, "held");
        assert_eq!(attendant.ask(), None, "the first question is still open");
        release.send(()).expect("a thread that waits");
        let patient = || Instant::now() + Duration::from_mins(1);
        assert_eq!(attendant.answer(patient()), Answer::InTime(1));
        release.send(()).expect("a thread");
        assert_eq!(attendant.ask(), None);
        assert_eq!(attendant.answer(patient()), Answer::InTime(2));
    }

    #[test]
    fn a_thread_that_ended_never_answers() {
        let mut attendant = Attendant::<u32>::start("test", drop).expect("a thread");
        attendant.ask();
        let patient = Instant::now() + Duration::from_mins(1);
        assert_eq!(attendant.answer(patient), Answer::Never);
    }
}
