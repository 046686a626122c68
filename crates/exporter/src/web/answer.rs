//! What each path answers.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
    RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::encode;
use crate::scrape::Scraper;

/// Prometheus sends its own limit with each scrape.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// Prometheus' default scrape timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than anybody's scrape; a header beyond it is a mistake.
const MAX_TIMEOUT: Duration = Duration::from_mins(2);
/// What is kept back of the scraper's timeout to send the page.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);
/// Scrapes at once. They share the collectors' runs, so this bounds memory, not work.
const MAX_SCRAPES: usize = 8;
/// Below this size compressing costs more than sending.
const GZIP_FROM: usize = 2048;
/// The knee between size and time.
const GZIP_LEVEL: u32 = 3;

type Body = Full<Bytes>;

/// The paths of one exporter.
pub(crate) struct Site {
    app: &'static App,
    telemetry_path: String,
    scraper: Scraper,
    scrapes: Semaphore,
    requests: AtomicU64,
    shutting_down: AtomicBool,
}

impl Site {
    pub(crate) fn new(app: &'static App, telemetry_path: String, scraper: Scraper) -> Arc<Self> {
        Arc::new(Self {
            app,
            telemetry_path,
            scraper,
            scrapes: Semaphore::new(MAX_SCRAPES),
            requests: AtomicU64::new(0),
            shutting_down: AtomicBool::new(false),
        })
    }

    pub(crate) fn shutting_down(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut response = self.route(request).await;
        response
            .headers_mut()
            .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        tracing::debug!(
            request_id = format!("{}-{number}", std::process::id()),
            duration_ms = started.elapsed().as_secs_f64() * 1e3,
            method = %request.method(),
            path = request.uri().path(),
            status = response.status().as_u16(),
            "request"
        );
        if request.method() == Method::HEAD {
            without_body(response)
        } else {
            response
        }
    }

    async fn route(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            path if path == self.telemetry_path => self.metrics(request.headers()).await,
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/readyz" if self.shutting_down.load(Ordering::Relaxed) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
            }
            "/readyz" => plain(StatusCode::OK, "ready\n"),
            "/" => page(
                StatusCode::OK,
                "text/html; charset=utf-8",
                self.landing_page().into(),
            ),
            _ => plain(
                StatusCode::NOT_FOUND,
                &format!("not here; the metrics are at {}\n", self.telemetry_path),
            ),
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Response<Body> {
        let Ok(_permit) = self.scrapes.try_acquire() else {
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once\n");
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        };
        let text = self.scraper.page(Instant::now() + time_for(headers)).await;
        let packed = if text.len() >= GZIP_FROM && accepts_gzip(headers) {
            gzip(&text)
        } else {
            None
        };
        let is_packed = packed.is_some();
        let mut response = page(
            StatusCode::OK,
            encode::CONTENT_TYPE,
            packed.unwrap_or(text).into(),
        );
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if is_packed {
            response
                .headers_mut()
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn landing_page(&self) -> String {
        let App {
            name, about, version, ..
        } = self.app;
        let path = escape(&self.telemetry_path);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"></head>\n<body><h1>{name} {version}</h1>\n\
             <p>{about}</p>\n<ul><li><a href=\"{path}\">Metrics</a></li><li><a href=\"/healthz\">Health</a></li>\
             <li><a href=\"/readyz\">Readiness</a></li></ul></body></html>\n"
        )
    }
}

/// How long this scrape may take: the scraper's timeout less what sending the page needs.
fn time_for(headers: &HeaderMap) -> Duration {
    let asked = headers
        .get(SCRAPE_TIMEOUT)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|asked| !asked.is_zero())
        .unwrap_or(DEFAULT_TIMEOUT)
        .min(MAX_TIMEOUT);
    asked.saturating_sub(TIMEOUT_OFFSET.min(asked / 2))
}

/// Whether `Accept-Encoding` names gzip and does not refuse it by `q=0` (RFC 9110, 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut codings = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(Ok(1.0), str::parse::<f32>);
        named && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::new(GZIP_LEVEL));
    encoder.write_all(text).and_then(|()| encoder.finish()).ok()
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    page(status, "text/plain; charset=utf-8", text.to_owned().into())
}

fn page(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The answer to HEAD: the same headers, the length too.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let size = hyper::body::Body::size_hint(&body).exact().unwrap_or(0);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    Response::from_parts(head, Full::default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// Asks a running exporter for its health, for container health checks.
pub(crate) async fn healthcheck(address: &str) -> anyhow::Result<()> {
    let request = Request::get("/healthz")
        .header("host", address)
        .body(Empty::<Bytes>::new())?;
    let status = timeout(Duration::from_secs(3), async {
        let stream = TcpStream::connect(loopback_for(address)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let status = sender.send_request(request).await?.status();
        driver.abort();
        Ok::<_, anyhow::Error>(status)
    });
    let status = status
        .await
        .with_context(|| format!("ask {address} for its health: no answer within 3 s"))?
        .with_context(|| format!("ask {address} for its health"))?;
    ensure!(status == StatusCode::OK, "{address} answers {status}");
    Ok(())
}

/// Where to reach a listener of this machine: one on all interfaces is asked on the loopback one.
fn loopback_for(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(all) if all.ip().is_unspecified() => format!("localhost:{}", all.port()),
        _ if address.starts_with(':') => format!("localhost{address}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        headers
    }

    #[test]
    fn the_scrapers_timeout_is_kept_with_room_to_answer() {
        let time = |value| time_for(&headers(SCRAPE_TIMEOUT, value)).as_millis();
        assert_eq!(time("10"), 9500);
        assert_eq!(time("0.4"), 200);
        assert_eq!(time("1e9"), 119_500);
        for nonsense in ["", "NaN", "-3", "0", "soon", "inf"] {
            assert_eq!(time(nonsense), 9500, "{nonsense}");
        }
        assert_eq!(time_for(&HeaderMap::new()).as_millis(), 9500);
    }

    #[test]
    fn gzip_is_used_only_when_it_was_asked_for() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP"] {
            assert!(accepts_gzip(&headers("accept-encoding", yes)), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip; q=0.0", "gzipped", "br"] {
            assert!(!accepts_gzip(&headers("accept-encoding", no)), "{no}");
        }
    }

    #[test]
    fn a_health_check_reaches_a_listener_on_all_interfaces() {
        assert_eq!(loopback_for(":9401"), "localhost:9401");
        assert_eq!(loopback_for("0.0.0.0:9401"), "localhost:9401");
        assert_eq!(loopback_for("[::]:9401"), "localhost:9401");
        assert_eq!(loopback_for("127.0.0.1:9401"), "127.0.0.1:9401");
    }
}
