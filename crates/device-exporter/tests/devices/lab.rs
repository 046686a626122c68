//! The real program with devices on real pseudo-terminals, and what all tests do with them.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use exporter::testing::{Running, value};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_device-exporter");

/// A folder with a configuration, ports, a made-up sysfs and what the program keeps.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

/// A port with a device that says what the test says.
pub(crate) struct Port {
    device: File,
    link: PathBuf,
    /// `pts/7`, as the label `port` has it.
    pub(crate) name: String,
    /// What the configuration calls it: the id of a device that has no other.
    pub(crate) place: String,
}

impl Lab {
    /// All ports of the folder, with these further lines for their entry.
    pub(crate) fn new(entry: &str) -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for folder in ["ports", "sys"] {
            std::fs::create_dir(lab.path(folder)).expect("a folder");
        }
        lab.configure(&format!("[[device]]\nport = \"ports/*\"\n{entry}\n"));
        lab
    }

    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.path("devices.toml"), text).expect("write");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Plugs a device in, under this name.
    pub(crate) fn plug(&self, name: &str) -> Port {
        Port::new(self.path("ports").join(name))
    }

    /// Makes the port one of a USB adapter, in the made-up sysfs.
    pub(crate) fn adapter(&self, port: &Port, bus: &str, serial: Option<&str>) {
        let usb = self.path("sys/devices/usb1").join(bus);
        let device = usb.join(format!("{bus}:1.0")).join("tty");
        std::fs::create_dir_all(&device).expect("folders");
        std::fs::write(usb.join("idVendor"), "10c4\n").expect("write");
        std::fs::write(usb.join("idProduct"), "ea60\n").expect("write");
        if let Some(serial) = serial {
            std::fs::write(usb.join("serial"), format!("{serial}\n")).expect("write");
        }
        let class = self.path("sys/class/tty").join(port.name.replace('/', "!"));
        std::fs::create_dir_all(&class).expect("folders");
        let _ = std::fs::remove_file(class.join("device"));
        symlink(&device, class.join("device")).expect("link");
    }

    fn flags(&self) -> [String; 3] {
        [
            format!("--config.file={}", self.path("devices.toml").display()),
            format!("--storage.path={}", self.path("data").display()),
            format!("--path.sysfs={}", self.path("sys").display()),
        ]
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Running {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Running::start_with(PROGRAM, &flags, variables)
    }

    /// The program with these further flags, until it ends by itself.
    pub(crate) fn run(&self, flags: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command
            .args(self.flags())
            .args(flags)
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        command.output().expect("run the program")
    }
}

impl Port {
    fn new(link: PathBuf) -> Self {
        let (device, name) = pty();
        symlink(Path::new("/dev").join(&name), &link).expect("link");
        Self {
            device: device.into(),
            place: link.to_str().expect("UTF-8").to_owned(),
            link,
            name,
        }
    }

    /// Says something; waits as long as nobody reads.
    pub(crate) fn say(&mut self, text: &str) {
        self.send(text.as_bytes());
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.device.write_all(bytes).expect("send");
    }

    /// Sends while this is true, a piece at a time, and never waits for a reader that does not come.
    pub(crate) fn flood(&mut self, bytes: &[u8], mut go_on: impl FnMut() -> bool) {
        rustix::fs::fcntl_setfl(&self.device, OFlags::RDWR | OFlags::NONBLOCK).expect("set the flags");
        while go_on() {
            if self.device.write(bytes).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        rustix::fs::fcntl_setfl(&self.device, OFlags::RDWR).expect("set the flags");
    }

    /// Pulls it out.
    pub(crate) fn unplug(self) {
        std::fs::remove_file(&self.link).expect("remove the link");
    }
}

/// The device's end of a pseudo-terminal, and the name of the other one below `/dev`.
pub(crate) fn pty() -> (OwnedFd, String) {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
    unlockpt(&device).expect("unlock");
    let path = ptsname(&device, Vec::new())
        .expect("a name")
        .into_string()
        .expect("UTF-8");
    (device, path.trim_start_matches("/dev/").to_owned())
}

/// Waits for what must come about, however slow the machine; returns the page then.
pub(crate) fn eventually(running: &Running, what: &str, condition: impl Fn(&str) -> bool) -> String {
    let started = Instant::now();
    loop {
        let page = running.metrics();
        if condition(&page) {
            return page;
        }
        assert!(started.elapsed() < PATIENCE, "never: {what}\n{page}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a series has this value.
pub(crate) fn eventually_is(running: &Running, series: &str, expected: f64) -> String {
    eventually(running, &format!("{series} {expected}"), |page| {
        value(page, series) == Some(expected)
    })
}

/// Waits until the device is connected, on whatever port.
pub(crate) fn connected(running: &Running, id: &str) -> String {
    eventually(running, &format!("{id} is connected"), |page| {
        status(page, id) == Some(1.0)
    })
}

/// `device_connection_status` of the device; none when it has no series, an error when it has two.
pub(crate) fn status(page: &str, id: &str) -> Option<f64> {
    let start = format!("device_connection_status{{device_id=\"{id}\",");
    let mut lines = page.lines().filter(|line| line.starts_with(&start));
    let line = lines.next()?;
    assert!(lines.next().is_none(), "{id} twice in\n{page}");
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok())
}

/// `name{device_id="id"}`.
pub(crate) fn of(name: &str, id: &str) -> String {
    format!("{name}{{device_id=\"{id}\"}}")
}

/// `device_frames_rejected_total` of the device for a reason.
pub(crate) fn rejected(page: &str, id: &str, reason: &str) -> f64 {
    let series = format!("device_frames_rejected_total{{device_id=\"{id}\",reason=\"{reason}\"}}");
    value(page, &series).unwrap_or_else(|| panic!("no {series} in\n{page}"))
}
