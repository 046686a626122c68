//! Where supervisord listens, as a URL.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;

/// The address of one supervisord.
///
/// `unix:///run/supervisor.sock`, `unix://user:password@/run/supervisor.sock`, `http://host:9001` or
/// `http://user:password@host:9001/RPC2`. User and password may be percent-encoded. Shown without them.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint {
    pub(crate) target: Target,
    pub(crate) authorization: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Unix(PathBuf),
    Tcp { host: String, port: u16, path: String },
}

/// A URL that leads to no supervisord.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EndpointError {
    #[error("{0:?} has no scheme; write unix:///path/to/supervisor.sock or http://host:9001")]
    NoScheme(String),
    #[error("scheme {0:?} is unknown; supervisord speaks unix:// and http://")]
    Scheme(String),
    #[error("{0:?} is no absolute path; write unix:///path/to/supervisor.sock (three slashes)")]
    RelativePath(String),
    #[error("no host in the address {0:?}; write http://host:9001")]
    NoHost(String),
    #[error("{0:?} is no port number")]
    Port(String),
    #[error("the path {0:?} has a blank or another character that no path may have; write it as %20")]
    Path(String),
    #[error("a user or password with a slash; write it as %2F")]
    SlashInCredentials,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| {
            // Without a scheme nobody knows where credentials end: show none of them.
            EndpointError::NoScheme(url.rsplit('@').next().unwrap_or_default().to_owned())
        })?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, authority),
        };
        let target = match scheme {
            "unix" if address.is_empty() && path.len() > 1 => Target::Unix(PathBuf::from(path)),
            "unix" => return Err(EndpointError::RelativePath(format!("{address}{path}"))),
            // Before anything is shown of the address: it is a part of the password.
            "http" if credentials.is_none() && path.contains('@') => {
                return Err(EndpointError::SlashInCredentials);
            }
            "http" => tcp(address, path)?,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        Ok(Self {
            target,
            authorization: credentials.map(basic),
        })
    }
}

fn tcp(address: &str, path: &str) -> Result<Target, EndpointError> {
    // An IPv6 address stands in brackets: its last colon is no port's.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (
            host,
            port.parse().map_err(|_| EndpointError::Port(port.to_owned()))?,
        ),
        _ => (address, 80),
    };
    if host.is_empty() {
        return Err(EndpointError::NoHost(address.to_owned()));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(EndpointError::Path(path.to_owned()));
    }
    let path = if matches!(path, "" | "/") { "/RPC2" } else { path };
    Ok(Target::Tcp {
        host: host.to_owned(),
        port,
        path: path.to_owned(),
    })
}

fn basic(credentials: &str) -> String {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = percent_decoded(user);
    plain.push(b':');
    plain.extend(percent_decoded(password));
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(plain)
    )
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

impl Endpoint {
    /// The endpoint of a socket file, without credentials.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            target: Target::Unix(path.into()),
            authorization: None,
        }
    }

    pub(crate) fn path(&self) -> &str {
        match &self.target {
            Target::Unix(_) => "/RPC2",
            Target::Tcp { path, .. } => path,
        }
    }

    pub(crate) fn host(&self) -> String {
        match &self.target {
            Target::Unix(_) => "localhost".to_owned(),
            Target::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

/// Without credentials.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Unix(path) => write!(f, "unix://{}", path.display()),
            Target::Tcp { host, port, path } if path == "/RPC2" => write!(f, "http://{host}:{port}"),
            Target::Tcp { host, port, path } => write!(f, "http://{host}:{port}{path}"),
        }
    }
}

/// Without credentials.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        url.parse().unwrap()
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let plain = "Basic dXNlcjpwQHNz"; // user:p@ss
        for (url, shown) in [
            ("unix://user:p@ss@/run/s.sock", "unix:///run/s.sock"),
            ("unix://user:p%40ss@/run/s.sock", "unix:///run/s.sock"),
            ("http://user:p@ss@box:9001/RPC2", "http://box:9001"),
            ("http://user:p%40ss@box:9001", "http://box:9001"),
        ] {
            let endpoint = endpoint(url);
            assert_eq!(endpoint.authorization.as_deref(), Some(plain), "{url}");
            assert_eq!(endpoint.to_string(), shown);
            assert!(!format!("{endpoint:?}").contains("ss@"));
        }
        for url in [
            "user:secret@box",
            "http://user:sec/ret@box",
            "http://user:1/secret@box",
        ] {
            let error = url.parse::<Endpoint>().unwrap_err().to_string();
            assert!(!error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(
            endpoint("unix:///run/s.sock").target,
            Target::Unix("/run/s.sock".into())
        );
        assert_eq!(endpoint("http://box").host(), "box:80");
        assert_eq!(endpoint("http://box:9001/").path(), "/RPC2");
        assert_eq!(endpoint("http://box:9001/lab/RPC2").path(), "/lab/RPC2");
        assert_eq!(endpoint("http://[::1]:9001").host(), "[::1]:9001");
        assert_eq!(endpoint("http://[::1]").host(), "[::1]:80");
    }

    #[test]
    fn refusals_say_what_to_write() {
        for (url, hint) in [
            ("/run/s.sock", "unix:///path"),
            ("unix://run/s.sock", "three slashes"),
            ("unix://", "three slashes"),
            ("https://box:9001", "https"),
            ("http://:9001", "no host"),
            ("http://box:port", "\"port\" is no port number"),
            ("http://box:9001/a b", "write it as %20"),
            ("http://user:12/34@box:9001", "write it as %2F"),
        ] {
            let error = url.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_endpoint_or_an_error(url in ".*") {
            let _ = url.parse::<Endpoint>();
            let _ = format!("http://{url}").parse::<Endpoint>();
        }
    }
}
