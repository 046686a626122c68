//! An engine that answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Status and body for a method and a path; none for an empty list.
type Answer = dyn Fn(&str, &str) -> Option<(u16, String)> + Send + Sync;

pub(crate) struct Fake {
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// An image that is there.
    pub(crate) const IMAGE: &'static str = "{\"Id\":\"sha256:0123456789abcdef\",\"Config\":{\"Labels\":{}}}";

    /// It says that this is the newest version of the API that it speaks.
    pub(crate) fn start(
        version: &'static str,
        answer: impl Fn(&str, &str) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Self {
        let fake = Self {
            folder: tempfile::tempdir().expect("a folder"),
            requests: Arc::default(),
        };
        let listener = UnixListener::bind(fake.socket()).expect("bind");
        let answer: Arc<Answer> = Arc::new(answer);
        let requests = Arc::clone(&fake.requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                std::thread::spawn(move || serve(&stream, version, &*answer, &requests));
            }
        });
        fake
    }

    /// The paths that were asked for, without their queries.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic while locked").clone()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }
}

/// Requests of one kept connection, until it ends.
fn serve(stream: &UnixStream, version: &str, answer: &Answer, requests: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    while let Some((method, path)) = request(&mut reader) {
        let asked = path.split('?').next().unwrap_or_default().to_owned();
        requests.lock().expect("no panic while locked").push(asked);
        let (status, body) = if path.ends_with("/version") {
            let body =
                format!("{{\"Version\":\"0\",\"ApiVersion\":\"{version}\",\"MinAPIVersion\":\"1.12\"}}");
            (200, body)
        } else {
            let path = path.split('?').next().unwrap_or_default();
            answer(&method, path).unwrap_or_else(|| (200, "[]".to_owned()))
        };
        let head = format!(
            "HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// Method and path; the body is read and forgotten.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new()).ok()?;
    let mut words = line.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}
