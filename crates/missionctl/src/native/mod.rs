//! The native backend: plain processes under supervisord, without root.

mod configuration;
mod diagnosis;
mod down;
mod grafana;
mod reload;
mod scrapes;
mod socket;
mod state;
mod supervisord;
mod unit;
mod up;
mod wait;

pub(crate) use self::down::{Stopped, down};
pub(crate) use self::grafana::password_file;
pub(crate) use self::socket::Socket;
pub(crate) use self::state::State;
pub(crate) use self::supervisord::Supervisord;
pub(crate) use self::unit::Unit;
pub(crate) use self::up::{Outcome, explain, rendered, up};
