//! The engine's interface, of Docker 20.10 and later. Only reading calls are made.

use std::collections::HashMap;
use std::future::Future;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptions, InspectContainerOptions, ListContainersOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::container::{Container, Listed};
use super::life::{Event, What};
use crate::link::TIMEOUT;
use crate::own_runtime::OwnRuntime;

const NOT_FOUND: u16 = 404;
/// What is asked for of all that an engine tells.
const EVENTS: [&str; 5] = ["start", "kill", "oom", "die", "health_status"];
/// How many containers are asked for at the same time.
const AT_ONCE: usize = 4;
/// How long the engine may take for one of them: it waits while it starts or removes the container.
const PATIENCE: Duration = Duration::from_secs(1);
/// After this time no more of them are asked for.
const ENOUGH: Duration = Duration::from_secs(2);

/// An engine behind a socket.
pub(crate) struct Engine {
    socket: PathBuf,
    runtime: OwnRuntime,
    client: Option<Docker>,
    /// Up to when it told what happened, since 1970.
    told: Option<Duration>,
}

/// What the engine answers when it is asked for one container.
pub(crate) enum Answer {
    Is(Box<Container>),
    Gone,
    Trouble(String),
}

impl Engine {
    pub(crate) fn new(socket: &Path) -> std::io::Result<Self> {
        Ok(Self {
            socket: socket.to_owned(),
            runtime: OwnRuntime::new()?,
            client: None,
            told: None,
        })
    }

    /// The containers that have these labels, running or not.
    pub(crate) fn list(&mut self, labels: &[String]) -> Result<Vec<Listed>, String> {
        if self.told.is_none() {
            // What happens from now on is told by events.
            self.told = Some(now());
        }
        let filters = (!labels.is_empty()).then(|| HashMap::from([("label".to_owned(), labels.to_vec())]));
        let options = ListContainersOptions {
            all: true,
            filters,
            ..ListContainersOptions::default()
        };
        let listed = self.ask(|client| async move { client.list_containers(Some(options)).await })?;
        Ok(listed.into_iter().filter_map(Listed::new).collect())
    }

    /// The first of these containers, as many as can be asked for in a short while.
    pub(crate) fn inspect(&mut self, keys: &[String]) -> Result<Vec<Answer>, String> {
        let client = self.client()?;
        let begun = Instant::now();
        let answers = stream::iter(keys)
            .take_while(|_| std::future::ready(begun.elapsed() < ENOUGH))
            .map(|key| inspect(&client, key))
            .buffered(AT_ONCE)
            .collect();
        Ok(self.runtime.wait(answers))
    }

    /// What happened since the last call, by the name of the container, the oldest first.
    pub(crate) fn happened(&mut self) -> Result<HashMap<String, Vec<Event>>, String> {
        let until = now();
        let since = self.told.unwrap_or(until);
        let filters = [
            ("type", vec!["container".to_owned()]),
            ("event", EVENTS.map(str::to_owned).to_vec()),
        ];
        let options = EventsOptions {
            since: Some(timestamp(since)),
            until: Some(timestamp(until)),
            filters: Some(filters.map(|(key, values)| (key.to_owned(), values)).into()),
        };
        let messages: Vec<EventMessage> =
            self.ask(|client| async move { client.events(Some(options)).try_collect().await })?;
        self.told = Some(until);
        let mut happened: HashMap<String, Vec<Event>> = HashMap::new();
        for (name, event) in messages.into_iter().filter_map(event) {
            // Both ends of the time asked for belong to it; each event is to be counted once.
            if (since..until).contains(&event.at) {
                happened.entry(name).or_default().push(event);
            }
        }
        Ok(happened)
    }

    /// The client, and which version of its interface the engine speaks: new ones refuse the old versions.
    fn client(&mut self) -> Result<Docker, String> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let at = |reason: String| at(&self.socket, &reason);
        reach(&self.socket).map_err(at)?;
        let address = format!("unix://{}", self.socket.display());
        let connect = async {
            let client = Docker::connect_with_unix(&address, TIMEOUT.as_secs(), API_DEFAULT_VERSION)?;
            client.negotiate_version().await
        };
        let made = self.runtime.wait(within_time(connect)).map_err(at)?;
        Ok(self.client.insert(made).clone())
    }

    fn ask<T, F>(&mut self, call: impl FnOnce(Docker) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let client = self.client()?;
        let answer = self.runtime.wait(within_time(call(client)));
        answer.map_err(|reason| {
            self.client = None;
            at(&self.socket, &reach(&self.socket).err().unwrap_or(reason))
        })
    }
}

fn at(socket: &Path, reason: &str) -> String {
    format!("container engine at {}: {reason}", socket.display())
}

/// What is wrong with a socket is told better by the system than by the client.
fn reach(socket: &Path) -> Result<(), String> {
    let connection = UnixStream::connect(socket);
    connection.map(drop).map_err(|error| format!("connect: {error}"))
}

async fn within_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", TIMEOUT.as_secs())),
    }
}

async fn inspect(client: &Docker, key: &str) -> Answer {
    let call = client.inspect_container(key, None::<InspectContainerOptions>);
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(told)) => match Container::new(key, &told) {
            Some(container) => Answer::Is(Box::new(container)),
            None => Answer::Trouble("it tells no state".to_owned()),
        },
        Ok(Err(Error::DockerResponseServerError {
            status_code: NOT_FOUND,
            ..
        })) => Answer::Gone,
        Ok(Err(error)) => Answer::Trouble(error.to_string()),
        Err(_) => Answer::Trouble(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

/// The container's name and what happened to it.
fn event(message: EventMessage) -> Option<(String, Event)> {
    let attributes = message.actor?.attributes?;
    let number = |key: &str| attributes.get(key)?.parse().ok();
    let what = match message.action?.as_str() {
        "start" => What::Started,
        "kill" => What::Signalled(number("signal")),
        "oom" => What::OutOfMemory,
        "die" => What::Died(number("exitCode")?),
        action if action.starts_with("health_status") => What::Health,
        _ => return None,
    };
    let at = Duration::from_nanos(u64::try_from(message.time_nano?).ok()?);
    Some((attributes.get("name")?.clone(), Event { at, what }))
}

/// By this machine's clock, which is the engine's: its socket is here.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn timestamp(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}
