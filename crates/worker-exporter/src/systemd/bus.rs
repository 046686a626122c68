//! systemd's interface on a message bus, `org.freedesktop.systemd1(5)`.
//!
//! Every user may read it on the system's bus. The bus of a user lets only that user in.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::{Context as _, anyhow};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::net::UnixStream;
use zbus::message::{Message, Type};
use zbus::names::OwnedUniqueName;
use zbus::zvariant::{DynamicType, ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, MessageStream};

use crate::link::TIMEOUT;
use crate::own_runtime::OwnRuntime;

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const UNITS: &str = "/org/freedesktop/systemd1/unit";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Properties of a unit by name.
pub(crate) type Properties = HashMap<String, OwnedValue>;

/// One line of systemd's list.
pub(crate) struct Row {
    pub(crate) name: String,
    load: String,
    pub(crate) active: String,
    pub(crate) sub: String,
    pub(crate) path: OwnedObjectPath,
}

impl Row {
    /// systemd answers for any name; one without a file is no unit.
    pub(crate) fn exists(&self) -> bool {
        self.load != "not-found" || self.active != "inactive"
    }
}

/// What systemd told without being asked.
pub(crate) struct Change {
    pub(crate) unit: String,
    pub(crate) properties: Properties,
}

/// A bus, connected when it is needed.
pub(crate) struct Bus {
    path: PathBuf,
    runtime: OwnRuntime,
    live: Option<Live>,
    changes: Vec<Change>,
}

struct Live {
    connection: Connection,
    /// The connection of systemd itself, which it loses when it is started anew.
    owner: OwnedUniqueName,
    signals: MessageStream,
}

impl Bus {
    pub(crate) fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            runtime: OwnRuntime::new()?,
            live: None,
            changes: Vec::new(),
        })
    }

    /// The loaded units that fit one of these shell patterns.
    pub(crate) fn by_patterns(&mut self, patterns: &[&str]) -> Result<Vec<Row>, String> {
        let states: &[&str] = &[];
        // Brackets have no meaning in patterns of workers.
        let patterns: Vec<String> = patterns.iter().map(|text| text.replace('[', "[[]")).collect();
        self.rows("ListUnitsByPatterns", &(states, patterns))
    }

    /// The units of these names, loaded or not.
    pub(crate) fn by_names(&mut self, names: &[&str]) -> Result<Vec<Row>, String> {
        self.rows("ListUnitsByNames", &(names,))
    }

    /// The properties that a unit has as a service.
    pub(crate) fn properties(&mut self, path: &ObjectPath<'_>) -> Result<Properties, String> {
        let reply = self.ask(path, PROPERTIES, "GetAll", &(SERVICE,))?;
        let properties = reply.body().deserialize();
        properties.map_err(|error| format!("systemd at {}: {path}: {error}", self.path.display()))
    }

    /// What systemd told since this was called last.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn rows<B>(&mut self, method: &str, body: &B) -> Result<Vec<Row>, String>
    where
        B: serde::Serialize + DynamicType,
    {
        type Unit = (
            String,
            String,
            String,
            String,
            String,
            String,
            OwnedObjectPath,
            u32,
            String,
            OwnedObjectPath,
        );
        let path = ObjectPath::from_static_str_unchecked(PATH);
        let reply = self.ask(&path, MANAGER, method, body)?;
        let units: Vec<Unit> = reply
            .body()
            .deserialize()
            .map_err(|error| format!("systemd at {}: {method}: {error}", self.path.display()))?;
        let row = |unit: Unit| Row {
            name: unit.0,
            load: unit.2,
            active: unit.3,
            sub: unit.4,
            path: unit.6,
        };
        Ok(units.into_iter().map(row).collect())
    }

    /// Asks, and hears signals meanwhile. After trouble the next question begins with a new connection.
    fn ask<B>(
        &mut self,
        path: &ObjectPath<'_>,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, String>
    where
        B: serde::Serialize + DynamicType,
    {
        let answer = self.runtime.wait(async {
            let asked = async {
                let live = match &mut self.live {
                    Some(live) => live,
                    none => none.insert(Live::connect(&self.path).await?),
                };
                let connection = live.connection.clone();
                // By its own name: under the other one the bus would try to start what is gone.
                let owner = live.owner.clone();
                let call = connection.call_method(Some(owner), path, Some(interface), method, body);
                Ok(live.hear_during(call, &mut self.changes).await?)
            };
            let late = || anyhow!("no answer in {} s", TIMEOUT.as_secs());
            tokio::time::timeout(TIMEOUT, asked)
                .await
                .unwrap_or_else(|_| Err(late()))
        });
        answer.map_err(|error| {
            self.live = None;
            format!("systemd at {}: {method}: {error:#}", self.path.display())
        })
    }
}

impl Live {
    async fn connect(path: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(path).await.context("connect")?;
        let connection = zbus::connection::Builder::unix_stream(stream)
            .build()
            .await
            .context("greet the bus")?;
        let owner: OwnedUniqueName = ask_bus(&connection, "GetNameOwner", NAME)
            .await
            .context("no systemd on this bus")?
            .body()
            .deserialize()?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(owner.as_str())?
            .interface(PROPERTIES)?
            .member("PropertiesChanged")?
            .path_namespace(UNITS)?
            .build();
        // All that arrives: a stream of this rule alone would ask the bus to forget the rule when it is dropped, also a
        // bus that does not answer any more.
        let signals = MessageStream::from(&connection);
        ask_bus(&connection, "AddMatch", &rule.to_string()).await?;
        connection
            .call_method(Some(&owner), PATH, Some(MANAGER), "Subscribe", &())
            .await
            .context("Subscribe")?;
        Ok(Self {
            connection,
            owner,
            signals,
        })
    }

    /// Waits for an answer and takes what arrives before it: the queue of signals is short, and nothing comes
    /// through while it is full.
    async fn hear_during<T>(
        &mut self,
        call: impl Future<Output = zbus::Result<T>>,
        changes: &mut Vec<Change>,
    ) -> zbus::Result<T> {
        let mut call = pin!(call);
        let answer = loop {
            tokio::select! {
                biased;
                Some(signal) = self.signals.next() => changes.extend(signal.ok().and_then(|signal| change(&signal))),
                answer = &mut call => break answer,
            }
        };
        while let Some(Some(signal)) = self.signals.next().now_or_never() {
            changes.extend(signal.ok().and_then(|signal| change(&signal)));
        }
        answer
    }
}

/// Asks the bus itself.
async fn ask_bus(connection: &Connection, method: &str, text: &str) -> zbus::Result<Message> {
    let (name, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    connection
        .call_method(Some(name), path, Some(name), method, &text)
        .await
}

/// A signal that speaks of a unit.
fn change(signal: &Message) -> Option<Change> {
    let header = signal.header();
    if header.message_type() != Type::Signal {
        return None;
    }
    let path = header.path()?.as_str();
    let escaped = path.strip_prefix(UNITS)?.strip_prefix('/')?;
    let body = signal.body();
    let (_, properties, _): (String, Properties, Vec<String>) = body.deserialize().ok()?;
    Some(Change {
        unit: unescape(escaped)?,
        properties,
    })
}

/// The name of a unit in its path: other than letters and digits are written `_` and two hexadecimal digits.
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = escaped.bytes();
    let mut name = Vec::with_capacity(escaped.len());
    while let Some(byte) = bytes.next() {
        if byte == b'_' {
            let digits = [bytes.next()?, bytes.next()?];
            name.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_unit_from_its_path() {
        for (escaped, name) in [
            ("brain_2dworker_401_2eservice", Some("brain-worker@1.service")),
            ("plain", Some("plain")),
            ("torn_2", None),
            ("no_zz", None),
            ("", Some("")),
        ] {
            assert_eq!(unescape(escaped).as_deref(), name, "{escaped}");
        }
    }
}
