//! The values that XML-RPC knows, and typed reading of them.

use std::collections::BTreeMap;

/// One XML-RPC value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `<int>`, `<i4>` or `<i8>`.
    Int(i64),
    /// `<boolean>`.
    Bool(bool),
    /// `<double>`.
    Double(f64),
    /// `<string>`, an untyped value, or a `<dateTime.iso8601>` as it was written.
    String(String),
    /// `<base64>`, decoded.
    Bytes(Vec<u8>),
    /// `<array>`.
    Array(Vec<Value>),
    /// `<struct>`. Of a member named twice the last one counts.
    Struct(BTreeMap<String, Value>),
}

/// A value is not what the caller needs.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}: expected {expected}, got {got}")]
pub struct ValueError {
    what: String,
    expected: &'static str,
    got: &'static str,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "an integer",
            Self::Bool(_) => "a boolean",
            Self::Double(_) => "a double",
            Self::String(_) => "a string",
            Self::Bytes(_) => "base64",
            Self::Array(_) => "an array",
            Self::Struct(_) => "a struct",
        }
    }

    fn mismatch(&self, what: &str, expected: &'static str) -> ValueError {
        ValueError {
            what: what.to_owned(),
            expected,
            got: self.kind(),
        }
    }

    pub(crate) fn into_array(self, what: &str) -> Result<Vec<Self>, ValueError> {
        match self {
            Self::Array(values) => Ok(values),
            other => Err(other.mismatch(what, "an array")),
        }
    }

    pub(crate) fn into_string(self, what: &str) -> Result<String, ValueError> {
        match self {
            Self::String(text) => Ok(text),
            other => Err(other.mismatch(what, "a string")),
        }
    }

    pub(crate) fn into_strings(self, what: &str) -> Result<Vec<String>, ValueError> {
        self.into_array(what)?
            .into_iter()
            .map(|value| value.into_string(what))
            .collect()
    }

    pub(crate) fn as_int(&self, what: &str) -> Result<i64, ValueError> {
        match self {
            Self::Int(number) => Ok(*number),
            other => Err(other.mismatch(what, "an integer")),
        }
    }

    pub(crate) fn as_bool(&self, what: &str) -> Result<bool, ValueError> {
        match self {
            Self::Bool(flag) => Ok(*flag),
            Self::Int(number @ (0 | 1)) => Ok(*number == 1),
            other => Err(other.mismatch(what, "a boolean")),
        }
    }

    pub(crate) fn into_members(self, what: &str) -> Result<Members, ValueError> {
        match self {
            Self::Struct(members) => Ok(Members(members)),
            other => Err(other.mismatch(what, "a struct")),
        }
    }
}

/// The members of a struct, taken out one by one.
pub(crate) struct Members(BTreeMap<String, Value>);

impl Members {
    fn required(&mut self, name: &str, expected: &'static str) -> Result<Value, ValueError> {
        self.0.remove(name).ok_or_else(|| ValueError {
            what: name.to_owned(),
            expected,
            got: "nothing",
        })
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, ValueError> {
        self.required(name, "a string")?.into_string(name)
    }

    pub(crate) fn int(&mut self, name: &str) -> Result<i64, ValueError> {
        self.required(name, "an integer")?.as_int(name)
    }

    /// A member that older versions lack, or that supervisord writes as another type (`none`, `auto`)
    /// when it is not set.
    pub(crate) fn optional(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Option<String> {
        match self.optional(name)? {
            Value::String(text) if !text.is_empty() && text != "none" => Some(text),
            _ => None,
        }
    }

    pub(crate) fn optional_int(&mut self, name: &str) -> Option<i64> {
        self.optional(name)?.as_int(name).ok()
    }

    pub(crate) fn optional_bool(&mut self, name: &str) -> Option<bool> {
        self.optional(name)?.as_bool(name).ok()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
