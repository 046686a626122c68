//! HTTP/1.1 over a Unix socket or TCP, one kept connection, one call at a time.

use std::io;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

use crate::answer::MAX_ANSWER_BYTES;
use crate::endpoint::{Endpoint, Target};
use crate::error::{Error, cut};

type Sender = SendRequest<Full<Bytes>>;

/// One connection to supervisord, opened when needed and kept while supervisord keeps it.
pub(crate) struct Transport {
    endpoint: Endpoint,
    idle: Option<Sender>,
}

impl Transport {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, idle: None }
    }

    /// Sends a call and returns the answer's body. When the future is dropped, the connection closes
    /// with it: a late answer must not be taken for the next call's.
    pub(crate) async fn call(&mut self, method: &'static str, xml: String) -> Result<Bytes, Error> {
        let (sender, response) = self.send(method, xml).await?;
        let answer = self.check(method, response)?;
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(cause) => self.broken(method, *cause),
            Err(_) => Error::TooLarge {
                address: self.endpoint.to_string(),
                method,
            },
        })?;
        self.idle = Some(sender);
        Ok(body.to_bytes())
    }

    async fn send(
        &mut self,
        method: &'static str,
        xml: String,
    ) -> Result<(Sender, Response<Incoming>), Error> {
        let mut request = self.request(xml);
        if let Some(mut sender) = self.idle.take()
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut unsent) => match unsent.take_message() {
                    // supervisord closed the kept connection before it saw anything: ask on a new one.
                    Some(again) => request = again,
                    None => return Err(self.broken(method, unsent.into_error())),
                },
            }
        }
        let mut sender = self.connect(method).await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|cause| self.broken(method, cause))?;
        Ok((sender, response))
    }

    async fn connect(&self, method: &'static str) -> Result<Sender, Error> {
        let refused = |cause: io::Error| Error::Connect {
            address: self.endpoint.to_string(),
            cause,
        };
        match &self.endpoint.target {
            Target::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(refused)?;
                self.handshake(method, TokioIo::new(stream)).await
            }
            Target::Tcp { host, port, .. } => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let stream = TcpStream::connect((host, *port)).await.map_err(refused)?;
                stream.set_nodelay(true).map_err(refused)?;
                self.handshake(method, TokioIo::new(stream)).await
            }
        }
    }

    async fn handshake<S>(&self, method: &'static str, stream: TokioIo<S>) -> Result<Sender, Error>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(stream)
            .await
            .map_err(|cause| self.broken(method, cause))?;
        // Ends when the sender is dropped or supervisord hangs up; its error reaches the sender too.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, xml: String) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(xml)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.endpoint.path().parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        if let Ok(host) = HeaderValue::from_str(&self.endpoint.host()) {
            headers.insert(HOST, host);
        }
        if let Some(authorization) = &self.endpoint.authorization
            && let Ok(mut value) = HeaderValue::from_str(authorization)
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        request
    }

    fn check(&self, method: &'static str, response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
        let address = self.endpoint.to_string();
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(Error::Unauthorized { address }),
            status => {
                return Err(Error::Status {
                    address,
                    method,
                    status: status.as_u16(),
                });
            }
        }
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        match content_type {
            Some(kind) if kind.contains("xml") && !kind.contains("html") => Ok(response),
            other => Err(Error::NotXmlRpc {
                address,
                method,
                content_type: cut(other.unwrap_or("no content type").to_owned()),
            }),
        }
    }

    fn broken(&self, method: &'static str, cause: hyper::Error) -> Error {
        Error::Broken {
            address: self.endpoint.to_string(),
            method,
            cause,
        }
    }
}
