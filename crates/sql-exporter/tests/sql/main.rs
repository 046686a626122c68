//! The real program with real databases.

mod check;
mod golden;
mod lab;
mod litellm;
mod mariadb;
mod outage;
mod own;
mod packs;
mod postgres;
mod rights;
mod tls;
mod trouble;
