//! Connects to serial ports behind a TCP server such as ser2net, which must pass bytes on as they are.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{OpenError, Trouble};

/// Name lookup and connecting together.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that vanished without a word is noticed after this time, in milliseconds.
const SILENCE: u32 = 4000;
/// It is asked so often meanwhile whether it is there.
const INTERVAL: Duration = Duration::from_secs(1);

/// Connects to `host:port`.
pub(crate) async fn open(address: &str) -> Result<OwnedFd, OpenError> {
    let refused = |trouble, error: &dyn std::fmt::Display| OpenError {
        trouble,
        text: format!("connect to {address}: {error}"),
    };
    let stream = match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let trouble = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Trouble::Refused,
                _ => Trouble::Io,
            };
            return Err(refused(trouble, &error));
        }
        Err(_) => {
            return Err(refused(
                Trouble::Timeout,
                &format!("no answer within {PATIENCE:?}"),
            ));
        }
    };
    let socket = stream.into_std().map(OwnedFd::from);
    let socket = socket.map_err(|error| refused(Trouble::Io, &error))?;
    keep_alive(&socket).map_err(|error| refused(Trouble::Io, &error))?;
    Ok(socket)
}

/// The server took the connection and let it go at once.
pub(crate) fn sent_away(address: &str) -> OpenError {
    OpenError {
        trouble: Trouble::Refused,
        text: format!("connect to {address}: the server ends it at once; has another client the port?"),
    }
}

fn keep_alive(socket: &OwnedFd) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, INTERVAL)?;
    sockopt::set_tcp_keepintvl(socket, INTERVAL)?;
    // In place of a number of questions.
    sockopt::set_tcp_user_timeout(socket, SILENCE)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_connection_is_watched_even_when_nothing_is_said() {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.expect("bind");
        let address = server.local_addr().expect("an address").to_string();
        let socket = open(&address).await.expect("connected");
        assert!(sockopt::socket_keepalive(&socket).expect("asked"));
        assert_eq!(sockopt::tcp_keepidle(&socket).expect("asked"), INTERVAL);
        assert_eq!(sockopt::tcp_keepintvl(&socket).expect("asked"), INTERVAL);
        assert_eq!(sockopt::tcp_user_timeout(&socket).expect("asked"), SILENCE);
        drop(server);
        let refused = open(&address).await.expect_err("nobody listens");
        assert_eq!(refused.trouble, Trouble::Refused);
        assert!(
            refused.text.starts_with(&format!("connect to {address}: ")),
            "{}",
            refused.text
        );
    }
}
