//! Which protocol a device speaks, when nobody said so.
//!
//! JSON objects, MLPerf Tiny answers and ESP-IDF's log have a shape that nothing else has: each such line is taken at
//! once, so they can share a wire. Plotter and Influx lines look like ordinary text now and then (`free heap:1234`).
//! They are believed after some lines in a row, after more of them on a wire that has spoken another protocol. What
//! those lines said is held back until then and is not lost.

use super::out::Out;
use super::{Event, MOST_EVENTS, Protocol};

/// Lines in a row that make a protocol believed.
const EVIDENCE: u8 = 3;
/// The same on a wire that has spoken another protocol.
const EVIDENCE_TO_CHANGE: u8 = 10;

/// What to do with a line that could be of a protocol.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It is.
    Take,
    /// Its events wait for more evidence.
    Hold,
}

#[derive(Debug, Default)]
pub(super) struct Detector {
    pinned: Option<Protocol>,
    current: Option<Protocol>,
    /// What the last lines looked like, how many they were, and what they said.
    candidate: Option<(Protocol, u8)>,
    held: Vec<Event>,
    /// Lines of former candidates.
    refuted: u8,
}

impl Detector {
    pub(super) fn new(pinned: Option<Protocol>) -> Self {
        Self {
            pinned,
            current: pinned,
            ..Self::default()
        }
    }

    pub(super) fn protocol(&self) -> Option<Protocol> {
        self.current
    }

    /// Whether a line may be of this protocol at all.
    pub(super) fn may_be(&self, protocol: Protocol) -> bool {
        self.pinned.is_none_or(|pinned| pinned == protocol)
    }

    /// A line of a shape that nothing else has.
    pub(super) fn heard(&mut self, protocol: Protocol) {
        self.current = Some(protocol);
        self.no_evidence();
    }

    /// A line of the chip or its system. They stand between lines of every protocol.
    pub(super) fn heard_console(&mut self) {
        self.current.get_or_insert(Protocol::EspIdf);
    }

    /// A line that could be of a protocol; `out` holds what it would mean, and then what it does mean.
    pub(super) fn evidence(&mut self, protocol: Protocol, out: &mut Out<'_>) -> Verdict {
        if self.current == Some(protocol) {
            self.no_evidence();
            return Verdict::Take;
        }
        if self.candidate.is_none_or(|(candidate, _)| candidate != protocol) {
            self.no_evidence();
        }
        let lines = self.candidate.map_or(1, |(_, lines)| lines + 1);
        self.held.extend(out.take_events());
        // The latest are worth more.
        let surplus = self.held.len().saturating_sub(MOST_EVENTS);
        self.held.drain(..surplus);
        let new = matches!(self.current, None | Some(Protocol::EspIdf));
        if lines < if new { EVIDENCE } else { EVIDENCE_TO_CHANGE } {
            self.candidate = Some((protocol, lines));
            return Verdict::Hold;
        }
        self.candidate = None;
        self.current = Some(protocol);
        for event in std::mem::take(&mut self.held) {
            out.push(event);
        }
        Verdict::Take
    }

    /// The last lines were not what they looked like.
    pub(super) fn no_evidence(&mut self) {
        if let Some((_, lines)) = self.candidate.take() {
            self.refuted += lines;
            self.held = Vec::new();
        }
    }

    /// How many lines were held back and turned out to be nothing, since this was last asked.
    pub(super) fn take_refuted(&mut self) -> u8 {
        std::mem::take(&mut self.refuted)
    }
}
