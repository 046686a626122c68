//! The message `metrics`, and objects without a type: read straight into events.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::out::Out;
use super::super::values;
use super::scalar::{Name, Number};

/// A whole message.
pub(super) struct Metrics<'o, 'b>(pub(super) &'o mut Out<'b>);

/// The field `readings`.
struct Readings<'o, 'b>(&'o mut Out<'b>);

/// The field `memory`: figures, or figures by type.
struct Memory<'o, 'b>(&'o mut Out<'b>);

/// A field of any name.
struct Field<'o, 'b, 'n> {
    out: &'o mut Out<'b>,
    name: &'n str,
}

macro_rules! seed {
    ($($seed:ident),+) => {$(
        impl<'de> DeserializeSeed<'de> for $seed<'_, '_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
                from.deserialize_any(self)
            }
        }
    )+};
}

seed!(Metrics, Readings, Memory);

impl<'de> Visitor<'de> for Metrics<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name<'_>>()? {
            match &*name {
                "type" | "seq" => drop(map.next_value::<IgnoredAny>()?),
                "memory" => map.next_value_seed(Memory(self.0))?,
                "readings" => map.next_value_seed(Readings(self.0))?,
                name => map.next_value_seed(Field { out: self.0, name })?,
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Readings<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of readings")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name<'_>>()? {
            map.next_value_seed(Field {
                out: self.0,
                name: &name,
            })?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Memory<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of memories")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut own = Figures::default();
        while let Some(name) = map.next_key::<Name<'_>>()? {
            if let Some(figure) = own.figure(&name) {
                *figure = map.next_value()?;
            } else {
                let figures = map.next_value_seed(FiguresOf)?;
                let memory_type = name.label("memory type", self.0);
                figures.push(memory_type, self.0);
            }
        }
        own.push(Some(values::DEFAULT_MEMORY), self.0);
        Ok(())
    }
}

/// What is said of one memory, in bytes.
#[derive(Default)]
struct Figures {
    used: Number,
    free: Number,
    total: Number,
}

impl Figures {
    fn figure(&mut self, name: &str) -> Option<&mut Number> {
        match name {
            "used" => Some(&mut self.used),
            "free" => Some(&mut self.free),
            "total" => Some(&mut self.total),
            _ => None,
        }
    }

    /// Heaps know what is free rather than what is used.
    fn push(self, memory_type: Option<super::Label>, out: &mut Out<'_>) {
        let total = self.total.get("memory total", out);
        let free = self.free.get("memory free", out);
        let used = self.used.get("memory used", out).or_else(|| Some(total? - free?));
        if used.is_some() || total.is_some() {
            values::memory_of(out, memory_type, used, total);
        }
    }
}

struct FiguresOf;

impl<'de> DeserializeSeed<'de> for FiguresOf {
    type Value = Figures;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Figures, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FiguresOf {
    type Value = Figures;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with used, free, total")
    }

    fn visit_unit<E>(self) -> Result<Figures, E> {
        Ok(Figures::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figures, A::Error> {
        let mut figures = Figures::default();
        while let Some(name) = map.next_key::<Name<'_>>()? {
            match figures.figure(&name) {
                Some(figure) => *figure = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(figures)
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

/// Numbers are values; texts, lists and nothing are not, and nothing is wrong with them.
impl<'de> Visitor<'de> for Field<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        values::named(self.out, self.name, None, value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.visit_f64(f64::from(u8::from(value)))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    /// `{"value": 3.7, "unit": "volts"}`, or numbers named after both, as in `{"temperature": {"die": 48}}`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut value = Number::Absent;
        let mut unit: Option<Name<'_>> = None;
        while let Some(key) = map.next_key::<Name<'_>>()? {
            match &*key {
                "value" => value = map.next_value()?,
                "unit" => unit = map.next_value()?,
                key => {
                    if let Number::Value(value) = map.next_value()? {
                        values::named(self.out, &format!("{}_{key}", self.name), None, value);
                    }
                }
            }
        }
        if let Some(value) = value.get(self.name, self.out) {
            values::named(self.out, self.name, unit.as_deref(), value);
        }
        Ok(())
    }
}
