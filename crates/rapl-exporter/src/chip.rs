//! One device in `<sysfs>/class/hwmon`: its name, and which channels it has. Everyone may read these.
//! <https://docs.kernel.org/hwmon/sysfs-interface.html>

use std::path::{Path, PathBuf};

use exporter::fs::{self, ReadError};

/// One hwmon device.
#[derive(Debug)]
pub(crate) struct Chip {
    /// The driver's name for it.
    pub(crate) name: String,
    dir: PathBuf,
    files: Vec<String>,
}

/// All chips in the order of their numbers; one that cannot be read is left out.
pub(crate) fn chips(sysfs: &Path) -> Result<Vec<Chip>, ReadError> {
    let root = sysfs.join("class/hwmon");
    let mut numbers: Vec<u32> = fs::list(&root)?
        .iter()
        .filter_map(|name| name.strip_prefix("hwmon")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let chip = |number| {
        let dir = root.join(format!("hwmon{number}"));
        Some(Chip {
            name: fs::read_text(&dir.join("name")).ok()?,
            files: fs::list(&dir).ok()?,
            dir,
        })
    };
    Ok(numbers.into_iter().filter_map(chip).collect())
}

impl Chip {
    /// The numbers of the channels that have a value: 1 for `temp1_input`.
    pub(crate) fn channels(&self, kind: &str) -> Vec<u32> {
        let number = |name: &String| {
            let channel = name.strip_prefix(kind)?;
            channel
                .strip_suffix("_input")
                .or_else(|| channel.strip_suffix("_average"))?
                .parse()
                .ok()
        };
        let mut numbers: Vec<u32> = self.files.iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// What the driver calls the channel.
    pub(crate) fn label(&self, kind: &str, channel: u32) -> Option<String> {
        fs::read_text(&self.file(kind, channel, "label")).ok()
    }

    /// What the driver or the board's description calls the chip itself.
    pub(crate) fn own_label(&self) -> Option<String> {
        fs::read_text(&self.dir.join("label")).ok()
    }

    /// The path of one of the channel's files.
    pub(crate) fn file(&self, kind: &str, channel: u32, what: &str) -> PathBuf {
        self.dir.join(format!("{kind}{channel}_{what}"))
    }

    /// The path of one of the channel's files, if it is there.
    pub(crate) fn existing(&self, kind: &str, channel: u32, what: &str) -> Option<PathBuf> {
        let name = format!("{kind}{channel}_{what}");
        self.files.contains(&name).then(|| self.dir.join(name))
    }
}
