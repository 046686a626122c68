//! Names of tables and columns that a pack leaves open: `${name}` in its SQL.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};

/// Names and what stands for them.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// The file's own, some of them replaced.
    pub(crate) fn new(
        mut own: BTreeMap<String, String>,
        others: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        for (name, value) in others {
            let Some(parameter) = own.get_mut(name) else {
                let names: Vec<_> = own.into_keys().collect();
                bail!("there is no parameter {name:?}; there are {}", names.join(", "));
            };
            parameter.clone_from(value);
        }
        for (name, value) in &own {
            let good = |c: char| c.is_alphanumeric() || "_.\"` ".contains(c);
            ensure!(
                !value.is_empty() && value.chars().all(good),
                "parameter {name}: {value:?} is no name of a table or column"
            );
        }
        Ok(Self(own))
    }

    /// The statement with its names filled in.
    pub(crate) fn fill(&self, statement: &str) -> anyhow::Result<String> {
        let mut filled = String::new();
        let mut rest = statement;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else {
                bail!("`${{` without `}}` in the SQL");
            };
            let Some(value) = self.0.get(name) else {
                bail!("the SQL names the parameter {name:?}, which [parameters] lacks");
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}
