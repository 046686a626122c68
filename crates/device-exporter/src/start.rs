//! From the flags to the running exporter.

use std::path::PathBuf;
use std::process::exit;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use exporter::{Common, Exporter};
use tokio::runtime::Builder;
use tokio::sync::watch::{self, Receiver};

use crate::board::Board;
use crate::config::{self, Settings};
use crate::link::Shared;
use crate::logs::Logs;
use crate::memory::Memory;
use crate::page::Devices;
use crate::spans::Spans;
use crate::watch::Watch;

/// Threads for what may hang in a driver: opening and closing ports, looking for them.
const BLOCKING: usize = 64;
/// With `--once`: time for devices to say something.
const WARM_UP: Duration = Duration::from_secs(4);

/// The exporter's own flags.
#[derive(clap::Args, Clone, Debug)]
pub struct Flags {
    /// Folder for what is known of devices from one start to the next
    #[arg(
        long = "storage.path",
        value_name = "DIR",
        default_value = "device-exporter-data"
    )]
    storage: PathBuf,
    /// Read the configuration, say what is wrong with it, and exit
    #[arg(long = "config.check")]
    check: bool,
}

/// The exporter; with `--config.check`, the end of the program.
pub fn exporter(flags: &Flags, common: &Common) -> anyhow::Result<Exporter> {
    let settings = config::read(common.config_file.as_ref())?;
    if flags.check {
        // Nothing was begun yet that would have to be ended.
        exit(0);
    }
    let spans = Spans::from_environment()?;
    let logs = Logs::start().context("start a thread")?;
    let board = Arc::new(Mutex::new(Board::new(logs, spans)));
    let has_devices = !settings.rules.is_empty();
    let (change, settings) = watch::channel(Arc::new(settings));
    let shared = Arc::new(Shared::new(Arc::clone(&board), &common.sysfs));
    start(shared, Memory::new(&flags.storage), settings)?;
    let path = common.config_file.clone();
    let exporter = Exporter::new(vec![Box::new(Devices(board))])
        .warm_up(if has_devices { WARM_UP } else { Duration::ZERO })
        .on_reload(move || {
            change.send_replace(Arc::new(config::read(path.as_ref())?));
            Ok(())
        });
    Ok(exporter)
}

/// Starts the thread on which all devices are read.
fn start(shared: Arc<Shared>, memory: Memory, settings: Receiver<Arc<Settings>>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .context("start the runtime of the devices")?;
    std::thread::Builder::new()
        .name("devices".to_owned())
        .spawn(move || {
            memory.recall(&mut shared.board());
            runtime.block_on(Watch::new(shared, memory).run(settings));
            // Somebody may hang in a driver.
            runtime.shutdown_background();
        })
        .context("start a thread")?;
    Ok(())
}
