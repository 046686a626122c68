//! What can go wrong between here and supervisord, in words that say what to do.

use std::io;
use std::time::Duration;

use crate::answer::AnswerError;
use crate::value::{Value, ValueError};

/// A call had no result. Every variant names the address, without its credentials, and
/// its cause: it needs no walk along `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("connect to {address}: {cause}{}", connect_hint(cause, address))]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        cause: io::Error,
    },
    /// The connection broke during the call.
    #[error("{method} at {address}: the connection broke: {cause}")]
    Broken {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// How it broke.
        cause: hyper::Error,
    },
    /// No answer in time.
    #[error("{method} at {address}: no answer within {} s", after.as_secs_f64())]
    Timeout {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// The time allowed.
        after: Duration,
    },
    /// HTTP 401.
    #[error(
        "{address}: user or password refused (HTTP 401); give the username and password of its \
         [unix_http_server] or [inet_http_server] in the URL, as in http://user:password@host:9001"
    )]
    Unauthorized {
        /// Where to.
        address: String,
    },
    /// Any other HTTP status than 200.
    #[error("{method} at {address}: HTTP {status}; the path of supervisord's interface is /RPC2")]
    Status {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An answer, but not of XML-RPC.
    #[error(
        "{method} at {address}: answered with {content_type}, not XML-RPC; the path of supervisord's \
         interface is /RPC2"
    )]
    NotXmlRpc {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// What came instead.
        content_type: String,
    },
    /// An answer above [`MAX_ANSWER_BYTES`](crate::MAX_ANSWER_BYTES).
    #[error("{method} at {address}: the answer is larger than {} MiB", crate::MAX_ANSWER_BYTES >> 20)]
    TooLarge {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
    },
    /// An answer whose XML is torn or wrong.
    #[error("{method} at {address}: the answer is not XML-RPC: {cause}")]
    Answer {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// What is wrong.
        cause: AnswerError,
    },
    /// An answer with another content than the method promises.
    #[error("{method} at {address}: unexpected answer: {cause}")]
    Unexpected {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// What is wrong.
        cause: ValueError,
    },
    /// supervisord refused.
    #[error("{method} at {address}: {fault}")]
    Fault {
        /// Where to.
        address: String,
        /// The method called.
        method: &'static str,
        /// Why.
        fault: Fault,
    },
}

impl Error {
    /// The fault, when supervisord itself refused.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault { fault, .. } => Some(fault),
            _ => None,
        }
    }
}

/// What comes from outside is cut to this many bytes where it goes into an error.
const MAX_QUOTE: usize = 300;

/// Cuts a text that quotes an answer.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > MAX_QUOTE {
        text.truncate(text.floor_char_boundary(MAX_QUOTE));
        text.push('…');
    }
    text
}

fn connect_hint(error: &io::Error, address: &str) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; supervisord is not running, or its [unix_http_server] has another file",
        io::ErrorKind::PermissionDenied => {
            "; only its owner may use the socket (mode 0700): run as that user, or set chmod and chown in \
             [unix_http_server]"
        }
        io::ErrorKind::ConnectionRefused if address.starts_with("unix:") => {
            "; the socket file is left over from a supervisord that is gone"
        }
        io::ErrorKind::ConnectionRefused => {
            "; supervisord is not running, or has no [inet_http_server] on this port"
        }
        _ => "",
    }
}

/// A refusal by supervisord: `faultCode` and `faultString`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text} (fault {code})")]
pub struct Fault {
    /// The number.
    pub code: i64,
    /// Its name and what it is about, as in `BAD_NAME: nosuch`.
    pub text: String,
}

/// The faults of supervisord.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are supervisord's own")]
pub enum FaultKind {
    UnknownMethod,
    IncorrectParameters,
    BadArguments,
    SignatureUnsupported,
    ShutdownState,
    BadName,
    BadSignal,
    NoFile,
    NotExecutable,
    Failed,
    AbnormalTermination,
    SpawnError,
    AlreadyStarted,
    NotRunning,
    Success,
    AlreadyAdded,
    StillRunning,
    CantReread,
    Other,
}

impl Fault {
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let Value::Struct(members) = value else {
            return None;
        };
        match (members.get("faultCode")?, members.get("faultString")?) {
            (Value::Int(code), Value::String(text)) => Some(Self {
                code: *code,
                text: cut(text.clone()),
            }),
            _ => None,
        }
    }

    /// The code as a name.
    pub fn kind(&self) -> FaultKind {
        match self.code {
            1 => FaultKind::UnknownMethod,
            2 => FaultKind::IncorrectParameters,
            3 => FaultKind::BadArguments,
            4 => FaultKind::SignatureUnsupported,
            6 => FaultKind::ShutdownState,
            10 => FaultKind::BadName,
            11 => FaultKind::BadSignal,
            20 => FaultKind::NoFile,
            21 => FaultKind::NotExecutable,
            30 => FaultKind::Failed,
            40 => FaultKind::AbnormalTermination,
            50 => FaultKind::SpawnError,
            60 => FaultKind::AlreadyStarted,
            70 => FaultKind::NotRunning,
            80 => FaultKind::Success,
            90 => FaultKind::AlreadyAdded,
            91 => FaultKind::StillRunning,
            92 => FaultKind::CantReread,
            _ => FaultKind::Other,
        }
    }
}
