//! From the command line to a running exporter.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::collector::Collector;
use crate::health::Health;
use crate::instruments::Instruments;
use crate::log;
use crate::scrape::Scraper;
use crate::web::{Limits, Server, Site, bind, healthcheck};

/// `--once` waits at most this long for the collectors.
const ONCE_DEADLINE: Duration = Duration::from_secs(30);

/// What an exporter is called.
#[derive(Debug)]
pub struct App {
    /// The one word for crate, program, service and scrape job, such as `rapl-exporter`.
    pub name: &'static str,
    /// One sentence for `--help` and the landing page.
    pub about: &'static str,
    /// The default port, on 127.0.0.1.
    pub port: u16,
    /// The program's version.
    pub version: &'static str,
}

/// What an exporter is made of, once its flags are known.
pub struct Exporter {
    collectors: Vec<Box<dyn Collector>>,
    instruments: Option<Instruments>,
    reload: Option<Reload>,
    warm_up: Duration,
}

type Reload = Box<dyn FnMut() -> anyhow::Result<()> + Send>;

impl Exporter {
    /// An exporter of these collectors.
    pub fn new(collectors: Vec<Box<dyn Collector>>) -> Self {
        Self {
            collectors,
            instruments: None,
            reload: None,
            warm_up: Duration::ZERO,
        }
    }

    /// Long-lived counters and histograms that go onto the page too.
    #[must_use]
    pub fn instruments(mut self, instruments: Instruments) -> Self {
        self.instruments = Some(instruments);
        self
    }

    /// What to do on SIGHUP: read the configuration again. An error must leave the earlier one in use.
    #[must_use]
    pub fn on_reload(mut self, reload: impl FnMut() -> anyhow::Result<()> + Send + 'static) -> Self {
        self.reload = Some(Box::new(reload));
        self
    }

    /// How long `--once` waits before it collects, so that sampled values exist.
    #[must_use]
    pub fn warm_up(mut self, time: Duration) -> Self {
        self.warm_up = time;
        self
    }
}

/// The flags that every exporter has. Each is an environment variable too: `RAPL_EXPORTER_LOG_LEVEL` for
/// `--log.level` of rapl-exporter.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Address to listen on, `host:port` or `:port` for all interfaces; may be repeated
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<String>,
    /// Path of the metrics page
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    telemetry_path: String,
    /// TLS and users, in the exporter-toolkit's format; not supported yet
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// The exporter's own configuration
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Least severe messages to log
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value = "info")]
    log_level: log::Level,
    /// Form of the log on standard error
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        value_enum,
        default_value = "auto"
    )]
    log_format: log::Format,
    /// Where procfs is mounted
    #[arg(long = "path.procfs", value_name = "DIR", default_value = "/proc")]
    pub procfs: PathBuf,
    /// Where sysfs is mounted
    #[arg(long = "path.sysfs", value_name = "DIR", default_value = "/sys")]
    pub sysfs: PathBuf,
    /// Collect, print the page and exit
    #[arg(long)]
    pub once: bool,
    /// Ask the running exporter at the listen address for its health and exit with 0 or 1
    #[arg(long)]
    healthcheck: bool,
}

/// For exporters without flags of their own.
#[derive(Args, Clone, Copy, Debug)]
pub struct NoArgs {}

#[derive(Parser)]
struct Cli<A: Args> {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    own: A,
}

/// The whole life of an exporter. `build` makes the collectors from the flags, inside the Tokio runtime.
///
/// Exits with 0 after SIGTERM or SIGINT, with 1 when it cannot start, with 2 on wrong flags.
pub fn run<A: Args>(
    app: &'static App,
    build: impl FnOnce(&A, &Common) -> anyhow::Result<Exporter>,
) -> ExitCode {
    let Cli { common, own } = parse::<A>(app, std::env::args_os());
    log::init(app.name, common.log_level, common.log_format);
    match start(app, &own, &common, build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn parse<A: Args>(app: &'static App, words: impl Iterator<Item = OsString>) -> Cli<A> {
    let prefix = app.name.replace('-', "_").to_uppercase();
    let mut command = Cli::<A>::command()
        .name(app.name)
        .about(app.about)
        .version(app.version)
        .mut_arg("listen", |arg| {
            arg.default_value(format!("127.0.0.1:{}", app.port))
        });
    command = command.mut_args(|arg| match arg.get_long() {
        Some("help" | "version") | None => arg,
        Some(long) => {
            let variable = format!("{prefix}_{}", long.replace(['.', '-'], "_").to_uppercase());
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                // The variable has a value, and `1` is what people write.
                arg.env(variable).value_parser(BoolishValueParser::new())
            } else {
                arg.env(variable)
            }
        }
    });
    let matches = command.get_matches_from(words);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn start<A: Args>(
    app: &'static App,
    own: &A,
    common: &Common,
    build: impl FnOnce(&A, &Common) -> anyhow::Result<Exporter>,
) -> anyhow::Result<()> {
    if common.web_config.is_some() {
        bail!(
            "--web.config.file: TLS and users are not supported yet; listen on 127.0.0.1 and leave the flag out"
        );
    }
    if !common.telemetry_path.starts_with('/') {
        bail!(
            "--web.telemetry-path: `{}` does not begin with /",
            common.telemetry_path
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Longer than the usual scrape interval, so that a scrape starts no threads.
        .thread_keep_alive(Duration::from_secs(90))
        .build()
        .context("start the runtime")?;
    let result = runtime.block_on(async {
        if common.healthcheck {
            let address = common
                .listen
                .first()
                .context("--healthcheck: no --web.listen-address")?;
            return healthcheck(address).await;
        }
        let exporter = build(own, common)?;
        if common.once {
            once(app, exporter).await
        } else {
            serve(app, common, exporter).await
        }
    });
    // A collector that hangs must not keep the program from ending.
    runtime.shutdown_background();
    result
}

async fn once(app: &App, exporter: Exporter) -> anyhow::Result<()> {
    sleep(exporter.warm_up).await;
    let scraper = Scraper::new(
        exporter.collectors,
        Health::new(app.name, app.version),
        exporter.instruments,
    );
    let page = scraper.page(Instant::now() + ONCE_DEADLINE).await;
    let mut out = std::io::stdout().lock();
    match out.write_all(&page).and_then(|()| out.flush()) {
        // Who reads has seen enough, as in `--once | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("print the page"),
    }
}

async fn serve(app: &'static App, common: &Common, exporter: Exporter) -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("listen for signals");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let health = Health::new(app.name, app.version);
    let listeners = bind(&common.listen)?;
    for listener in &listeners {
        let address = listener.local_addr().context("read the listener's address")?;
        tracing::info!(%address, version = app.version, "listening");
    }
    if exporter.reload.is_some() {
        // The configuration was read once to get here.
        health.reloaded(true);
    }
    let scraper = Scraper::new(exporter.collectors, health.clone(), exporter.instruments);
    let site = Site::new(app, common.telemetry_path.clone(), scraper);
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(Server::new(listeners, site, Limits::default()).run(stopped));
    let mut reload = exporter.reload;
    let reloads = async {
        loop {
            hang_up.recv().await;
            reload = reload_configuration(reload.take(), &health).await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = reloads => {}
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    server.await.context("the server's task")
}

/// Reads the configuration again, on a thread of its own since it may block.
async fn reload_configuration(reload: Option<Reload>, health: &Health) -> Option<Reload> {
    let Some(mut reload) = reload else {
        tracing::info!("SIGHUP: there is no configuration to reload");
        return None;
    };
    let reloaded = tokio::task::spawn_blocking(move || {
        let result = reload();
        (reload, result)
    });
    match reloaded.await {
        Ok((reload, result)) => {
            health.reloaded(result.is_ok());
            match result {
                Ok(()) => tracing::info!("configuration reloaded"),
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "the configuration cannot be used; the earlier one stays"
                ),
            }
            Some(reload)
        }
        Err(panic) => {
            health.reloaded(false);
            tracing::error!(error = %panic, "reloading panicked; the earlier configuration stays until a restart");
            None
        }
    }
}
