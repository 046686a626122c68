//! The real programs around the bridge, and pages for it to scrape.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exporter::testing::free_port;

/// Far above what any step takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program that is killed at the end.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Program {
    fn start(name: &str, port: u16, flags: &[String]) -> Self {
        let child = Command::new(name)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; `make test` puts it on the PATH"));
        let program = Self { child, port };
        wait_for(name, || {
            (request(port, "GET", "/-/ready", &[], b"")?.0 == 200).then_some(())
        });
        program
    }

    /// A Pushgateway on this port.
    pub(crate) fn pushgateway(port: u16) -> Self {
        Self::start(
            "pushgateway",
            port,
            &[format!("--web.listen-address=127.0.0.1:{port}")],
        )
    }

    /// A Prometheus with this configuration, which takes remote write.
    pub(crate) fn prometheus(folder: &Path, configuration: &str) -> Self {
        let port = free_port();
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, configuration).expect("write its configuration");
        let flags = [
            format!("--web.listen-address=127.0.0.1:{port}"),
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("tsdb").display()),
            "--web.enable-remote-write-receiver".to_owned(),
        ];
        Self::start("prometheus", port, &flags)
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The page of a Pushgateway.
    pub(crate) fn page(&self) -> String {
        let (status, body) = request(self.port, "GET", "/metrics", &[], b"").expect("an answer");
        assert_eq!(status, 200);
        body
    }

    /// The values of a PromQL query by their labels.
    pub(crate) fn query(&self, query: &str) -> Vec<(HashMap<String, String>, String)> {
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in query.bytes() {
            let _ = write!(path, "%{byte:02X}");
        }
        let (status, body) = request(self.port, "GET", &path, &[], b"").expect("an answer");
        assert_eq!(status, 200, "{query}: {body}");
        let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let series = answer["data"]["result"].as_array().expect("series").iter();
        series
            .map(|series| {
                let labels = serde_json::from_value(series["metric"].clone()).expect("labels");
                (labels, series["value"][1].as_str().expect("a value").to_owned())
            })
            .collect()
    }
}

/// Sends a request and reads the answer; none when nobody listens.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes()).ok()?;
    // Who has refused already may have closed.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Some((status, if chunked { unchunked(body) } else { body.to_owned() }))
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        if size == 0 {
            break;
        }
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    out
}

/// A target whose page is what the test says.
pub(crate) struct Target {
    pub(crate) port: u16,
    answer: Arc<Mutex<(u16, String, String)>>,
}

impl Target {
    /// Serves this page until the test ends.
    pub(crate) fn serve(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let text = "text/plain; version=0.0.4".to_owned();
        let answer = Arc::new(Mutex::new((200, text, page.to_owned())));
        let shown = Arc::clone(&answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shown = Arc::clone(&shown);
                std::thread::spawn(move || serve(stream, &shown));
            }
        });
        Self { port, answer }
    }

    /// Serves this from now on.
    pub(crate) fn show(&self, status: u16, content_type: &str, page: &str) {
        *self.answer.lock().expect("lock") = (status, content_type.to_owned(), page.to_owned());
    }

    /// As a `[[target]]` with this job, instance `pc`, scraped every 200 ms.
    pub(crate) fn entry(&self, job: &str) -> String {
        format!(
            "[[target]]\njob = \"{job}\"\nurl = \"http://127.0.0.1:{}/metrics\"\ninterval = \"200ms\"\n\
             labels = {{ instance = \"pc\" }}\n",
            self.port
        )
    }
}

fn serve(mut stream: TcpStream, shown: &Mutex<(u16, String, String)>) {
    let mut head = Vec::new();
    let mut byte = [0];
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        head.clear();
        let (status, content_type, page) = shown.lock().expect("lock").clone();
        let answer = format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
