//! A receiver that does what a test tells it to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::wire::{self, Series};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// 1 or 2; 0 where it is no write.
    pub(crate) version: u8,
    pub(crate) series: Series,
}

/// What to do with it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Store it and say so, as a receiver of both versions does.
    Store,
    /// Store what is not named so, and refuse the rest, in the way of the request's version.
    Refuse(&'static str),
    /// Store nothing, and answer with this head's beginning and body: `503 Busy\r\nRetry-After: 1`.
    Say(&'static str, &'static str),
    /// Store it, and end before the answer is whole.
    Cut,
    /// Store nothing, and say nothing until the other side gives up.
    Hang,
}

type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

/// A receiver on a port of its own.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) state: Arc<Mutex<State>>,
}

/// What it holds.
pub(crate) struct State {
    pub(crate) stored: Series,
    pub(crate) requests: Vec<Request>,
    /// How far its clock is ahead, in seconds; without it no answer has a date.
    pub(crate) ahead: Option<i64>,
    script: Script,
}

impl Receiver {
    pub(crate) fn start(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = State {
            stored: Series::new(),
            requests: Vec::new(),
            ahead: None,
            script: Box::new(script),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&stream, &state).is_some() {});
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("no panic"))
    }

    pub(crate) fn script(&self, script: impl FnMut(&Request) -> Answer + Send + 'static) {
        self.with(|state| state.script = Box::new(script));
    }

    pub(crate) fn stored(&self) -> usize {
        self.with(|state| state.stored.values().map(Vec::len).sum())
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut version) = (0, 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(text) = header.strip_prefix("content-length: ") {
            length = text.parse().expect("a length");
        }
        if let Some(text) = header.strip_prefix("x-prometheus-remote-write-version: ") {
            version = if text == "2.0.0" { 2 } else { 1 };
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let series = if version == 0 {
        Series::new()
    } else {
        wire::series(version, &body)
    };
    let request = Request {
        path,
        version,
        series,
    };
    let (head, body) = {
        let mut state = state.lock().expect("no panic");
        let is_empty = request.series.is_empty();
        // Questions and the empty write are not what scripts are about.
        let answer = if request.version == 0 {
            Answer::Say("404 Not Found", "")
        } else if is_empty {
            Answer::Store
        } else {
            (state.script)(&request)
        };
        if !is_empty {
            state.requests.push(request.clone());
        }
        let (head, body) = answer_to(&request, &answer, &mut state);
        let date = state.ahead.map_or_else(String::new, date);
        (
            head.map(|head| if head.is_empty() { head } else { head + &date }),
            body,
        )
    };
    let Some(head) = head else {
        // The other side gives up.
        stream.set_read_timeout(Some(Duration::from_secs(90))).ok()?;
        let _ = reader.read(&mut [0]);
        return None;
    };
    let is_cut = head.is_empty();
    let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let text = if is_cut { "HTTP/1.1 204 No Con" } else { &text };
    (&*stream).write_all(text.as_bytes()).ok()?;
    (!is_cut).then_some(())
}

fn date(ahead: i64) -> String {
    let shift = Duration::from_secs(ahead.unsigned_abs());
    let now = SystemTime::now();
    let now = if ahead < 0 { now - shift } else { now + shift };
    format!("\r\nDate: {}", httpdate::fmt_http_date(now))
}

fn answer_to(request: &Request, answer: &Answer, state: &mut State) -> (Option<String>, String) {
    let written = |count: usize| match request.version {
        2 => format!("\r\nX-Prometheus-Remote-Write-Samples-Written: {count}"),
        _ => String::new(),
    };
    match answer {
        Answer::Store => {
            let count = store(state, &request.series, |_| true);
            (Some(format!("204 No Content{}", written(count))), String::new())
        }
        Answer::Refuse(name) => {
            let is_good = |series: &str| !series.contains(*name);
            let said = format!("{name} is not welcome");
            if request.series.keys().all(|series| is_good(series)) {
                let count = store(state, &request.series, |_| true);
                return (Some(format!("204 No Content{}", written(count))), String::new());
            }
            // Version 1 is all or nothing.
            let count = if request.version == 2 {
                store(state, &request.series, is_good)
            } else {
                0
            };
            (Some(format!("400 Bad Request{}", written(count))), said)
        }
        Answer::Say(head, body) => (Some((*head).to_owned()), (*body).to_owned()),
        Answer::Cut => {
            store(state, &request.series, |_| true);
            (Some(String::new()), String::new())
        }
        Answer::Hang => (None, String::new()),
    }
}

fn store(state: &mut State, series: &Series, is_good: impl Fn(&str) -> bool) -> usize {
    let mut count = 0;
    for (labels, samples) in series.iter().filter(|(labels, _)| is_good(labels)) {
        count += samples.len();
        state.stored.entry(labels.clone()).or_default().extend(samples);
    }
    count
}
