//! The crate as its users see it: files in, models or messages out.

mod files;
mod generate;
mod model;
#[cfg(feature = "oracle")]
mod oracle;
mod properties;
mod refused;
mod render;
#[cfg(feature = "oracle")]
mod texts;
