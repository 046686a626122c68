//! Requests to the Pushgateway, and what to do when it refuses a page.
//!
//! It takes a page or refuses it as a whole, also for what another host pushed: a family that has another type there. So
//! a refused page is taken apart to find the families that it is refused for, and these are left out for a while.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use ureq::http::Method;

use super::Pushgateway;
use super::group::Group;
use super::groups::Groups;
use super::render::{Rendered, Text, render};
use crate::delivery::Source;
use crate::http::Client;
use crate::sample::{Kind, Page};
use crate::tally::{Loss, Outcome};

const TEXT: [(&str, &str); 1] = [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")];
/// 429: not now.
const TOO_MANY: u16 = 429;
/// Requests to find what a page is refused for.
const MOST_REQUESTS: usize = 64;

/// How a request ended.
pub(super) enum Answer {
    Accepted,
    Refused(String),
    Unavailable,
}

/// A page that is being taken apart.
struct Search {
    requests: usize,
    refused: HashSet<String>,
    /// Why the last one was.
    why: String,
}

impl Pushgateway {
    /// Sends one request, and counts it.
    pub(super) fn send(&self, client: &Client, method: &Method, group: &Group, body: &str) -> Answer {
        let started = Instant::now();
        let url = format!("{}{}", self.url, group.path());
        let sent = client.send(method, &url, &TEXT, body.as_bytes());
        let took = started.elapsed();
        let count = |outcome| self.tally.pushed(outcome, took, self.clock.now_ms());
        let away = match sent {
            Ok(answer) => {
                if let Some(reading) = answer.reading() {
                    self.clock.observe(&reading);
                }
                let status = answer.status;
                if (200..300).contains(&status) {
                    count(Outcome::Success);
                    self.pause().over();
                    return Answer::Accepted;
                }
                let said = format!("{url}: status {status}: {}", answer.first_line());
                if (400..500).contains(&status) && status != TOO_MANY {
                    count(Outcome::Rejected);
                    return Answer::Refused(said);
                }
                said
            }
            Err(error) => error.to_string(),
        };
        count(Outcome::Unavailable);
        self.pause().begin(Instant::now(), &away);
        Answer::Unavailable
    }

    /// Brings what belongs to a group. False when it has to come again.
    pub(super) fn put(&self, source: &Source, group: &Group, page: &Page) -> bool {
        let Rendered {
            mut families,
            conflicts,
        } = self.rendered(source, group, page);
        self.tally.dropped(Loss::Conflict, conflicts);
        match self.send(&self.client, &Method::PUT, group, &text(&families)) {
            Answer::Accepted => {}
            Answer::Unavailable => {
                self.tally.dropped(Loss::Superseded, samples(&families));
                return false;
            }
            Answer::Refused(why) => {
                let mut search = Search {
                    requests: 0,
                    refused: HashSet::new(),
                    why,
                };
                if !self.take_apart(group, &families, &mut search) {
                    self.tally.dropped(Loss::Superseded, samples(&families));
                    return false;
                }
                let count = search.refused.len();
                if self.groups().leave_out(group, search.refused, Instant::now()) {
                    let error = search.why;
                    tracing::warn!(
                        error,
                        families = count,
                        "the Pushgateway refuses a part of a page"
                    );
                }
                self.leave_out(&self.groups(), group, &mut families);
                self.groups().put(source, group, kinds(&families));
            }
        }
        true
    }

    /// The page for this group. What types its families have is noted before they are pushed: another page, which is
    /// written meanwhile, must not contradict it.
    fn rendered(&self, source: &Source, group: &Group, page: &Page) -> Rendered {
        let mut groups = self.groups();
        let own = page.iter().filter(|sample| {
            let labels = sample.labels;
            group.0.iter().all(|(name, value)| labels.get(name) == value)
        });
        let mut rendered = render(own, group, |family| groups.elsewhere(group, family));
        self.leave_out(&groups, group, &mut rendered.families);
        groups.put(source, group, kinds(&rendered.families));
        rendered
    }

    /// Takes out, and counts, what was refused before.
    fn leave_out(&self, groups: &Groups, group: &Group, families: &mut Vec<Text>) {
        let now = Instant::now();
        families.retain(|family| {
            let is_left_out = groups.is_left_out(group, &family.name, now);
            if is_left_out {
                self.tally.dropped(Loss::Rejected, family.samples);
            }
            !is_left_out
        });
    }

    /// Pushes a refused page in parts. False when the Pushgateway takes nothing at all.
    fn take_apart(&self, group: &Group, families: &[Text], search: &mut Search) -> bool {
        // What the page had before must not stay beside it.
        match self.send(&self.client, &Method::PUT, group, "") {
            Answer::Accepted => {
                let (one, other) = families.split_at(families.len() / 2);
                self.post(group, one, search) && self.post(group, other, search)
            }
            Answer::Unavailable => false,
            // It is not about the page: a password, a path.
            Answer::Refused(why) => {
                self.pause().begin(Instant::now(), &why);
                false
            }
        }
    }

    fn post(&self, group: &Group, families: &[Text], search: &mut Search) -> bool {
        if families.is_empty() {
            return true;
        }
        search.requests += 1;
        let is_over = search.requests > MOST_REQUESTS;
        let answer = if is_over {
            Answer::Refused(search.why.clone())
        } else {
            self.send(&self.client, &Method::POST, group, &text(families))
        };
        match answer {
            Answer::Accepted => true,
            Answer::Unavailable => false,
            Answer::Refused(why) if is_over || families.len() == 1 => {
                search
                    .refused
                    .extend(families.iter().map(|family| family.name.clone()));
                search.why = why;
                true
            }
            Answer::Refused(_) => {
                let (one, other) = families.split_at(families.len() / 2);
                self.post(group, one, search) && self.post(group, other, search)
            }
        }
    }
}

fn kinds(families: &[Text]) -> HashMap<String, Kind> {
    let kinds = families.iter().map(|family| (family.name.clone(), family.kind));
    kinds.collect()
}

fn text(families: &[Text]) -> String {
    families.iter().map(|family| family.written.as_str()).collect()
}

fn samples(families: &[Text]) -> usize {
    families.iter().map(|family| family.samples).sum()
}
