//! What containers watch on this machine: a real PostgreSQL and a real supervisord with a worker.

use std::path::PathBuf;

use supervisor::testing::Supervisord;

use crate::postgres::Postgres;

pub(crate) struct Host {
    postgres: Postgres,
    supervisord: Supervisord,
}

impl Host {
    pub(crate) fn start() -> Self {
        Self {
            postgres: Postgres::start_at("0.0.0.0"),
            supervisord: Supervisord::start("[program:worker_embed]\ncommand = sleep 1000\nstartsecs = 0\n"),
        }
    }

    pub(crate) fn postgres_port(&self) -> u16 {
        self.postgres.port
    }

    pub(crate) fn supervisor_socket(&self) -> PathBuf {
        self.supervisord.socket()
    }
}
