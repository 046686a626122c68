//! URLs, in the parts that decide where they lead.

use std::fmt;

use super::address::{self, HostPort};

/// An http or https URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// `http` or `https`.
    scheme: String,
    /// Name and password before the `@`.
    pub(crate) credentials: Option<String>,
    /// Name or IP address, an IPv6 address without brackets.
    pub(crate) host: String,
    /// When it is written.
    port: Option<u16>,
    /// Path, query and fragment, with what they begin with.
    rest: String,
}

impl Url {
    /// Takes a URL apart, or says what is wrong with it and what to do, in words that do not repeat a secret.
    pub(crate) fn parse(text: &str) -> Result<Self, (&'static str, String)> {
        const HINT: &str = "write http://host:port/path or https://host/path";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(("is not a URL", HINT.to_owned()));
        };
        if !["http", "https"].contains(&scheme) {
            return Err(("is neither http nor https", HINT.to_owned()));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(("has a blank in it", "write %20 for a blank".to_owned()));
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = match place.rsplit_once(':') {
            // The colon of an IPv6 address in brackets is none before a port.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let host = address::host(host).map_err(|(_, hint)| ("has no good host name or IP address", hint))?;
        let port = port
            .map(address::port)
            .transpose()
            .map_err(|(_, hint)| ("has no good port", hint))?;
        Ok(Self {
            scheme: scheme.to_owned(),
            credentials,
            host,
            port,
            rest: rest.to_owned(),
        })
    }

    /// Whether it is asked over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// It leads to the machine that missionctl runs on.
    pub(crate) fn is_local(&self) -> bool {
        address::is_local(&self.host)
    }

    /// Where it leads.
    pub(crate) fn address(&self) -> HostPort {
        let usual = if self.is_https() { 443 } else { 80 };
        HostPort {
            host: self.host.clone(),
            port: self.port.unwrap_or(usual),
        }
    }

    /// Host and port as they are written, as in the header `Host`.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            Some(_) => self.address().to_string(),
            None if self.host.contains(':') => format!("[{}]", self.host),
            None => self.host.clone(),
        }
    }

    /// The same page at another host.
    pub(crate) fn at(self, address: HostPort) -> Self {
        let port = self.port.map(|_| address.port);
        Self {
            host: address.host,
            port,
            ..self
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.credentials.is_some() { "@" } else { "" };
        write!(
            f,
            "{}://{}{at}{}{}",
            self.scheme,
            self.credentials.as_deref().unwrap_or_default(),
            self.authority(),
            self.rest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_is_put_together_again() {
        for text in [
            "http://localhost",
            "http://localhost:8080/health?full=1#top",
            "https://user:a%40b@example.org/",
            "http://[::1]:9001/RPC2",
            "https://[fd00::1]",
            "http://192.168.1.20?x",
        ] {
            assert_eq!(Url::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn only_the_place_changes() {
        let moved = |text: &str| {
            let url = Url::parse(text).expect(text);
            let address = HostPort {
                host: "gateway".to_owned(),
                port: url.address().port,
            };
            url.at(address).to_string()
        };
        assert_eq!(
            moved("http://u:p@localhost:9001/RPC2"),
            "http://u:p@gateway:9001/RPC2"
        );
        assert_eq!(moved("https://[::1]/x"), "https://gateway/x");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "localhost:8080",
            "ftp://localhost",
            "http://",
            "http://:80",
            "http://a b/",
            "http://pc:0/",
            "http://pc:http/",
            "http://300.1.1.1/",
            "http://fd00::1/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
