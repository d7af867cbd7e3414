//! Builds the engine's values straight from any `Serialize`, without JSON in between.
//!
//! The input document is described once, in [`crate::facts::document`]; this is how the engine gets it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regorus::Value;
use regorus::value::Object;
use serde::Serialize;
use serde::Serializer;
use serde::ser::Impossible;
use thiserror::Error;

use super::number;
use super::projection::Projection;

mod compound;

use compound::Entries;
use compound::Items;
use compound::Record;

/// The deepest nesting that becomes a value: what the engine and the JSON parser take.
const MAX_DEPTH: usize = 128;

/// Why a document cannot become a value.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum ValueError {
    /// A number beyond [`number::MAX_DIGITS`].
    #[error("a number has more digits, or a larger exponent, than is looked at")]
    Number,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("a value is nested deeper than is looked at")]
    Depth,
    /// A map's key is no string, a boolean or a number.
    #[error("a key is no string")]
    Key,
    /// What a `Serialize` says itself.
    #[error("{0}")]
    Other(String),
}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

/// The value of a document.
///
/// # Errors
/// [`ValueError`], where the document goes beyond what is looked at.
pub(super) fn to_value<T: Serialize + ?Sized>(document: &T, names: &mut Names) -> Result<Value, ValueError> {
    projected(document, names, &Projection::Whole)
}

/// The value of what a projection shows of a document. The rest is not looked at, and cannot go too far.
///
/// # Errors
/// [`ValueError`], where what is shown goes beyond what is looked at.
pub(super) fn projected<T: Serialize + ?Sized>(
    document: &T,
    names: &mut Names,
    projection: &Projection,
) -> Result<Value, ValueError> {
    let projection = match projection {
        Projection::Whole => None,
        entries @ Projection::Entries(_) => Some(entries),
    };
    document.serialize(Builder { names, depth: 0, is_name: false, projection })
}

/// Names seen before, so that a document's fixed keys are not allocated for every request.
///
/// A direct-mapped cache: a name has one place, and the latest name keeps it. So it is bounded, and strange names
/// cost no more than their own allocation.
#[derive(Debug)]
pub(super) struct Names {
    slots: Vec<Option<Arc<str>>>,
}

/// Places in the cache: several times the document's own keys and customary header names.
const SLOTS: u32 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 9;
/// Leaves the bits of a hash that name a place.
const SLOT_SHIFT: u32 = u64::BITS - SLOT_BITS;
/// Longer names are not kept, which bounds the cache at 24 KiB of text.
const MAX_CACHED_BYTES: usize = 48;

impl Default for Names {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }
}

impl Names {
    pub(super) fn name(&mut self, name: &str) -> Value {
        if name.len() > MAX_CACHED_BYTES {
            return Value::from(name);
        }
        match usize::try_from(hash(name) >> SLOT_SHIFT).ok().and_then(|at| self.slots.get_mut(at)) {
            Some(Some(known)) if **known == *name => Value::String(Arc::clone(known)),
            Some(slot) => Value::String(Arc::clone(slot.insert(name.into()))),
            None => Value::from(name),
        }
    }
}

/// Fowler, Noll and Vo's hash with eight bytes at a step, its upper bits the best mixed: good enough for names, and
/// faster than an allocation.
fn hash(text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks();
    let rest = rest.iter().fold(1, |word, &byte| word << 8 | u64::from(byte));
    let words = words.iter().copied().map(u64::from_le_bytes).chain([rest]);
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// An object of the engine. Unlike `Value::from`, it does not copy the map into another representation.
fn object(entries: Vec<(Value, Value)>) -> Value {
    Value::Object(Arc::new(Object::from(BTreeMap::from_iter(entries))))
}

/// Builds one value.
struct Builder<'n> {
    names: &'n mut Names,
    depth: usize,
    /// Whether it is the name of an entry, which is worth keeping.
    is_name: bool,
    /// Which of its entries are built, where not all are: only the document itself has that, none of its parts.
    projection: Option<&'n Projection>,
}

impl<'n> Builder<'n> {
    /// For the parts of a list or a map.
    fn deeper(self) -> Result<Self, ValueError> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH { Err(ValueError::Depth) } else { Ok(Self { depth, ..self }) }
    }

    /// For one part.
    const fn part(&mut self) -> Builder<'_> {
        Builder { names: self.names, depth: self.depth, is_name: false, projection: None }
    }

    fn items(self, length: Option<usize>) -> Result<Items<'n>, ValueError> {
        Ok(Items::new(self.deeper()?, length))
    }

    fn entries(self, length: Option<usize>) -> Result<Entries<'n>, ValueError> {
        Ok(Entries::new(self.deeper()?, length))
    }
}

impl<'n> Serializer for Builder<'n> {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items<'n>;
    type SerializeTuple = Items<'n>;
    type SerializeTupleStruct = Items<'n>;
    type SerializeTupleVariant = Impossible<Value, ValueError>;
    type SerializeMap = Entries<'n>;
    type SerializeStruct = Record<'n>;
    type SerializeStructVariant = Impossible<Value, ValueError>;

    fn serialize_bool(self, v: bool) -> Result<Value, ValueError> {
        Ok(Value::Bool(v))
    }

    fn serialize_i8(self, v: i8) -> Result<Value, ValueError> {
        Ok(Value::from(i64::from(v)))
    }

    fn serialize_i16(self, v: i16) -> Result<Value, ValueError> {
        Ok(Value::from(i64::from(v)))
    }

    fn serialize_i32(self, v: i32) -> Result<Value, ValueError> {
        Ok(Value::from(i64::from(v)))
    }

    fn serialize_i64(self, v: i64) -> Result<Value, ValueError> {
        Ok(Value::from(v))
    }

    fn serialize_i128(self, v: i128) -> Result<Value, ValueError> {
        Ok(Value::from(v))
    }

    fn serialize_u8(self, v: u8) -> Result<Value, ValueError> {
        Ok(Value::from(u64::from(v)))
    }

    fn serialize_u16(self, v: u16) -> Result<Value, ValueError> {
        Ok(Value::from(u64::from(v)))
    }

    fn serialize_u32(self, v: u32) -> Result<Value, ValueError> {
        Ok(Value::from(u64::from(v)))
    }

    fn serialize_u64(self, v: u64) -> Result<Value, ValueError> {
        Ok(Value::from(v))
    }

    fn serialize_u128(self, v: u128) -> Result<Value, ValueError> {
        Ok(Value::from(v))
    }

    fn serialize_f32(self, v: f32) -> Result<Value, ValueError> {
        self.serialize_f64(f64::from(v))
    }

    /// JSON has no infinity: null, as in `serde_json`.
    fn serialize_f64(self, v: f64) -> Result<Value, ValueError> {
        Ok(Value::from(v))
    }

    fn serialize_char(self, v: char) -> Result<Value, ValueError> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<Value, ValueError> {
        Ok(if self.is_name { self.names.name(v) } else { Value::from(v) })
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<Value, ValueError> {
        self.collect_seq(v)
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, ValueError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        self.collect_map([(variant, value)])
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'n>, ValueError> {
        self.items(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'n>, ValueError> {
        self.items(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Items<'n>, ValueError> {
        self.items(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, ValueError> {
        Err(ValueError::Other(format!("`{variant}` has no form in a document")))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Entries<'n>, ValueError> {
        self.entries(length)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Record<'n>, ValueError> {
        Record::new(name, self, length)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, ValueError> {
        Err(ValueError::Other(format!("`{variant}` has no form in a document")))
    }
}

#[cfg(test)]
mod tests;
