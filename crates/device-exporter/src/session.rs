//! Profiling sessions of one device, from their start to their end, or to the moment when no end can come any more.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crate::protocol::{Label, Phases, Session, SessionEnd};

/// Sessions of one device at a time; the oldest makes room.
const MOST: usize = 8;
/// No session is longer.
const LONGEST: Duration = Duration::from_hours(24);
/// Why a session is over that the device cannot know of any more.
pub(crate) const RESTARTED: &str = "the device restarted";
/// How long a device may be gone in the middle of a session.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// A point in time by both clocks: one that only goes forward, and the calendar's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Instant,
    pub(crate) time: SystemTime,
}

impl Clock {
    pub(crate) fn read() -> Self {
        Self {
            now: Instant::now(),
            time: SystemTime::now(),
        }
    }

    /// Whether more than this time has passed since then.
    pub(crate) fn is_beyond(&self, then: Instant, time: Duration) -> bool {
        self.now.saturating_duration_since(then) > time
    }
}

/// The open sessions of one device.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Vec<Open>,
    /// The latest that were given up without an end. One that still comes is not another session's.
    given_up: VecDeque<Label>,
}

#[derive(Debug)]
struct Open {
    session: Session,
    began: Clock,
}

/// A session that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) session: Session,
    pub(crate) began: SystemTime,
    /// By the device's clock where it says so, else from the start's arrival to the end's; none without an end.
    pub(crate) seconds: Option<f64>,
    pub(crate) phases: Phases,
    /// Why it is no success.
    pub(crate) error: Option<String>,
}

impl Sessions {
    /// How many are open.
    pub(crate) fn active(&self) -> usize {
        self.open.len()
    }

    /// The model of the newest one.
    pub(crate) fn model_name(&self) -> Option<&Label> {
        self.open
            .iter()
            .rev()
            .find_map(|open| open.session.model_name.as_ref())
    }

    /// Begins one, and ends those that it shows to be over.
    pub(crate) fn start(&mut self, session: Session, began: Clock) -> Vec<Finished> {
        let mut over = self.take(
            |open| open.session.id == session.id,
            "it began anew without an end",
        );
        if self.open.len() >= MOST {
            let oldest = self.open.remove(0);
            over.push(self.give_up(oldest, "too many sessions of one device at a time"));
        }
        self.given_up.retain(|given_up| *given_up != session.id);
        self.open.push(Open { session, began });
        over
    }

    /// Ends one, which may have begun before anybody listened; none when it was counted already.
    pub(crate) fn end(&mut self, end: SessionEnd, clock: Clock) -> Option<Finished> {
        let id = &end.session.id;
        if let Some(at) = self.given_up.iter().position(|given_up| given_up == id) {
            self.given_up.remove(at);
            return None;
        }
        let began = self
            .open
            .iter()
            .position(|open| open.session.id == *id)
            .map(|at| self.open.remove(at));
        let counted = began
            .as_ref()
            .map(|open| clock.now.saturating_duration_since(open.began.now));
        let seconds = end.seconds.or(counted.map(|time| time.as_secs_f64()));
        let computed = || {
            clock
                .time
                .checked_sub(Duration::try_from_secs_f64(seconds?).ok()?)
        };
        let error = match (end.ok, end.error) {
            (true, _) => None,
            (false, Some(error)) if !error.is_empty() => Some(error.to_string()),
            (false, _) => Some("the device does not say what went wrong".to_owned()),
        };
        let (began, session) = match began {
            Some(open) => (open.began.time, merge(open.session, end.session)),
            None => (computed().unwrap_or(clock.time), end.session),
        };
        Some(Finished {
            session,
            began,
            seconds,
            phases: end.phases,
            error,
        })
    }

    /// All of them are over, for this reason.
    pub(crate) fn abandon(&mut self, reason: &str) -> Vec<Finished> {
        self.take(|_| true, reason)
    }

    /// Goes on with what began on a new connection. Sessions of the earlier one do too, unless the device restarted.
    pub(crate) fn go_on(&mut self, later: Self, has_restarted: bool) -> Vec<Finished> {
        let mut over = if has_restarted {
            self.abandon(RESTARTED)
        } else {
            Vec::new()
        };
        for open in later.open {
            over.extend(self.start(open.session, open.began));
        }
        over
    }

    /// Ends those that are older than any session is.
    pub(crate) fn expire(&mut self, clock: Clock) -> Vec<Finished> {
        self.take(
            |open| clock.is_beyond(open.began.now, LONGEST),
            "no end within a day",
        )
    }

    fn take(&mut self, is_over: impl Fn(&Open) -> bool, reason: &str) -> Vec<Finished> {
        let over: Vec<Open> = self.open.extract_if(.., |open| is_over(open)).collect();
        over.into_iter().map(|open| self.give_up(open, reason)).collect()
    }

    fn give_up(&mut self, open: Open, reason: &str) -> Finished {
        if self.given_up.len() >= MOST {
            self.given_up.pop_front();
        }
        self.given_up.push_back(open.session.id.clone());
        Finished {
            session: open.session,
            began: open.began.time,
            seconds: None,
            phases: Phases::default(),
            error: Some(reason.to_owned()),
        }
    }
}

/// What the end says holds, and what it leaves out the start has said.
fn merge(start: Session, end: Session) -> Session {
    Session {
        id: start.id,
        platform: end.platform.or(start.platform),
        model_type: end.model_type.or(start.model_type),
        quantization: end.quantization.or(start.quantization),
        model_name: end.model_name.or(start.model_name),
        test_type: end.test_type.or(start.test_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> Session {
        Session {
            id: Label::new(id).expect("a label"),
            ..Session::default()
        }
    }

    fn end(id: &str, seconds: Option<f64>) -> SessionEnd {
        SessionEnd {
            session: session(id),
            ok: true,
            seconds,
            phases: Phases::default(),
            error: None,
        }
    }

    #[test]
    fn start_and_end_complete_each_other() {
        let mut sessions = Sessions::default();
        let clock = Clock::read();
        let mut start = session("1");
        start.model_name = Label::new("stories260k");
        start.test_type = Label::new("latency");
        assert!(sessions.start(start, clock).is_empty());
        assert_eq!(sessions.model_name().map(Label::as_str), Some("stories260k"));
        let mut end = end("1", None);
        end.session.test_type = Label::new("throughput");
        let later = Clock {
            now: clock.now + Duration::from_secs(7),
            ..clock
        };
        let finished = sessions.end(end, later).expect("counted");
        assert_eq!(finished.session.model_name.as_deref(), Some("stories260k"));
        assert_eq!(finished.session.test_type.as_deref(), Some("throughput"));
        assert_eq!((finished.seconds, finished.error), (Some(7.0), None));
        assert_eq!(sessions.active(), 0);
    }

    #[test]
    fn an_end_without_a_start_has_the_device_s_own_duration() {
        let clock = Clock::read();
        let finish = |end| Sessions::default().end(end, clock).expect("counted");
        let finished = finish(end("1", Some(30.0)));
        assert_eq!(finished.seconds, Some(30.0));
        assert_eq!(
            clock.time.duration_since(finished.began).ok(),
            Some(Duration::from_secs(30))
        );
        assert_eq!(finish(end("1", None)).seconds, None);
        assert_eq!(finish(end("1", Some(1e300))).began, clock.time);
    }

    #[test]
    fn sessions_go_on_over_a_connection_unless_the_device_restarted() {
        let clock = Clock::read();
        let begun = |ids: &[&str]| {
            let mut sessions = Sessions::default();
            for id in ids {
                sessions.start(session(id), clock);
            }
            sessions
        };
        let mut sessions = begun(&["1", "2"]);
        let over = sessions.go_on(begun(&["2", "3"]), false);
        assert_eq!(over.len(), 1, "{over:?}");
        assert_eq!(sessions.active(), 3);
        let over = sessions.go_on(begun(&["4"]), true);
        assert_eq!(over.len(), 3);
        assert_eq!(over[0].error.as_deref(), Some(RESTARTED));
        assert_eq!(sessions.active(), 1);
    }

    #[test]
    fn an_end_that_comes_after_all_is_not_another_session_s() {
        let mut sessions = Sessions::default();
        let clock = Clock::read();
        sessions.start(session("1"), clock);
        assert_eq!(sessions.abandon("unplugged").len(), 1);
        assert!(sessions.end(end("1", None), clock).is_none());
        assert!(
            sessions.end(end("1", None), clock).is_some(),
            "one that nobody saw begin"
        );
        sessions.start(session("1"), clock);
        sessions.abandon("restarted");
        sessions.start(session("1"), clock);
        assert!(
            sessions.end(end("1", None), clock).is_some(),
            "a new one of the same name"
        );
        for i in 0..100 {
            sessions.start(session(&format!("s{i}")), clock);
        }
        assert_eq!(sessions.given_up.len(), MOST);
    }

    #[test]
    fn sessions_without_an_end_are_errors_and_never_pile_up() {
        let mut sessions = Sessions::default();
        let clock = Clock::read();
        sessions.start(session("1"), clock);
        let over = sessions.start(session("1"), clock);
        assert_eq!(over[0].error.as_deref(), Some("it began anew without an end"));
        assert_eq!(over[0].seconds, None);
        for i in 0..100 {
            sessions.start(session(&format!("s{i}")), clock);
        }
        assert_eq!(sessions.active(), MOST);
        let tomorrow = Clock {
            now: clock.now + Duration::from_hours(25),
            ..clock
        };
        assert_eq!(sessions.expire(clock).len(), 0);
        assert_eq!(sessions.expire(tomorrow).len(), MOST);
        sessions.start(session("1"), clock);
        assert_eq!(sessions.abandon("unplugged").len(), 1);
    }
}
