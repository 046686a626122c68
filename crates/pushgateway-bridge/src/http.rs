//! The client for receivers and local targets: users, tokens, TLS, a proxy, and limits on everything.
//!
//! Secrets are in files that are read again when they change, and stand in no error.

mod answer;
mod files;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::{Method, Request};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

pub use self::answer::Answer;

use self::files::Stamp;
use crate::clock::uptime;

/// What is worth reading of an answer to a push: a receiver says in a line or two what it does not like.
pub const SHORT: u64 = 64 << 10;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// User of basic authentication; needs `password_file`.
    pub user: Option<String>,
    /// File with the user's password.
    pub password_file: Option<PathBuf>,
    /// File with a bearer token; not beside a user.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
    /// `http://[user:password@]host:port` of a proxy, which is asked for a tunnel (CONNECT) to every address; none means
    /// that no proxy is used, whatever the environment says.
    pub proxy: Option<String>,
    /// How long a request may take, from the connection to the end of the answer.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: None,
            password_file: None,
            token_file: None,
            ca_file: None,
            insecure_skip_verify: false,
            proxy: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Why there is no answer, or no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the settings name.
    #[error("read {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Settings that cannot be used, with the reason.
    #[error("{0}")]
    Settings(String),
    /// The answer is larger than it may be.
    #[error("{url}: the answer is larger than {most} bytes; raise `body_limit` if that is right")]
    TooLarge {
        /// Where it came from.
        url: String,
        /// How large it may be.
        most: u64,
    },
    /// The request did not get an answer.
    #[error("{url}: {reason}")]
    Unreachable {
        /// Where it went, without user and password.
        url: String,
        /// What happened.
        reason: String,
    },
}

/// A client with one set of settings; connections are kept and used again.
pub struct Client {
    settings: Settings,
    state: Mutex<State>,
}

/// What was made from files, with what the files looked like then.
#[derive(Default)]
struct State {
    /// Whether it can speak TLS: the system's authorities are not read for nothing.
    agent: Option<((bool, Option<Stamp>), Agent)>,
    authorization: Option<(Stamp, String)>,
}

impl Client {
    /// Checks the settings and reads the files they name, so that mistakes show at the start.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        if settings.user.is_some() != settings.password_file.is_some() {
            return Err(Error::Settings(
                "user and password_file belong together".to_owned(),
            ));
        }
        if settings.user.is_some() && settings.token_file.is_some() {
            return Err(Error::Settings(
                "give a user or a token_file, not both".to_owned(),
            ));
        }
        if settings.user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(Error::Settings(
                "user: basic authentication allows no `:` in it".to_owned(),
            ));
        }
        let client = Self {
            settings,
            state: Mutex::default(),
        };
        client.prepared(client.settings.ca_file.is_some())?;
        Ok(client)
    }

    /// Asks for a page.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Error> {
        self.send(&Method::GET, url, headers, &[])
    }

    /// Sends a request; any status is an answer, redirections too.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Error> {
        check(url)?;
        let (agent, authorization) = self.prepared(url.starts_with("https:"))?;
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &authorization {
            request = request.header("Authorization", authorization);
        }
        let sent = uptime();
        let answer = if *method == Method::GET || *method == Method::HEAD || *method == Method::DELETE {
            request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| agent.run(request))
        } else {
            request
                .body(body)
                .map_err(ureq::Error::from)
                .and_then(|request| agent.run(request))
        };
        let answer = answer.map_err(|error| unreachable(url, &error))?;
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            sent,
            received: uptime(),
            url: url.to_owned(),
            body,
        })
    }

    fn prepared(&self, is_tls: bool) -> Result<(Agent, Option<String>), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_tls = is_tls
            || self
                .settings
                .proxy
                .as_ref()
                .is_some_and(|proxy| proxy.starts_with("https:"));
        let ca = self.settings.ca_file.as_deref().filter(|_| is_tls);
        let seen = (is_tls, ca.map(files::stamp).transpose()?);
        let agent = match &state.agent {
            Some((known, agent)) if *known == seen => agent.clone(),
            _ => {
                let agent = agent(&self.settings, is_tls)?;
                state.agent = Some((seen, agent.clone()));
                agent
            }
        };
        Ok((agent, self.authorization(&mut state)?))
    }

    fn authorization(&self, state: &mut State) -> Result<Option<String>, Error> {
        let Settings {
            user,
            password_file,
            token_file,
            ..
        } = &self.settings;
        let Some(file) = password_file.as_ref().or(token_file.as_ref()) else {
            return Ok(None);
        };
        let seen = files::stamp(file)?;
        if let Some((known, header)) = &state.authorization
            && *known == seen
        {
            return Ok(Some(header.clone()));
        }
        let secret = files::secret(file)?;
        let header = match user {
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        };
        state.authorization = Some((seen, header.clone()));
        Ok(Some(header))
    }
}

/// Without what the files hold.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.settings.timeout)
            .finish_non_exhaustive()
    }
}

/// Whether requests can go there. User and password do not belong into an address, which is logged.
pub fn check(url: &str) -> Result<(), Error> {
    let wrong = |reason: &str| Err(Error::Settings(reason.to_owned()));
    let Some(rest) = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
    else {
        return wrong("the address begins with neither http:// nor https://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return wrong("the address holds a user; use `user` and `password_file` instead");
    }
    match url.parse::<ureq::http::Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Ok(_) => wrong("the address has no host"),
        Err(error) => wrong(&format!("the address is not one: {error}")),
    }
}

fn agent(settings: &Settings, is_tls: bool) -> Result<Agent, Error> {
    let proxy = match &settings.proxy {
        // What is wrong with it is not said, since it may hold a password.
        Some(proxy) => Some(Proxy::new(proxy).map_err(|_| {
            Error::Settings("proxy: not an address such as http://proxy.lan:3128".to_owned())
        })?),
        None => None,
    };
    let roots = match &settings.ca_file {
        Some(path) if is_tls => files::roots(path)?,
        None if is_tls => files::system_roots(),
        _ => RootCerts::new_with_certs(&[]),
    };
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .disable_verification(settings.insecure_skip_verify)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .tls_config(tls)
        .timeout_connect(Some(CONNECT.min(settings.timeout)))
        .timeout_global(Some(settings.timeout))
        .user_agent(concat!("pushgateway-bridge/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.into())
}

fn unreachable(url: &str, error: &ureq::Error) -> Error {
    let reason = match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "the host is unknown".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    Error::Unreachable {
        url: url.to_owned(),
        reason,
    }
}
