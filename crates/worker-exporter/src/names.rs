//! The label `worker`: as short as it can be without meaning two processes.

use std::collections::HashMap;

use crate::ledger::Id;

/// One label per process, given as pairs of source and process: the program's name; `group:name` where
/// several have that name; `group:name@source` where even that is not unique.
pub(crate) fn labels(processes: &[(&str, &Id)]) -> Vec<String> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut full_names: HashMap<&Id, usize> = HashMap::new();
    for (_, id) in processes {
        *names.entry(&id.name).or_default() += 1;
        *full_names.entry(id).or_default() += 1;
    }
    let label = |(source, id): &(&str, &Id)| {
        if names[id.name.as_str()] == 1 {
            id.name.clone()
        } else if full_names[id] == 1 {
            format!("{}:{}", id.group, id.name)
        } else {
            format!("{}:{}@{source}", id.group, id.name)
        }
    };
    processes.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_longer_than_needed() {
        let id = |group: &str, name: &str| Id {
            group: group.into(),
            name: name.into(),
        };
        let (lone, a, b) = (id("lone", "lone"), id("a", "web"), id("b", "web"));
        let processes = [
            ("unix:///1", &lone),
            ("unix:///1", &a),
            ("unix:///1", &b),
            ("unix:///2", &b),
        ];
        let expected = ["lone", "a:web", "b:web@unix:///1", "b:web@unix:///2"];
        assert_eq!(labels(&processes), expected);
    }
}
