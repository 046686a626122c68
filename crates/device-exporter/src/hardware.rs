//! What a serial port hangs on: the USB adapter's serial number and place, from sysfs.
//!
//! Reads `<sysfs>/class/tty/<port>/device`, which links to the adapter's interface, and the attributes `idVendor`,
//! `idProduct` and `serial` of the USB device above it (`Documentation/ABI/testing/sysfs-bus-usb` of the kernel). Everybody
//! may read them.

use std::path::{Path, PathBuf};

use exporter::fs;
use exporter::text;

/// Serial numbers that makers of cheap adapters give to all of theirs.
const WORTHLESS: [&str; 5] = [
    "0123456789",
    "1234567890",
    "12345678",
    "123456",
    "0123456789abcdef",
];

/// What a port hangs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hardware {
    /// The adapter's serial number, with the interface where an adapter has several ports.
    pub(crate) usb_serial: Option<String>,
    /// The place on the bus, such as `usb-1-1.2:1.0`; for what is no USB adapter, what the configuration calls the port.
    pub(crate) location: String,
    /// Vendor and product, so that two makers' serial numbers are not mixed up.
    pub(crate) product: Option<String>,
}

impl Hardware {
    /// A port that hangs on nothing that has a name of its own.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            location: name.to_owned(),
            ..Self::default()
        }
    }

    /// What stays the same when the same thing is plugged in again; the second value says whether it does so in another
    /// place too.
    pub(crate) fn key(&self) -> (String, bool) {
        let product = self.product.as_deref().unwrap_or_default();
        match &self.usb_serial {
            Some(serial) => (format!("serial {product} {serial}"), true),
            None => (format!("place {product} {}", self.location), false),
        }
    }
}

/// The USB adapter of the port with this name below `/dev`, if it has one.
pub(crate) fn of(sysfs: &Path, name: &str) -> Option<Hardware> {
    // The kernel writes the `/` of a name in `/dev` as `!`.
    let link = sysfs
        .join("class/tty")
        .join(name.replace('/', "!"))
        .join("device");
    usb(&link.canonicalize().ok()?)
}

/// The USB device above this folder, if there is one.
fn usb(device: &Path) -> Option<Hardware> {
    let folder = device
        .ancestors()
        .find(|folder| folder.join("idVendor").exists())?;
    let attribute = |name: &str| {
        let text = fs::read_text(&folder.join(name)).ok()?;
        Some(text::cut(&text, 64).into_owned()).filter(|text| !text.is_empty())
    };
    // Such as `1-1.2:1.0`: bus, ports, configuration, interface.
    let interface = below(folder, device)?;
    let port = fs::read_u64(&device.join("port_number"))
        .ok()
        .filter(|port| *port > 0);
    let port = port.map(|port| format!("-port{port}")).unwrap_or_default();
    let number = interface.rsplit_once('.').map_or("0", |(_, number)| number);
    let number = match number {
        "0" => String::new(),
        number => format!("-if{number:0>2}"),
    };
    let vendor = attribute("idVendor").unwrap_or_default();
    let product = attribute("idProduct").unwrap_or_default();
    Some(Hardware {
        usb_serial: attribute("serial")
            .filter(|serial| is_worth_something(serial))
            .map(|serial| format!("{serial}{number}{port}")),
        location: format!("usb-{interface}{port}"),
        product: Some(format!("{vendor}:{product}")),
    })
}

/// The folder directly below `ancestor` on the way to `folder`.
fn below(ancestor: &Path, folder: &Path) -> Option<String> {
    let rest: PathBuf = folder.strip_prefix(ancestor).ok()?.into();
    let first = rest.components().next()?;
    Some(first.as_os_str().to_string_lossy().into_owned())
}

/// Whether a serial number tells one adapter from others of its kind.
fn is_worth_something(serial: &str) -> bool {
    let mut different: Vec<char> = serial.chars().collect();
    different.sort_unstable();
    different.dedup();
    let is_known = WORTHLESS.iter().any(|known| known.eq_ignore_ascii_case(serial));
    serial.len() >= 4 && different.len() > 2 && !is_known
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// An adapter in a made-up sysfs, with one port.
    fn plug(sysfs: &Path, bus: &str, interface: &str, port: &str, serial: Option<&str>) {
        let usb = sysfs.join("devices/pci0000:00/usb1").join(bus);
        let device = usb.join(interface).join(port);
        std::fs::create_dir_all(&device).expect("folders");
        std::fs::write(usb.join("idVendor"), "10c4\n").expect("write");
        std::fs::write(usb.join("idProduct"), "ea60\n").expect("write");
        if let Some(serial) = serial {
            std::fs::write(usb.join("serial"), format!("{serial}\n")).expect("write");
        }
        let class = sysfs.join("class/tty").join(port);
        std::fs::create_dir_all(&class).expect("folders");
        symlink(&device, class.join("device")).expect("link");
    }

    #[test]
    fn an_adapter_is_known_by_serial_number_and_place() {
        let sysfs = tempfile::tempdir().expect("a folder");
        plug(sysfs.path(), "1-1.2", "1-1.2:1.0", "ttyUSB0", Some("A50285BI"));
        let found = of(sysfs.path(), "ttyUSB0").expect("an adapter");
        assert_eq!(found.usb_serial.as_deref(), Some("A50285BI"));
        assert_eq!(found.location, "usb-1-1.2:1.0");
        assert_eq!(found.key(), ("serial 10c4:ea60 A50285BI".into(), true));
    }

    #[test]
    fn ports_of_one_adapter_are_told_apart() {
        let sysfs = tempfile::tempdir().expect("a folder");
        plug(sysfs.path(), "1-3", "1-3:1.0", "ttyUSB1", Some("FT4232-7Q"));
        plug(sysfs.path(), "1-3", "1-3:1.2", "ttyUSB2", Some("FT4232-7Q"));
        plug(sysfs.path(), "1-3", "1-3:1.0", "ttyUSB3", Some("FT4232-7Q"));
        let third = sysfs.path().join("class/tty/ttyUSB3/device/port_number");
        std::fs::write(third, "1\n").expect("write");
        let serial = |name| {
            let adapter = of(sysfs.path(), name).expect("an adapter");
            adapter.usb_serial.expect("a serial number")
        };
        assert_eq!(serial("ttyUSB1"), "FT4232-7Q");
        assert_eq!(serial("ttyUSB2"), "FT4232-7Q-if02");
        assert_eq!(serial("ttyUSB3"), "FT4232-7Q-port1");
    }

    #[test]
    fn without_a_serial_number_the_place_is_left() {
        let sysfs = tempfile::tempdir().expect("a folder");
        for (i, serial) in [
            None,
            Some("0001"),
            Some("0"),
            Some("0123456789ABCDEF"),
            Some("00000000"),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("ttyUSB{i}");
            plug(
                sysfs.path(),
                &format!("2-{i}"),
                &format!("2-{i}:1.0"),
                &name,
                serial,
            );
            let found = of(sysfs.path(), &name).expect("an adapter");
            assert_eq!(found.usb_serial, None, "{serial:?}");
            assert_eq!(found.key(), (format!("place 10c4:ea60 usb-2-{i}:1.0"), false));
        }
        assert_eq!(of(sysfs.path(), "ttyS0"), None);
        assert_eq!(of(sysfs.path(), "pts/3"), None);
    }
}
