//! Profiling sessions as OpenTelemetry spans: one for the session and, below it, one for each part that the device timed.
//!
//! Only when `OTEL_EXPORTER_OTLP_ENDPOINT` is set; sent by OTLP over HTTP as protobuf, with the environment variables of
//! the OpenTelemetry specification. Sending happens on a thread of its own behind a bounded queue: a collector that is slow
//! or away costs spans, which are counted, and nothing else.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_ENDPOINT, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanExporter as _, SpanLinks,
};
use ureq::Agent;

use crate::device::Device;
use crate::session::Finished;

/// Sessions that wait to be sent.
const QUEUE: usize = 256;
/// Spans that are sent together.
const BATCH: usize = 512;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Answers are a few bytes.
const LARGEST_ANSWER: u64 = 1 << 20;

/// Where spans go.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Option<Sending>);

#[derive(Clone, Debug)]
struct Sending {
    queue: SyncSender<Vec<SpanData>>,
    dropped: Arc<AtomicU64>,
}

impl Spans {
    /// Nobody wants them.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// To the collector that the environment names, if it names one.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let Ok(endpoint) = std::env::var(OTEL_EXPORTER_OTLP_ENDPOINT) else {
            return Ok(Self::off());
        };
        if endpoint.is_empty() {
            return Ok(Self::off());
        }
        ensure!(
            endpoint.starts_with("http://"),
            "{OTEL_EXPORTER_OTLP_ENDPOINT}: {endpoint:?} does not begin with http://; name a collector that takes OTLP over \
             HTTP, as in http://localhost:4318"
        );
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Http::new())
            .build()
            .with_context(|| format!("{OTEL_EXPORTER_OTLP_ENDPOINT}: {endpoint:?}"))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("device-exporter");
        }
        exporter.set_resource(&resource.build());
        let (queue, sessions) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("spans".to_owned())
            .spawn(move || run(&exporter, &sessions, &lost))
            .context("start a thread")?;
        Ok(Self(Some(Sending { queue, dropped })))
    }

    /// Spans that did not reach the collector; none when nobody wants any.
    pub(crate) fn dropped(&self) -> Option<u64> {
        self.0
            .as_ref()
            .map(|sending| sending.dropped.load(Ordering::Relaxed))
    }

    /// Hands over a session of this device.
    pub(crate) fn send(&self, finished: &Finished, id: &str, device: &Device) {
        let Some(Sending { queue, dropped }) = &self.0 else {
            return;
        };
        let spans = spans(finished, id, device);
        let count = spans.len() as u64;
        if queue.try_send(spans).is_err() {
            dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// The spans of a session, its own first.
fn spans(finished: &Finished, id: &str, device: &Device) -> Vec<SpanData> {
    let ids = RandomIdGenerator::default();
    let trace = ids.new_trace_id();
    let root = ids.new_span_id();
    let phases = finished.phases;
    let parts = [
        ("device_connection", phases.connection),
        ("model_loading", phases.model_loading),
        ("inference_profiling", phases.inference),
    ];
    let mut end = finished.began;
    let mut spans = Vec::with_capacity(1 + parts.len());
    for (name, seconds) in parts {
        let Some(seconds) = seconds else {
            continue;
        };
        let start = end;
        end = after(start, seconds);
        spans.push(span(
            trace,
            ids.new_span_id(),
            root,
            name,
            (start, end),
            Vec::new(),
        ));
    }
    let whole = match finished.seconds {
        Some(seconds) => after(finished.began, seconds).max(end),
        // It never came to an end of its own.
        None => SystemTime::now().max(end),
    };
    let times = (finished.began, whole);
    let mut session = span(
        trace,
        root,
        SpanId::INVALID,
        "profile_model",
        times,
        attributes(finished, id, device),
    );
    session.status = match &finished.error {
        None => Status::Ok,
        Some(error) => Status::error(error.clone()),
    };
    spans.insert(0, session);
    spans
}

fn after(start: SystemTime, seconds: f64) -> SystemTime {
    let time = Duration::try_from_secs_f64(seconds).ok();
    time.and_then(|time| start.checked_add(time)).unwrap_or(start)
}

fn attributes(finished: &Finished, id: &str, device: &Device) -> Vec<KeyValue> {
    let session = &finished.session;
    let platform = session.platform.as_ref().unwrap_or(&device.platform);
    let said = [
        ("device_id", Some(id)),
        ("platform", Some(platform.as_str())),
        ("port", Some(device.port.as_str())),
        ("firmware_version", device.firmware.as_deref()),
        ("session_id", Some(session.id.as_str())),
        ("model_name", session.model_name.as_deref()),
        ("model_type", session.model_type.as_deref()),
        ("quantization", session.quantization.as_deref()),
        ("test_type", session.test_type.as_deref()),
    ];
    let present = said
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key, value?.to_owned())));
    present.collect()
}

fn span(
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
    name: &'static str,
    (start_time, end_time): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::default()),
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(name),
        start_time,
        end_time,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("device-exporter").build(),
    }
}

/// Sends until nobody hands over any more.
fn run(exporter: &SpanExporter, sessions: &Receiver<Vec<SpanData>>, dropped: &AtomicU64) {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime; spans are not sent");
            return;
        }
    };
    let mut is_away = false;
    while let Ok(mut batch) = sessions.recv() {
        while batch.len() < BATCH {
            match sessions.try_recv() {
                Ok(more) => batch.extend(more),
                Err(_) => break,
            }
        }
        let count = batch.len() as u64;
        match runtime.block_on(exporter.export(batch)) {
            Ok(()) => is_away = false,
            Err(error) => {
                dropped.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!(%error, "spans do not reach the collector; they are counted and dropped");
                }
            }
        }
    }
}

/// What carries the requests.
#[derive(Debug)]
struct Http(Agent);

impl Http {
    fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false);
        Self(config.build().into())
    }
}

#[async_trait::async_trait]
impl HttpClient for Http {
    /// Blocks: whoever sends has a thread for it.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(head, &body[..]))?;
        let (head, mut body) = answer.into_parts();
        let body = body.with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
