//! The intake's HTTP server: small, bounded, and not for the network at large.

use std::convert::Infallible;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::store::{Labels, Refused};
use super::{Jobs, now, path, push};

/// Connections at once; more wait.
const MAX_CONNECTIONS: usize = 32;
/// Pushes that are read at once, each of which may take twice [`MAX_BODY`] of memory; more wait.
const MAX_PUSHES: usize = 2;
/// Bytes of a push, unpacked too.
const MAX_BODY: usize = 16 << 20;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a connection; a job pushes and goes.
const LIFETIME: Duration = Duration::from_mins(5);
const MAX_HEAD: usize = 16 * 1024;

type Answer = (StatusCode, String);

/// Serves until the runtime ends.
pub(super) async fn serve(listener: TcpListener, jobs: Arc<Jobs>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let pushes = Arc::new(Semaphore::new(MAX_PUSHES));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (jobs, pushes) = (Arc::clone(&jobs), Arc::clone(&pushes));
                tokio::spawn(async move {
                    // A client that went away is no news.
                    let _ = timeout(LIFETIME, connection(stream, jobs, pushes)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a push was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, jobs: Arc<Jobs>, pushes: Arc<Semaphore>) -> Result<(), hyper::Error> {
    let service = service_fn(move |request| {
        let (jobs, pushes) = (Arc::clone(&jobs), Arc::clone(&pushes));
        async move { Ok::<_, Infallible>(respond(request, jobs, &pushes).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn respond(request: Request<Incoming>, jobs: Arc<Jobs>, pushes: &Semaphore) -> Response<Full<Bytes>> {
    let (status, text) = answer(request, jobs, pushes).await;
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("PUT, POST, DELETE");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

async fn answer(request: Request<Incoming>, jobs: Arc<Jobs>, pushes: &Semaphore) -> Answer {
    let method = request.method().clone();
    let Some(group) = path::group(request.uri().path()) else {
        return elsewhere(&method, request.uri().path());
    };
    let labels = match group {
        Ok(labels) => labels,
        Err(what) => return (StatusCode::BAD_REQUEST, what + "\n"),
    };
    if method == Method::DELETE {
        return blocking(move || delete(&jobs, &labels)).await;
    }
    if method != Method::PUT && method != Method::POST {
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            "only PUT, POST and DELETE\n".to_owned(),
        );
    }
    let Ok(_permit) = pushes.acquire().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned());
    };
    let (head, body) = request.into_parts();
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body did not come\n".to_owned()),
        // The limit, or a client that went away and will not read this.
        Ok(Err(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "more than 16 MiB\n".to_owned()),
        Ok(Ok(body)) => {
            let body = body.to_bytes();
            blocking(move || take(&jobs, labels, &head.headers, &body, method == Method::PUT)).await
        }
    }
}

fn elsewhere(method: &Method, path: &str) -> Answer {
    match path {
        "/-/healthy" | "/-/ready" if method == Method::GET || method == Method::HEAD => {
            (StatusCode::OK, "ok\n".to_owned())
        }
        _ => (
            StatusCode::NOT_FOUND,
            "push to /metrics/job/<job>{/<label>/<value>}\n".to_owned(),
        ),
    }
}

/// Files are written on a thread that may wait for the disk.
async fn blocking(act: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    let done = tokio::task::spawn_blocking(act).await;
    done.unwrap_or_else(|_| {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "see the bridge's log\n".to_owned(),
        )
    })
}

fn delete(jobs: &Jobs, labels: &Labels) -> Answer {
    match jobs.delete(labels) {
        Ok(()) => (StatusCode::ACCEPTED, String::new()),
        Err(error) => disk(&error),
    }
}

fn disk(error: &std::io::Error) -> Answer {
    tracing::warn!(%error, "a push cannot be kept");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
}

fn take(jobs: &Jobs, labels: Labels, headers: &HeaderMap, body: &Bytes, replace_all: bool) -> Answer {
    let read = unpacked(headers, body)
        .and_then(|body| push::families(&body, &labels).map_err(|what| (StatusCode::BAD_REQUEST, what)));
    let families = match read {
        Ok(families) => families,
        Err((status, what)) => {
            jobs.store.failed(&labels, now());
            return (status, what + "\n");
        }
    };
    match jobs.store.push(labels, families, replace_all, now()) {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(Refused::Disk(error)) => disk(&error),
        Err(Refused::Full(what)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{what}\n")),
    }
}

/// The body in text, unpacked.
fn unpacked(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Answer> {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if header(CONTENT_TYPE).starts_with("application/vnd.google.protobuf") {
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "protobuf is not taken here; push the text format 0.0.4".to_owned(),
        ));
    }
    match header(CONTENT_ENCODING).to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body.clone()),
        "gzip" => {
            let mut out = Vec::new();
            let limit = MAX_BODY as u64 + 1;
            match GzDecoder::new(body.as_ref()).take(limit).read_to_end(&mut out) {
                Ok(size) if size > MAX_BODY => Err((
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "more than 16 MiB unpacked".to_owned(),
                )),
                Ok(_) => Ok(out.into()),
                Err(error) => Err((StatusCode::BAD_REQUEST, format!("not gzip: {error}"))),
            }
        }
        other => Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("{other} is not taken here; use gzip or none"),
        )),
    }
}
