//! The native backend: plain processes under supervisord, without root.

mod configuration;
mod diagnosis;
mod down;
mod grafana;
mod logs;
mod requirements;
mod socket;
mod supervisord;
mod unit;
mod up;
mod wait;

pub(crate) use self::down::{Stopped, down};
pub(crate) use self::requirements::{leave_out_missing, narrow};
pub(crate) use self::socket::Socket;
pub(crate) use self::supervisord::Supervisord;
pub(crate) use self::unit::Unit;
pub(crate) use self::up::{rendered, up};
