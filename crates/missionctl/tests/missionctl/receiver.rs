//! Takes what Alertmanager posts, and answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Everything received so far, as (path, body).
type Received = Arc<Mutex<Vec<(String, Value)>>>;

/// A receiver that lives as long as the test's process.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    received: Received,
}

impl Receiver {
    /// Answers everything with this status line and body.
    pub(crate) fn answering(status: &'static str, body: &'static str) -> Self {
        Self::listening("127.0.0.1", status, body)
    }

    /// The same, at another address than loopback.
    pub(crate) fn listening(ip: &str, status: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("bind");
        let port = listener.local_addr().expect("an address").port();
        let received = Received::default();
        let into = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                std::thread::spawn(move || serve(stream, status, body, &into));
            }
        });
        Self { port, received }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// An alert as Alertmanager told it at `/hook`.
    pub(crate) fn heard(&self, status: &str, alertname: &str, label: (&str, &str)) -> Option<Value> {
        let alerts = self
            .bodies("/hook")
            .into_iter()
            .flat_map(|body| body["alerts"].as_array().cloned().unwrap_or_default());
        alerts.into_iter().find(|alert| {
            alert["status"] == status
                && alert["labels"]["alertname"] == alertname
                && alert["labels"][label.0] == label.1
        })
    }

    /// Bodies posted to the path.
    pub(crate) fn bodies(&self, path: &str) -> Vec<Value> {
        let received = self.received.lock().expect("no panic while locked");
        received
            .iter()
            .filter(|(at, _)| at == path)
            .map(|(_, body)| body.clone())
            .collect()
    }
}

/// Requests of one kept connection, until it ends.
fn serve(stream: TcpStream, status: &str, body: &str, received: &Received) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).expect("a body");
        let path = request.split_whitespace().nth(1).expect("a path").to_owned();
        let json = serde_json::from_slice(&bytes).expect("JSON");
        received.lock().expect("no panic while locked").push((path, json));
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
