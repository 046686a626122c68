//! Which nodes are serial ports, told before one is opened.
//!
//! A pattern such as `/dev/tty*` also matches consoles and the terminal of whoever started the program, which would be
//! read in place of their owners; opening a watchdog restarts the machine. `/proc/tty/drivers` lists the terminal
//! drivers of the kernel by device number and says which are for serial ports (`fs/proc/proc_tty.c`).

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{major, minor};

/// What the kernel's drivers are for.
pub(crate) struct Drivers(Option<String>);

impl Drivers {
    /// As they are now: a driver is loaded with the first adapter of its kind.
    pub(crate) fn read() -> Self {
        // Always the real one: the numbers are of the kernel that opens the port.
        Self(std::fs::read_to_string("/proc/tty/drivers").ok())
    }

    /// Whether this node is a serial port, or a pseudo-terminal that stands for one. Without the list it is whatever the
    /// kernel will say when it is opened.
    pub(crate) fn have(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|node| {
            let is_listed = |list: &String| is_serial(list, major(node.rdev()), minor(node.rdev()));
            node.file_type().is_char_device() && self.0.as_ref().is_none_or(is_listed)
        })
    }
}

/// Lines are `driver /dev/name major minors type`, minors being one number or a range.
fn is_serial(list: &str, major: u32, minor: u32) -> bool {
    list.lines().any(|line| {
        let mut words = line.split_ascii_whitespace().rev();
        let (kind, range, of) = (words.next(), words.next(), words.next());
        matches!(kind, Some("serial" | "pty:slave"))
            && of.and_then(|of| of.parse().ok()) == Some(major)
            && range.is_some_and(|range| {
                let (least, most) = range.split_once('-').unwrap_or((range, range));
                let bounds = least.parse().ok().zip(most.parse().ok());
                bounds.is_some_and(|(least, most)| (least..=most).contains(&minor))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
/dev/tty             /dev/tty        5       0 system:/dev/tty
/dev/console         /dev/console    5       1 system:console
/dev/ptmx            /dev/ptmx       5       2 system
/dev/vc/0            /dev/vc/0       4       0 system:vtmaster
usbserial            /dev/ttyUSB   188 0-511 serial
serial               /dev/ttyS       4 64-67 serial
pty_slave            /dev/pts      136 0-1048575 pty:slave
pty_master           /dev/ptm      128 0-1048575 pty:master
unknown              /dev/tty        4 1-63 console
one                  /dev/ttyAMA   204      64 serial
";

    #[test]
    fn consoles_and_what_is_no_terminal_are_no_ports() {
        for port in [(188, 0), (188, 511), (4, 64), (4, 67), (136, 3), (204, 64)] {
            assert!(is_serial(LIST, port.0, port.1), "{port:?}");
        }
        for other in [
            (5, 0),
            (5, 1),
            (5, 2),
            (4, 0),
            (4, 1),
            (4, 63),
            (4, 68),
            (10, 130),
            (128, 0),
            (188, 512),
        ] {
            assert!(!is_serial(LIST, other.0, other.1), "{other:?}");
        }
        assert!(!is_serial("x\n\n1 serial\n4 a-b serial\n4 - serial", 4, 0));
    }

    #[test]
    fn the_list_of_this_kernel_is_understood() {
        let drivers = Drivers::read();
        for other in ["/dev/null", "/dev/ptmx", "/dev", "/nowhere"] {
            let has_list = drivers.0.is_some();
            let is_node = !matches!(other, "/dev" | "/nowhere");
            assert!(!drivers.have(Path::new(other)) || !has_list && is_node, "{other}");
        }
    }
}
