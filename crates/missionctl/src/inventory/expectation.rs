//! `expect_json`: single values that a JSON answer must hold.

use toml::{Table, Value};

/// One value, and where in the answer it must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expectation {
    /// Keys from the outermost object inwards.
    pub(crate) path: Vec<String>,
    /// What must be there.
    pub(crate) value: Leaf,
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leaf {
    /// `"healthy"`
    Text(String),
    /// `3`
    Integer(i64),
    /// `0.5`, finite.
    Float(f64),
    /// `true`
    Boolean(bool),
}

/// The values of a table and the tables in it, or what cannot be expected.
pub(crate) fn leaves(table: &Table) -> Result<Vec<Expectation>, String> {
    let mut found = Vec::new();
    collect(table, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn collect(table: &Table, path: &mut Vec<String>, found: &mut Vec<Expectation>) -> Result<(), String> {
    if table.is_empty() {
        return Err("an empty table expects nothing".to_owned());
    }
    for (key, value) in table {
        path.push(key.clone());
        let leaf = match value {
            Value::Table(inner) => {
                collect(inner, path, found)?;
                None
            }
            Value::String(text) => Some(Leaf::Text(text.clone())),
            Value::Integer(number) => Some(Leaf::Integer(*number)),
            Value::Float(number) if number.is_finite() => Some(Leaf::Float(*number)),
            Value::Boolean(boolean) => Some(Leaf::Boolean(*boolean)),
            Value::Float(number) => {
                return Err(format!(
                    "`{}` is {number}, which JSON does not know",
                    path.join(".")
                ));
            }
            Value::Datetime(_) => {
                return Err(format!(
                    "`{}` is a date, which JSON does not know",
                    path.join(".")
                ));
            }
            Value::Array(_) => {
                return Err(format!(
                    "`{}` is a list, which cannot be compared",
                    path.join(".")
                ));
            }
        };
        found.extend(leaf.map(|value| Expectation {
            path: path.clone(),
            value,
        }));
        path.pop();
    }
    Ok(())
}
