//! What an engine says of one container: a line of `GET /containers/json`, and `GET /containers/<id>/json`.

use std::time::SystemTime;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, ContainerSummary,
    HealthStatusEnum,
};
use supervisor::ProcessState;

use crate::ledger::Id;

/// The label by which compose names its project.
const PROJECT: &str = "com.docker.compose.project";
/// `SIGRTMIN` of the C library: `SIGRTMIN+3` is how systemd in a container is asked to stop.
const FIRST_REAL_TIME_SIGNAL: i64 = 34;

/// A container in the list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: Id,
    /// The engine's own, of this making of the container.
    pub(crate) key: String,
    pub(crate) status: Status,
}

impl Listed {
    /// `None` for one without a name.
    pub(crate) fn new(summary: ContainerSummary) -> Option<Self> {
        let labels = summary.labels.as_ref();
        Some(Self {
            id: id(summary.names.as_deref()?, labels)?,
            key: summary.id?,
            status: summary.state?.as_ref().parse().ok()?,
        })
    }
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Container {
    pub(crate) key: String,
    pub(crate) status: Option<Status>,
    /// Of its first process, while it runs.
    pub(crate) pid: Option<u32>,
    /// When it was started last, as the engine writes it; absent before the first start.
    pub(crate) started: Option<String>,
    /// Of its last end.
    pub(crate) exit_code: Option<i64>,
    /// The kernel killed one of its processes for want of memory, since the last start.
    pub(crate) out_of_memory: bool,
    /// The engine could not start it.
    pub(crate) refused: bool,
    /// By the engine's policy, since the last start by hand.
    pub(crate) restarts: u64,
    /// The signal by which it is asked to stop, where it is not `SIGTERM`.
    pub(crate) stop_signal: Option<i64>,
    pub(crate) healthy: Option<bool>,
}

impl Container {
    /// `None` where the engine tells no state.
    pub(crate) fn new(key: &str, told: &ContainerInspectResponse) -> Option<Self> {
        let state = told.state.as_ref()?;
        let pid = state.pid.and_then(|pid| u32::try_from(pid).ok());
        let has = |time: &String| !time.is_empty() && !time.starts_with("0001-");
        // Between two starts by its policy it is said to be running, too.
        let runs = state.running.unwrap_or(false) && !state.restarting.unwrap_or(false);
        let refused = !runs && state.error.as_ref().is_some_and(|error| !error.is_empty());
        let started = state.started_at.clone().filter(has);
        let stop_signal = told
            .config
            .as_ref()
            .and_then(|config| config.stop_signal.as_deref());
        Some(Self {
            key: key.to_owned(),
            status: state.status,
            pid: pid.filter(|pid| *pid != 0 && runs),
            exit_code: state
                .exit_code
                .filter(|_| !runs && (refused || started.is_some())),
            started,
            out_of_memory: state.oom_killed.unwrap_or(false),
            refused,
            restarts: told
                .restart_count
                .and_then(|count| u64::try_from(count).ok())
                .unwrap_or(0),
            stop_signal: stop_signal.and_then(signal_number),
            healthy: healthy(state).filter(|_| runs),
        })
    }

    /// Since the last start, by this machine's clock.
    pub(crate) fn uptime_seconds(&self) -> Option<f64> {
        self.pid?;
        let started = point_in_time(self.started.as_deref()?)?;
        Some(started.elapsed().map_or(0.0, |since| since.as_secs_f64()))
    }
}

fn healthy(state: &ContainerState) -> Option<bool> {
    match state.health.as_ref()?.status? {
        HealthStatusEnum::HEALTHY => Some(true),
        HealthStatusEnum::UNHEALTHY => Some(false),
        _ => None,
    }
}

/// The name is the container's, the group the project that compose made it for.
fn id(names: &[String], labels: Option<&std::collections::HashMap<String, String>>) -> Option<Id> {
    let name = names.iter().find_map(|name| {
        let bare = name.strip_prefix('/').unwrap_or(name);
        // With a slash it is another container's link to it.
        (!bare.contains('/') && !bare.is_empty()).then(|| bare.to_owned())
    })?;
    let project = labels.and_then(|labels| labels.get(PROJECT)).cloned();
    Some(Id {
        group: project.unwrap_or_else(|| name.clone()),
        name,
    })
}

/// The state in supervisord's words. A paused container does no work.
pub(crate) fn process_state(status: Status) -> ProcessState {
    match status {
        Status::RUNNING => ProcessState::Running,
        Status::CREATED | Status::PAUSED => ProcessState::Stopped,
        Status::RESTARTING => ProcessState::Backoff,
        Status::REMOVING | Status::STOPPING => ProcessState::Stopping,
        Status::EXITED => ProcessState::Exited,
        Status::DEAD => ProcessState::Fatal,
        Status::EMPTY => ProcessState::Unknown,
    }
}

/// `SIGQUIT`, `QUIT`, `3` or `SIGRTMIN+3`. Others than those that images name are not known here.
fn signal_number(text: &str) -> Option<i64> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some(above) = name.strip_prefix("RTMIN") {
        let above = above.strip_prefix('+').unwrap_or("0");
        return Some(FIRST_REAL_TIME_SIGNAL + above.parse::<i64>().ok()?);
    }
    match name {
        "HUP" => Some(1),
        "INT" => Some(2),
        "QUIT" => Some(3),
        "KILL" => Some(9),
        "USR1" => Some(10),
        "USR2" => Some(12),
        "TERM" => Some(15),
        "WINCH" => Some(28),
        number => number.parse().ok(),
    }
}

/// Reads `2026-11-22T11:12:40.468123456Z`, or with `+01:00` at its end.
fn point_in_time(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_once('T')?;
    let zone = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone);
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let hours: i64 = time.next()?.parse().ok()?;
    let minutes: i64 = time.next()?.parse().ok()?;
    let seconds: f64 = time.next()?.parse().ok()?;
    let ahead = if zone == "Z" {
        0
    } else {
        let (hours, minutes) = zone.get(1..)?.split_once(':')?;
        let ahead = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
        if zone.starts_with('-') { -ahead } else { ahead }
    };
    let valid = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let minutes = (valid.then(|| days(year, month, day))? * 24 + hours) * 60 + minutes - ahead;
    let whole = u64::try_from(minutes * 60).ok()?;
    let part = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(whole) + part)
}

/// Days from 1970-01-01, in the Gregorian calendar. Years are counted from March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_engine() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2024-02-29T12:00:00.5Z", Some(1_709_208_000.5)),
            ("2026-11-22T11:12:40.468123456+01:00", Some(1_795_342_360.468)),
            ("2026-11-22T10:12:40Z", Some(1_795_342_360.0)),
            ("0001-01-01T00:00:00Z", None),
            ("yesterday", None),
            ("2026-13-22T10:12:40Z", None),
        ] {
            let read = point_in_time(text)
                .map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64());
            match (read, seconds) {
                (Some(read), Some(seconds)) => assert!((read - seconds).abs() < 0.001, "{text}: {read}"),
                (read, seconds) => assert_eq!(read, seconds, "{text}"),
            }
        }
    }

    #[test]
    fn names_and_projects() {
        let names = ["/brain/db".to_owned(), "/db".to_owned()];
        let labels = [(PROJECT.to_owned(), "brain".to_owned())].into();
        let found = id(&names, Some(&labels)).unwrap();
        assert_eq!((found.group.as_str(), found.name.as_str()), ("brain", "db"));
        assert_eq!(id(&names, None).unwrap().group, "db");
        assert_eq!(id(&[], None), None);
    }

    #[test]
    fn signals_as_images_name_them() {
        for (text, number) in [
            ("SIGQUIT", Some(3)),
            ("QUIT", Some(3)),
            ("28", Some(28)),
            ("SIGRTMIN+3", Some(37)),
            ("SIGRTMIN", Some(34)),
            ("SIGSTKFLT", None),
        ] {
            assert_eq!(signal_number(text), number, "{text}");
        }
    }
}
