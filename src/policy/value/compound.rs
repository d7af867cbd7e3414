//! Lists and maps under construction.

use regorus::Value;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde::ser::SerializeSeq;
use serde::ser::SerializeStruct;
use serde::ser::SerializeTuple;
use serde::ser::SerializeTupleStruct;

use super::Builder;
use super::ValueError;
use super::number;
use super::object;

/// The most room made ahead for a length that a document announces.
const MAX_RESERVED: usize = 1024;

fn room(length: Option<usize>) -> usize {
    length.unwrap_or_default().min(MAX_RESERVED)
}

/// A list.
pub(super) struct Items<'n> {
    builder: Builder<'n>,
    items: Vec<Value>,
}

impl<'n> Items<'n> {
    pub(super) fn new(builder: Builder<'n>, length: Option<usize>) -> Self {
        Self { builder, items: Vec::with_capacity(room(length)) }
    }

    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.items.push(item.serialize(self.builder.part())?);
        Ok(())
    }
}

impl SerializeSeq for Items<'_> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::from(self.items))
    }
}

impl SerializeTuple for Items<'_> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::from(self.items))
    }
}

impl SerializeTupleStruct for Items<'_> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::from(self.items))
    }
}

/// A map. A name that stands twice has its last value, as in OPA.
pub(super) struct Entries<'n> {
    builder: Builder<'n>,
    pairs: Vec<(Value, Value)>,
    key: Value,
}

impl<'n> Entries<'n> {
    pub(super) fn new(builder: Builder<'n>, length: Option<usize>) -> Self {
        Self { builder, pairs: Vec::with_capacity(room(length)), key: Value::Undefined }
    }

    fn name<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<Value, ValueError> {
        match key.serialize(Builder { is_name: true, ..self.builder.part() })? {
            name @ Value::String(_) => Ok(name),
            scalar @ (Value::Bool(_) | Value::Number(_)) => Ok(Value::from(scalar.to_string())),
            _ => Err(ValueError::Key),
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, key: Value, value: &T) -> Result<(), ValueError> {
        if self.shows(&key) {
            let value = value.serialize(self.builder.part())?;
            self.pairs.push((key, value));
        }
        Ok(())
    }

    fn shows(&self, key: &Value) -> bool {
        match (self.builder.projection, key) {
            (Some(projection), Value::String(name)) => projection.shows(name),
            _ => true,
        }
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = self.name(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = std::mem::replace(&mut self.key, Value::Undefined);
        self.push(key, value)
    }

    fn serialize_entry<K, T>(&mut self, key: &K, value: &T) -> Result<(), ValueError>
    where
        K: Serialize + ?Sized,
        T: Serialize + ?Sized,
    {
        let key = self.name(key)?;
        self.push(key, value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(object(self.pairs))
    }
}

/// A struct; or a number, which `serde_json` hands over as a struct of this name with its text in it.
pub(super) struct Record<'n> {
    entries: Entries<'n>,
    is_number: bool,
}

/// `serde_json`'s name for a number of arbitrary precision, and for its only field.
const NUMBER: &str = "$serde_json::private::Number";

impl<'n> Record<'n> {
    pub(super) fn new(name: &'static str, builder: Builder<'n>, length: usize) -> Result<Self, ValueError> {
        let is_number = name == NUMBER;
        let builder = if is_number { Builder { projection: None, ..builder } } else { builder.deeper()? };
        Ok(Self { entries: Entries::new(builder, Some(length)), is_number })
    }
}

impl SerializeStruct for Record<'_> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), ValueError> {
        let key = self.entries.builder.names.name(key);
        self.entries.push(key, value)
    }

    fn end(mut self) -> Result<Value, ValueError> {
        if !self.is_number {
            return Ok(object(self.entries.pairs));
        }
        match self.entries.pairs.pop() {
            Some((_, Value::String(text))) => number::parse(&text).ok_or(ValueError::Number),
            _ => Err(ValueError::Number),
        }
    }
}
