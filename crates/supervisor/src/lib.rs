//! Talks to supervisord over its XML-RPC interface.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = supervisor::Client::new("unix:///run/supervisor.sock".parse()?);
//! for process in client.all_process_info().await? {
//!     println!("{}: {}", process.full_name(), process.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! supervisord knows no read-only credential: whoever can ask can also stop, start and shut down.

mod answer;
mod client;
mod endpoint;
mod error;
mod info;
mod request;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;
mod value;

pub use answer::{AnswerError, MAX_ANSWER_BYTES, MAX_DEPTH, parse_answer};
pub use client::Client;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Error, Fault, FaultKind};
pub use info::{ConfigChanges, GroupResult, LogTail, ProcessConfig, ProcessInfo};
pub use state::{ProcessState, ServerState};
pub use value::{Value, ValueError};
