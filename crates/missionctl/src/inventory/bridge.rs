//! `[bridge]`: a centre that does not reach this machine, so that its metrics are brought there. `[receiver]`: what makes
//! this stack such a centre.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::amounts::{duration, retention_size};
use super::choices::Profile;
use super::problem::Findings;
use super::{HostPort, Stack, Url, address, file, secret};
use crate::text;

/// Where the metrics of this machine are brought, and how.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// The centre.
    pub(crate) centre: Centre,
    /// Who brings them.
    pub(crate) user: Option<String>,
    /// Its password's file, absolute.
    pub(crate) password_file: Option<PathBuf>,
    /// A token's file, absolute.
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates that the centre's may be signed with, absolute.
    pub(crate) ca_file: Option<PathBuf>,
    /// Proxy on the way.
    pub(crate) proxy: Option<Url>,
    /// How often targets are scraped.
    pub(crate) interval: Option<String>,
    /// Where jobs of this machine push to.
    pub(crate) intake: Option<HostPort>,
    /// How much is kept while the centre is away.
    pub(crate) spool_size: Option<String>,
    /// For how long it is kept.
    pub(crate) spool_age: Option<String>,
    /// Where the inventory names the centre.
    pub(crate) span: Range<usize>,
}

/// Who takes the metrics.
#[derive(Debug)]
pub(crate) enum Centre {
    /// By remote write, with the times at which samples were taken.
    RemoteWrite(Url),
    /// A Pushgateway, which keeps the last values only.
    Pushgateway(Url),
}

impl Centre {
    /// Its address.
    pub(crate) const fn url(&self) -> &Url {
        match self {
            Self::RemoteWrite(url) | Self::Pushgateway(url) => url,
        }
    }
}

/// Where the table names the centre, for what asks for the service.
pub(super) fn span(bridge: &file::Bridge) -> Option<Range<usize>> {
    let centre = bridge.remote_write.as_ref().or(bridge.pushgateway.as_ref());
    centre.map(Spanned::span)
}

/// Checks `[bridge]`. Whether the centre answers is a matter for [`crate::preflight`].
pub(crate) fn check(bridge: &file::Bridge, root: &Path, findings: &mut Findings) -> Option<Bridge> {
    let (centre, span) = centre(bridge, findings)?;
    let secret = |file: &Option<Spanned<String>>, holds: &str, findings: &mut Findings| {
        file.as_ref()
            .and_then(|file| secret::file(file, root, holds, findings))
    };
    let user = bridge.user.as_ref().map(|user| user.get_ref().clone());
    let password_file = secret(&bridge.password_file, "the password", findings);
    let token_file = secret(&bridge.token_file, "the token", findings);
    if let Some(token) = &bridge.token_file
        && (bridge.user.is_some() || bridge.password_file.is_some())
    {
        let what = "the bridge has a user and a token";
        findings.refuse(Some(token.span()), what, "keep one of the two");
    }
    if let (Some(user), None) = (&bridge.user, &bridge.password_file) {
        let hint = "add `password_file = \"secrets/…\"`";
        findings.refuse(Some(user.span()), "the user has no password", hint);
    }
    if let (None, Some(file)) = (&bridge.user, &bridge.password_file) {
        let hint = "add `user = \"…\"`";
        findings.refuse(Some(file.span()), "the password is nobody's", hint);
    }
    Some(Bridge {
        centre,
        user,
        password_file,
        token_file,
        ca_file: bridge
            .ca_file
            .as_ref()
            .and_then(|file| readable(file, root, findings)),
        proxy: bridge.proxy.as_ref().and_then(|proxy| url(proxy, findings)),
        interval: bridge
            .interval
            .as_ref()
            .and_then(|interval| duration(interval, findings)),
        intake: bridge.intake.as_ref().and_then(|intake| listen(intake, findings)),
        spool_size: retention_size(bridge.spool.size.as_ref(), findings),
        spool_age: bridge.spool.age.as_ref().and_then(|age| duration(age, findings)),
        span,
    })
}

/// An agent without a centre would collect for nobody.
pub(crate) fn agent(file: &file::File, stack: &Stack, findings: &mut Findings) {
    if let Some(profile) = &file.stack.profile
        && stack.profile == Profile::Agent
        && file.bridge.is_none()
    {
        findings.refuse(
            Some(profile.span()),
            "an agent keeps nothing itself, and no [bridge] says where to bring what it collects",
            "add [bridge] with remote_write = \"http://centre:9090/api/v1/write\", or write profile = \"core\"",
        );
    }
}

fn centre(bridge: &file::Bridge, findings: &mut Findings) -> Option<(Centre, Range<usize>)> {
    const HINT: &str =
        "remote_write = \"http://centre:9090/api/v1/write\", or pushgateway = \"http://centre:9091\"";
    match (&bridge.remote_write, &bridge.pushgateway) {
        (Some(write), None) => Some((Centre::RemoteWrite(url(write, findings)?), write.span())),
        (None, Some(push)) => Some((Centre::Pushgateway(url(push, findings)?), push.span())),
        (Some(_), Some(push)) => {
            let what = "the bridge has two centres";
            findings.refuse(
                Some(push.span()),
                what,
                "keep one of the two; remote_write loses nothing",
            );
            None
        }
        (None, None) => {
            findings.refuse(findings.header("[bridge]"), "the bridge leads nowhere", HINT);
            None
        }
    }
}

fn listen(text: &Spanned<String>, findings: &mut Findings) -> Option<HostPort> {
    match address::host_port(text.get_ref()) {
        Ok(address) if address::is_local(&address.host) => Some(address),
        Ok(address) => {
            let what = format!("{} is no address of this machine", address.host);
            findings.refuse(Some(text.span()), what, "write where to listen: 127.0.0.1:9091");
            None
        }
        Err((what, hint)) => {
            findings.refuse(Some(text.span()), what, hint);
            None
        }
    }
}

fn url(text: &Spanned<String>, findings: &mut Findings) -> Option<Url> {
    match Url::parse(text.get_ref()) {
        Ok(url) if url.credentials.is_some() => {
            let what = "a password does not belong into the inventory";
            let hint = "write user = \"…\" and password_file = \"secrets/…\" instead";
            findings.refuse(Some(text.span()), what, hint);
            None
        }
        Ok(url) => Some(url),
        Err((what, hint)) => {
            findings.refuse(Some(text.span()), format!("`{}` {what}", text.get_ref()), hint);
            None
        }
    }
}

fn readable(file: &Spanned<String>, root: &Path, findings: &mut Findings) -> Option<PathBuf> {
    let path = root.join(file.get_ref());
    match std::fs::read(&path) {
        Ok(_) => Some(path),
        Err(error) => {
            let what = format!("{} cannot be read: {}", path.display(), text::io_reason(&error));
            let hint = "name a file with certificates in PEM form";
            findings.refuse(Some(file.span()), what, hint);
            None
        }
    }
}

/// Checks `[receiver]`; how old a sample may be that Prometheus takes.
pub(crate) fn receiver(receiver: &file::Receiver, stack: &Stack, findings: &mut Findings) -> Option<String> {
    let window = duration(&receiver.out_of_order, findings)?;
    if stack.bind.is_loopback() {
        findings.warn(
            Some(receiver.out_of_order.span()),
            format!("Prometheus listens on {}, where only this machine reaches it", stack.bind),
            "write bind = \"0.0.0.0\" or an address of this machine into [stack]; anybody there can then read and write",
        );
    }
    Some(window)
}
