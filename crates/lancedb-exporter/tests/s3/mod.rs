//! An object store with one bucket, made of a folder: just enough of S3 to list and to read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A running store; it serves until the test's process ends.
pub(crate) struct Store {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    methods: Arc<Mutex<BTreeSet<String>>>,
}

impl Store {
    /// The methods of all requests so far.
    pub(crate) fn methods(&self) -> BTreeSet<String> {
        self.methods.lock().expect("no panic").clone()
    }
}

/// Serves a folder as the bucket `bucket`.
pub(crate) fn serve(folder: &Path) -> Store {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let methods = Arc::new(Mutex::new(BTreeSet::new()));
    let (folder, seen) = (folder.to_owned(), Arc::clone(&methods));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (folder, seen) = (folder.clone(), Arc::clone(&seen));
            std::thread::spawn(move || talk(&stream, &folder, &seen));
        }
    });
    Store { address, methods }
}

struct Request {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    range: Option<String>,
}

fn talk(stream: &TcpStream, folder: &Path, seen: &Mutex<BTreeSet<String>>) {
    let mut input = BufReader::new(stream);
    while let Some(request) = receive(&mut input) {
        seen.lock().expect("no panic").insert(request.method.clone());
        if answer(stream, folder, &request).is_err() {
            return;
        }
    }
}

fn receive(input: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let method = words.next()?.to_owned();
    let (path, query) = words
        .next()
        .map(|target| target.split_once('?').unwrap_or((target, "")))?;
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut request = Request {
        method,
        path: decoded(path),
        query: query.map(|(key, value)| (decoded(key), decoded(value))).collect(),
        range: None,
    };
    loop {
        let header = line()?;
        if header.is_empty() {
            return Some(request);
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            request.range = Some(value.trim().to_owned());
        }
    }
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("a percent code"));
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn answer(mut stream: &TcpStream, folder: &Path, request: &Request) -> std::io::Result<()> {
    let key = request.path.trim_start_matches("/bucket").trim_start_matches('/');
    let file = folder.join(key);
    let (status, extra, body) = if !["GET", "HEAD"].contains(&request.method.as_str()) {
        ("403 Forbidden", String::new(), Vec::new())
    } else if key.is_empty() {
        ("200 OK", String::new(), list(folder, request).into_bytes())
    } else if let Ok(content) = std::fs::read(&file) {
        part(content, request.range.as_deref())
    } else {
        let body = "<Error><Code>NoSuchKey</Code></Error>";
        ("404 Not Found", String::new(), body.into())
    };
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{extra}", body.len());
    head.push_str("ETag: \"one\"\r\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// The bytes of `bytes=first-last`, `bytes=first-` or `bytes=-length`.
fn part(content: Vec<u8>, range: Option<&str>) -> (&'static str, String, Vec<u8>) {
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return ("200 OK", String::new(), content);
    };
    let size = content.len();
    let (first, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, size.min(last + 1)),
        (Ok(first), Err(_)) => (first, size),
        (Err(_), Ok(length)) => (size.saturating_sub(length), size),
        (Err(_), Err(_)) => panic!("a range without bounds"),
    };
    let last = end.saturating_sub(1);
    let header = format!("Content-Range: bytes {first}-{last}/{size}\r\n");
    let part = content.get(first..end).unwrap_or_default().to_vec();
    ("206 Partial Content", header, part)
}

/// `ListObjectsV2`, all in one page.
fn list(folder: &Path, request: &Request) -> String {
    let of = |name: &str| {
        let found = request.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (prefix, delimiter, after) = (of("prefix"), of("delimiter"), of("start-after"));
    let mut prefixes = BTreeSet::new();
    let mut contents = String::new();
    for (key, size) in keys(folder) {
        let Some(rest) = key.strip_prefix(prefix).filter(|_| key.as_str() > after) else {
            continue;
        };
        match rest.split_once(delimiter) {
            Some((name, _)) if !delimiter.is_empty() => {
                prefixes.insert(format!("{prefix}{name}{delimiter}"));
            }
            _ => {
                let _ = write!(
                    contents,
                    "<Contents><Key>{key}</Key><LastModified>2026-11-22T12:00:00.000Z</LastModified><ETag>\"one\"</ETag>\
                     <Size>{size}</Size></Contents>"
                );
            }
        }
    }
    let prefixes: String = prefixes
        .iter()
        .map(|prefix| format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"))
        .fold(String::new(), |all, one| all + &one);
    format!(
        "<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{contents}{prefixes}</ListBucketResult>"
    )
}

/// All files below the folder, with their lengths, in the order of their names.
fn keys(folder: &Path) -> Vec<(String, u64)> {
    let mut keys = Vec::new();
    let mut ahead: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = ahead.pop() {
        for entry in next.read_dir().expect("a folder").map_while(Result::ok) {
            let metadata = entry.metadata().expect("metadata");
            if metadata.is_dir() {
                ahead.push(entry.path());
            } else {
                let path = entry.path();
                let key = path.strip_prefix(folder).expect("below the folder");
                keys.push((key.to_string_lossy().into_owned(), metadata.len()));
            }
        }
    }
    keys.sort_unstable();
    keys
}
