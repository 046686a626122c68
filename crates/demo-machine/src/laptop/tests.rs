use std::time::SystemTime;

use super::*;
use crate::story::{self, Phase, Scene};

const STEP: Duration = Duration::from_millis(200);

fn moment(scene: Scene, elapsed: Duration) -> Moment {
    Moment {
        scene,
        elapsed,
        now: SystemTime::UNIX_EPOCH,
    }
}

/// The laptop at the end of each step of a whole round, with the package's power that led there.
fn round() -> Vec<(u64, State)> {
    let nowhere = tempfile::tempdir().expect("a folder");
    let mut state = State::resume(nowhere.path());
    (0..story::ROUND * 5)
        .map(|step| {
            let scene = Scene::at(Duration::from_millis(200 * step));
            state.advance(&moment(scene, STEP));
            (scene.value(POWER), state.clone())
        })
        .collect()
}

#[test]
fn energy_grows_by_power_times_time_and_stays_in_its_range() {
    let round = round();
    let mut wraps = [0; 4];
    for pair in round.windows(2) {
        let (package, after) = &pair[1];
        for (index, zone) in Zone::ALL.into_iter().enumerate() {
            let (from, to) = (pair[0].1.energy[index], after.energy[index]);
            assert!(to < RANGE);
            wraps[index] += usize::from(to < from);
            // 1 mW over 200 ms are 200 µJ.
            assert_eq!((to + RANGE - from) % RANGE, zone.power(*package) * 200);
        }
        let [package, core, uncore, psys] = Zone::ALL.map(|zone| zone.power(*package));
        assert!(core + uncore < package && package < psys);
    }
    assert!(wraps[0] == 1 && wraps[3] >= 1, "{wraps:?}");
}

#[test]
fn the_burst_is_above_the_limit_and_hot_for_long_enough_and_then_it_is_over() {
    let round = round();
    let longest = |is: &dyn Fn(&(u64, State)) -> bool| {
        let runs = round.split(|step| !is(step)).map(<[_]>::len);
        STEP * u32::try_from(runs.max().unwrap_or_default()).expect("small")
    };
    let above = longest(&|(package, _)| *package > tree::PL1 / 1000);
    // The window of PL1, a minute of rate, a minute of `for`, and a scrape and an evaluation of 15 s each.
    assert!(above >= Duration::from_secs(28 + 30 + 60 + 30), "{above:?}");
    let calm = longest(&|(package, _)| *package < tree::PL1 / 1000);
    // It has fired on for 3 minutes, and is evaluated every 15 s.
    assert!(calm >= Duration::from_secs(180 + 15), "{calm:?}");
    let hot = longest(&|(_, state)| state.temperature > 75_000);
    assert!(
        hot > Duration::from_mins(1) && hot < Duration::from_secs(200),
        "{hot:?}"
    );
    assert!(
        round
            .iter()
            .all(|(_, state)| (30_000..95_000).contains(&state.temperature))
    );
}

#[test]
fn cpu_time_passes_at_the_load_of_the_scene() {
    let mut state = State::resume(Path::new("/nowhere"));
    let inference = Scene {
        phase: Phase::Inference,
        unrest: 1000,
    };
    state.advance(&moment(inference, Duration::from_secs(10)));
    assert_eq!((state.busy, state.idle), (44_000, 36_000));
}

#[test]
fn what_is_resumed_is_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path()).expect("prepare");
    let mut laptop = Laptop::resume(folder.path()).expect("resume");
    let burst = Scene {
        phase: Phase::Burst,
        unrest: 1000,
    };
    laptop
        .advance(&moment(burst, Duration::from_secs(8)))
        .expect("advance");
    assert_eq!(State::resume(folder.path()), laptop.state);
    prepare(folder.path()).expect("prepare again");
    assert_eq!(State::resume(folder.path()), laptop.state, "nothing goes back");
}
