//! The PCI Express link of an AMD GPU, from its PCI device's files. They are the kernel's own: nothing is woken.

use std::path::Path;

use exporter::fs;

use crate::reading::Link;

/// <https://pci-ids.ucw.cz/read/PC/1002>: the GPUs' maker, not that of AMD's processors and their ports.
const AMD: &str = "0x1002";

/// What the device in this folder is linked with, and the best that it and its slot can do together.
///
/// Many cards have a switch of their own before the GPU, and the link behind it never changes. It is the outermost
/// device of the card that has the slot's link.
pub(crate) fn of(device: &Path) -> Link {
    let Ok(mut outermost) = device.canonicalize() else {
        return Link::default();
    };
    while let Some(parent) = outermost.parent().filter(|parent| is_amd(parent)) {
        outermost = parent.into();
    }
    let slot = outermost.parent().map(best).unwrap_or_default();
    let card = best(&outermost);
    Link {
        generation: generation(&outermost, "current_link_speed"),
        width: lanes(&outermost, "current_link_width"),
        generation_max: lesser(card.0, slot.0),
        width_max: lesser(card.1, slot.1),
    }
}

fn is_amd(device: &Path) -> bool {
    fs::read_text(&device.join("vendor")).is_ok_and(|vendor| vendor == AMD)
}

/// Generation and lanes that a device could have.
fn best(device: &Path) -> (Option<u32>, Option<u32>) {
    (
        generation(device, "max_link_speed"),
        lanes(device, "max_link_width"),
    )
}

/// The lesser of what both ends can do, where the slot says it.
fn lesser(card: Option<u32>, slot: Option<u32>) -> Option<u32> {
    Some(card?.min(slot.unwrap_or(u32::MAX)))
}

/// A processor's own graphics have no link: they say 0, or 255 where nothing was negotiated.
fn lanes(device: &Path, file: &str) -> Option<u32> {
    let width = fs::read_u64(&device.join(file)).ok()?;
    u32::try_from(width).ok().filter(|lanes| (1..=32).contains(lanes))
}

fn generation(device: &Path, file: &str) -> Option<u32> {
    generation_of(&fs::read_text(&device.join(file)).ok()?)
}

/// The generation of PCI Express that brought a speed such as `16.0 GT/s PCIe`.
fn generation_of(speed: &str) -> Option<u32> {
    match speed.split(' ').next()? {
        "2.5" => Some(1),
        "5.0" | "5" => Some(2),
        "8.0" | "8" => Some(3),
        "16.0" | "16" => Some(4),
        "32.0" | "32" => Some(5),
        "64.0" | "64" => Some(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(folder: &Path, vendor: &str, files: [&str; 4]) {
        std::fs::create_dir_all(folder).expect("a folder");
        let names = [
            "current_link_speed",
            "current_link_width",
            "max_link_speed",
            "max_link_width",
        ];
        for (name, text) in names.iter().zip(files).chain([(&"vendor", vendor)]) {
            std::fs::write(folder.join(name), format!("{text}\n")).expect("write");
        }
    }

    #[test]
    fn a_card_with_a_switch_of_its_own_in_an_older_slot() {
        let root = tempfile::tempdir().expect("a folder");
        let port = root.path().join("0000:00:01.1");
        let upstream = port.join("0000:01:00.0");
        let gpu = upstream.join("0000:02:00.0/0000:03:00.0");
        let fast = ["16.0 GT/s PCIe", "16", "16.0 GT/s PCIe", "16"];
        device(&port, "0x1022", ["8.0 GT/s PCIe", "8", "8.0 GT/s PCIe", "16"]);
        device(&upstream, AMD, ["8.0 GT/s PCIe", "8", "16.0 GT/s PCIe", "16"]);
        device(&upstream.join("0000:02:00.0"), AMD, fast);
        device(&gpu, AMD, fast);
        let link = Link {
            generation: Some(3),
            width: Some(8),
            generation_max: Some(3),
            width_max: Some(16),
        };
        assert_eq!(of(&gpu), link);
    }

    #[test]
    fn a_processor_s_own_graphics_have_none() {
        let root = tempfile::tempdir().expect("a folder");
        let gpu = root.path().join("0000:c5:00.0");
        device(&gpu, AMD, ["Unknown", "0", "Unknown", "255"]);
        assert_eq!(of(&gpu), Link::default());
        assert_eq!(of(&root.path().join("gone")), Link::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn whatever_the_files_hold_a_link_is_one_that_exists(texts in prop::array::uniform4("\\PC{0,24}")) {
            let root = tempfile::tempdir().expect("a folder");
            let gpu = root.path().join("gpu");
            device(&gpu, AMD, texts.each_ref().map(String::as_str));
            let link = of(&gpu);
            for generation in [link.generation, link.generation_max].into_iter().flatten() {
                prop_assert!((1..=6).contains(&generation));
            }
            for width in [link.width, link.width_max].into_iter().flatten() {
                prop_assert!((1..=32).contains(&width));
            }
        }
    }
}
