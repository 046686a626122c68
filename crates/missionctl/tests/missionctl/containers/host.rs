//! What containers watch on this machine: a real PostgreSQL, a real supervisord with a worker, a board behind a server
//! of serial lines.

use std::path::PathBuf;

use fake_devices::{Bench, Board};
use supervisor::testing::Supervisord;

use crate::postgres::Postgres;

pub(crate) struct Host {
    postgres: Postgres,
    supervisord: Supervisord,
    board_port: u16,
    _boards: Bench,
}

impl Host {
    pub(crate) fn start() -> Self {
        let mut board = Board::esp32(1);
        let everywhere = "0.0.0.0:0".parse().expect("an address");
        Self {
            board_port: board.listen(everywhere).expect("listen").port(),
            _boards: Bench::start(vec![board]),
            postgres: Postgres::start_at("0.0.0.0"),
            supervisord: Supervisord::start("[program:worker_embed]\ncommand = sleep 1000\nstartsecs = 0\n"),
        }
    }

    pub(crate) fn postgres_port(&self) -> u16 {
        self.postgres.port
    }

    pub(crate) fn board_port(&self) -> u16 {
        self.board_port
    }

    pub(crate) fn supervisor_socket(&self) -> PathBuf {
        self.supervisord.socket()
    }
}
