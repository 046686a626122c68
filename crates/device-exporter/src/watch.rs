//! Looks for ports about every second and keeps one attempt going at each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::board::Board;
use crate::config::{Rule, Settings};
use crate::link::{Attempt, Outcome, Shared, Stop};
use crate::memory::Memory;
use crate::scan::{self, Found, Key};
use crate::session::Clock;
use crate::tcp;
use crate::wire::{OpenError, Trouble};

const EVERY: Duration = Duration::from_secs(1);
/// After a refusal; doubled up to the longest, which is still soon enough to notice a replug.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(4);
/// A connection that ended sooner is a refusal: the server took it and let it go.
const WORTH: Duration = Duration::from_secs(5);

/// The ports that a look found, and the settings it went by.
type Look = (Arc<Settings>, BTreeMap<Key, Found>);

/// The loop over all ports.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    slots: BTreeMap<Key, Slot>,
    attempts: JoinSet<(Key, Outcome)>,
    memory: Option<Memory>,
    writing: Option<JoinHandle<Memory>>,
    /// Ports that are there at the first look were there before.
    is_first_look: bool,
    /// The settings changed, and what is open was not yet compared with them.
    is_changed: bool,
    is_over_limit: bool,
}

/// One port.
struct Slot {
    rule: Arc<Rule>,
    /// Ends the attempt under way; none when there is none.
    attempt: Option<watch::Sender<Stop>>,
    is_new: bool,
    delay: Duration,
    retry: Instant,
    /// What was said last about why it does not open, so that it is said once.
    said: Option<String>,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, memory: Memory) -> Self {
        Self {
            shared,
            settings: Arc::default(),
            slots: BTreeMap::new(),
            attempts: JoinSet::new(),
            memory: Some(memory),
            writing: None,
            is_first_look: true,
            is_changed: true,
            is_over_limit: false,
        }
    }

    /// Runs until nobody changes the settings any more.
    pub(crate) async fn run(mut self, mut settings: watch::Receiver<Arc<Settings>>) {
        settings.mark_changed();
        let mut look = interval(EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looking: Option<JoinHandle<Look>> = None;
        loop {
            tokio::select! {
                changed = settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let new = Arc::clone(&settings.borrow_and_update());
                    self.change(new);
                    look.reset_immediately();
                }
                _ = look.tick(), if looking.is_none() => {
                    self.shared.board().tick(Clock::read());
                    self.write();
                    let settings = Arc::clone(&self.settings);
                    looking = Some(spawn_blocking(move || {
                        let found = scan::ports(&settings);
                        (settings, found)
                    }));
                }
                found = join(&mut looking) => {
                    // A look with settings that have changed since says nothing.
                    if let Some((settings, found)) = found && Arc::ptr_eq(&settings, &self.settings) {
                        self.found(&found);
                    }
                }
                Some(ended) = self.attempts.join_next() => {
                    match ended {
                        Ok((key, outcome)) => self.ended(&key, outcome),
                        Err(panic) => self.broken(&panic),
                    }
                }
                memory = join(&mut self.writing) => self.memory = memory,
            }
        }
    }

    fn change(&mut self, settings: Arc<Settings>) {
        if settings.rules.is_empty() {
            tracing::warn!("no device is configured, so no port is opened; name one in --config.file");
        }
        self.shared
            .board()
            .configure(&settings, scan::expected(&settings), Clock::read());
        self.settings = settings;
        self.is_changed = true;
    }

    /// These ports are there.
    fn found(&mut self, found: &BTreeMap<Key, Found>) {
        let is_changed = std::mem::take(&mut self.is_changed);
        for (key, slot) in &mut self.slots {
            let Some(attempt) = &slot.attempt else {
                continue;
            };
            match found.get(key).map(|found| &found.rule) {
                Some(rule) if rule.reads_like(&slot.rule) => {}
                Some(rule) if is_changed => {
                    let is_same = rule.id == slot.rule.id;
                    slot.rule = Arc::clone(rule);
                    attempt.send_replace(if is_same { Stop::Again } else { Stop::Forget });
                }
                None if is_changed => {
                    attempt.send_replace(Stop::Forget);
                }
                // What is open and answers is there, even when its link in /dev is not.
                _ => {}
            }
        }
        let shared = Arc::clone(&self.shared);
        self.slots.retain(|key, slot| {
            let stays = slot.attempt.is_some() || found.contains_key(key);
            if !stays {
                shared.board().blocked.remove(&key.name());
            }
            stays
        });
        for (key, found) in found {
            self.tend(key, found);
        }
        self.is_first_look = false;
    }

    /// Starts an attempt at this port if it is time.
    fn tend(&mut self, key: &Key, found: &Found) {
        if !self.slots.contains_key(key) && self.slots.len() >= self.settings.max_devices {
            if !std::mem::replace(&mut self.is_over_limit, true) {
                let most = self.settings.max_devices;
                tracing::warn!("more than {most} ports; the rest is not opened: raise max_devices");
            }
            return;
        }
        let now = Instant::now();
        let is_new = !self.is_first_look;
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot {
            rule: Arc::clone(&found.rule),
            attempt: None,
            is_new,
            delay: SHORTEST,
            retry: now,
            said: None,
        });
        if slot.attempt.is_some() || slot.retry > now {
            return;
        }
        slot.rule = Arc::clone(&found.rule);
        let (stop, stopped) = watch::channel(Stop::No);
        slot.attempt = Some(stop);
        let attempt = Attempt {
            shared: Arc::clone(&self.shared),
            key: key.clone(),
            found: found.clone(),
            is_new: slot.is_new,
            stop: stopped,
        };
        let key = key.clone();
        self.attempts.spawn(async move { (key, attempt.run().await) });
    }

    /// An attempt is over.
    fn ended(&mut self, key: &Key, outcome: Outcome) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let stop = slot.attempt.take().map(|attempt| *attempt.borrow());
        match outcome {
            // It is looked for from the beginning: whatever comes to this name is another plugging-in.
            Outcome::Opened(time) if time >= WORTH || matches!(key, Key::Serial(_)) => {
                slot.delay = SHORTEST;
                slot.retry = Instant::now();
                slot.said = None;
                slot.is_new = stop == Some(Stop::No);
            }
            Outcome::Opened(_) => {
                slot.wait();
                if stop == Some(Stop::No) {
                    slot.say(key, &tcp::sent_away(&key.name()), &mut self.shared.board());
                }
            }
            Outcome::Refused(error) => {
                slot.wait();
                slot.say(key, &error, &mut self.shared.board());
            }
        }
    }

    /// An attempt ended by a fault of ours; it said which. Its port is tried again, the others go on.
    fn broken(&mut self, panic: &JoinError) {
        tracing::error!(error = %panic, "reading a device broke off");
        for slot in self.slots.values_mut() {
            if slot.attempt.as_ref().is_some_and(watch::Sender::is_closed) {
                slot.attempt = None;
                slot.wait();
            }
        }
    }

    /// Hands what the next start should know to a thread, unless one is still writing.
    fn write(&mut self) {
        let Some(mut memory) = self.memory.take() else {
            return;
        };
        match Memory::gather(&mut self.shared.board()) {
            None => self.memory = Some(memory),
            Some(text) => {
                self.writing = Some(spawn_blocking(move || {
                    memory.write(&text);
                    memory
                }));
            }
        }
    }
}

impl Slot {
    fn wait(&mut self) {
        self.retry = Instant::now() + self.delay;
        self.delay = (self.delay * 2).min(LONGEST);
    }

    fn say(&mut self, key: &Key, error: &OpenError, board: &mut Board) {
        let port = key.name();
        // A pattern matches what the driver made for hardware that is not there, and what is just being unplugged.
        let is_nothing =
            matches!(error.trouble, Trouble::Gone | Trouble::NoDevice) && !self.rule.port.is_one();
        if is_nothing {
            board.blocked.remove(&port);
            tracing::debug!(port, error = error.text, "no device");
            return;
        }
        board.blocked.insert(port.clone(), error.trouble);
        if self.said.as_ref() != Some(&error.text) {
            tracing::warn!(
                port,
                error = error.text,
                "this port cannot be used; it is tried again"
            );
            self.said = Some(error.text.clone());
        }
    }
}

/// What a task yields once it is done; for ever when there is none.
async fn join<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(running) = task else {
        return std::future::pending().await;
    };
    let ended = running.await;
    *task = None;
    ended.ok()
}
