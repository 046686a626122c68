//! What the made-up GPUs are.

use crate::story::Course;

const GIB: u64 = 1 << 30;

/// A kind of GPU, and what it is used for.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) uuid: &'static str,
    pub(super) name: &'static str,
    /// Of its slot, as sysfs writes it.
    pub(super) address: &'static str,
    /// Bytes.
    pub(super) memory: u64,
    /// How much of it is used, in thousandths.
    pub(super) memory_share: Course,
    /// How busy it is, in thousandths.
    pub(super) load: Course,
    /// Milliwatts with nothing to do, and those that it would draw with everything to do.
    pub(super) power: (u64, u64),
    /// Milliwatts that it may draw.
    pub(super) limit: u64,
    /// Degrees Celsius with nothing to do, and those that it comes to with everything to do.
    pub(super) heat: (u64, u64),
    /// Degrees Celsius at which it slows down, and at which it turns itself off.
    pub(super) limits: (u64, u64),
    /// Megahertz of the processors: with nothing to do, with something, and when the power limit holds them down.
    pub(super) clocks: (u64, u64, u64),
    /// Megahertz of the memory with nothing to do and with something.
    pub(super) memory_clocks: (u64, u64),
    pub(super) has_fan: bool,
    pub(super) has_ecc: bool,
    /// Generation and lanes of its link.
    pub(super) link: (u64, u64),
    /// Who holds its memory.
    pub(super) holders: &'static [Holder],
}

/// A process.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) command: &'static str,
    /// As in `/proc/<pid>/cgroup`.
    pub(super) cgroup: &'static str,
    /// Its share of the memory that is used, in thousandths.
    pub(super) share: u64,
}

/// In the order of their addresses, which is NVML's own.
pub(super) const CARDS: [Card; 2] = [
    Card {
        uuid: "GPU-0d3a0000-0000-4000-8000-000000000001",
        name: "NVIDIA GeForce RTX 3090",
        address: "0000:01:00.0",
        memory: 24 * GIB,
        memory_share: Course::new(210, 710, 930, 710),
        load: Course::new(20, 680, 1000, 150),
        power: (24_000, 385_000),
        limit: 350_000,
        heat: (34, 83),
        limits: (95, 98),
        clocks: (210, 1_860, 1_545),
        memory_clocks: (405, 9_501),
        has_fan: true,
        has_ecc: false,
        link: (4, 16),
        holders: &[
            Holder {
                pid: 1841,
                command: "ollama",
                cgroup: "0::/system.slice/ollama.service",
                share: 880,
            },
            Holder {
                pid: 2217,
                command: "python3",
                cgroup: "0::/user.slice/user-1000.slice/user@1000.service/app.slice/jupyter.service",
                share: 120,
            },
        ],
    },
    Card {
        uuid: "GPU-0d3a0000-0000-4000-8000-000000000002",
        name: "NVIDIA H100 80GB HBM3",
        address: "0000:41:00.0",
        memory: 80 * GIB,
        memory_share: Course::new(900, 900, 910, 900),
        load: Course::new(60, 550, 900, 180),
        power: (70_000, 690_000),
        limit: 700_000,
        heat: (31, 74),
        limits: (89, 92),
        clocks: (345, 1_980, 1_755),
        memory_clocks: (2_619, 2_619),
        has_fan: false,
        has_ecc: true,
        link: (5, 16),
        holders: &[Holder {
            pid: 3302,
            command: "VLLM::EngineCor",
            cgroup: "0::/system.slice/docker-7c1de30f5ab24986b1e07d3c5f82a94e60d1b7f3c28a4e95d06f1b83a7c24e5d.scope",
            share: 1000,
        }],
    },
];
