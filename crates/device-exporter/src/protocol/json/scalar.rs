//! Names and numbers as firmware writes them: ids as numbers, switches as booleans, no value as `null`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::out::Out;
use super::super::{Label, Reason};

/// A string or a whole number.
pub(super) struct Name<'a>(Cow<'a, str>);

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Name<'_> {
    /// As a label.
    pub(super) fn label(&self, what: &str, out: &mut Out<'_>) -> Option<Label> {
        out.label(what, &self.0)
    }
}

/// A name that may be missing, as a label.
pub(super) fn label(name: Option<&Name<'_>>, what: &str, out: &mut Out<'_>) -> Option<Label> {
    name?.label(what, out)
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(text.to_owned().into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Name(number.to_string().into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Name(number.to_string().into()))
            }
        }

        from.deserialize_any(Names)
    }
}

/// A number, `true` as 1, `false` as 0, `null` as none; anything else is wrong without spoiling the message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Number {
    #[default]
    Absent,
    Value(f64),
    Wrong,
}

impl Number {
    /// The number, if there is one.
    pub(super) fn get(self, name: &str, out: &mut Out<'_>) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Value(value) => Some(value),
            Self::Wrong => {
                out.reject(Reason::Malformed, || format!("{name} is no number"));
                None
            }
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number::Value(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number::Value(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number::Value(number as f64))
            }

            fn visit_bool<E>(self, switch: bool) -> Result<Number, E> {
                Ok(Number::Value(f64::from(u8::from(switch))))
            }

            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::Absent)
            }

            fn visit_str<E>(self, _: &str) -> Result<Number, E> {
                Ok(Number::Wrong)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number::Wrong)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number::Wrong)
            }
        }

        from.deserialize_any(Numbers)
    }
}

/// An object of numbers, in its order.
#[derive(Default)]
pub(super) struct Pairs<'a>(pub(super) Vec<(Name<'a>, Number)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Objects;

        impl<'de> Visitor<'de> for Objects {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Pairs::default())
            }
        }

        from.deserialize_any(Objects)
    }
}
