//! What serde's types are given of JSON.
//!
//! Owns: which of serde's visits is made for what, as `serde_json` has it. Does not know: how a text is taken apart.

use std::borrow::Cow;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::{DEPTH_MAX, Reader, Result, Token};
use crate::json::Error;

/// What `serde_json` calls a value that is to be left as it is written.
const RAW: &str = "$serde_json::private::RawValue";

impl<'de> Reader<'de> {
    /// The error for a value that is not what was wanted.
    #[cold]
    fn unexpected(&mut self, wanted: &dyn de::Expected) -> Error {
        let begin = self.begin();
        let misfit = match self.byte() {
            Some(b'[') => Error::invalid_type(Unexpected::Seq, wanted),
            Some(b'{') => Error::invalid_type(Unexpected::Map, wanted),
            Some(b'"') => match self.string() {
                Ok(text) => Error::invalid_type(Unexpected::Str(&text), wanted),
                Err(error) => error,
            },
            _ => match self.token() {
                Ok(Token::Null) => Error::invalid_type(Unexpected::Unit, wanted),
                Ok(Token::Bool(is)) => Error::invalid_type(Unexpected::Bool(is), wanted),
                Ok(Token::Whole(number)) => number_misfit("integer", number, wanted),
                Ok(Token::Fraction(number)) => number_misfit("floating point", number, wanted),
                Err(error) => error,
            },
        };
        misfit.or_at(begin)
    }

    fn enter(&mut self) -> Result<()> {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 { Err(self.wrong("too many lists and tables in each other")) } else { Ok(()) }
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let mut items = Items { reader: self, is_first: true, is_over: false };
        let value = visitor.visit_seq(&mut items);
        let Items { is_first, is_over, .. } = items;
        self.leave(value, is_first, is_over, b']')
    }

    fn table<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let mut entries = Entries { reader: self, is_first: true, is_over: false };
        let value = visitor.visit_map(&mut entries);
        let Entries { is_first, is_over, .. } = entries;
        self.leave(value, is_first, is_over, b'}')
    }

    /// Goes out of a list or a table, to whose end was read if `is_over`. So it does where there is an error: whoever minds none goes on
    /// behind it, as with `serde_json`.
    fn leave<T>(&mut self, value: Result<T>, is_first: bool, is_over: bool, close: u8) -> Result<T> {
        self.depth += 1;
        if is_over {
            return value;
        }
        match self.next_item(is_first, close) {
            Ok(false) => value,
            Ok(true) => value.and_then(|_| Err(self.wrong("trailing characters"))),
            Err(error) => value.and(Err(error)),
        }
    }

    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(&visitor));
        }
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn boolean<'v, V: Visitor<'v>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b't' | b'f') => match self.token()? {
                Token::Bool(is) => visitor.visit_bool(is),
                _ => visitor.visit_unit(),
            },
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn whole<'v, V: Visitor<'v>>(&mut self, visitor: V) -> Result<V::Value> {
        if let Some(b'-' | b'0'..=b'9') = self.peek() {
            let begin = self.at;
            if let Some(number) = self.token()?.as_whole() {
                if let Ok(number) = number.parse() {
                    return visitor.visit_u64(number);
                }
                if let Ok(number) = number.parse() {
                    return visitor.visit_i64(number);
                }
            }
            self.at = begin;
        }
        Err(self.unexpected(&visitor))
    }

    fn wide<'v, V: Visitor<'v>>(&mut self, visitor: V) -> Result<V::Value> {
        if let Some(b'-' | b'0'..=b'9') = self.peek() {
            let begin = self.at;
            if let Some(number) = self.token()?.as_whole() {
                if let Ok(number) = number.parse() {
                    return visitor.visit_u128(number);
                }
                if let Ok(number) = number.parse() {
                    return visitor.visit_i128(number);
                }
            }
            self.at = begin;
        }
        Err(self.unexpected(&visitor))
    }

    fn number<'v, V: Visitor<'v>>(&mut self, visitor: V) -> Result<V::Value> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.unexpected(&visitor));
        }
        let begin = self.at;
        if let Some(number) = self.token()?.as_whole() {
            if let Ok(number) = number.parse() {
                return visitor.visit_u64(number);
            }
            if let Ok(number) = number.parse() {
                return visitor.visit_i64(number);
            }
        }
        match self.text.get(begin..self.at).unwrap_or_default().parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(Error::new("number out of range", Some(begin))),
        }
    }
}

#[cold]
fn number_misfit(kind: &str, number: &str, wanted: &dyn de::Expected) -> Error {
    Error::invalid_type(Unexpected::Other(&format!("{kind} `{number}`")), wanted)
}

macro_rules! numbers {
    ($how:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.$how(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => self.text(visitor),
            Some(b'[') => self.list(visitor),
            Some(b'{') => self.table(visitor),
            Some(b'-' | b'0'..=b'9') => self.number(visitor),
            _ => match self.token()? {
                Token::Bool(is) => visitor.visit_bool(is),
                _ => visitor.visit_unit(),
            },
        }
    }

    numbers! { boolean: deserialize_bool }
    numbers! {
        whole: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    numbers! { wide: deserialize_i128 deserialize_u128 }
    numbers! { number: deserialize_f32 deserialize_f64 }
    numbers! { text: deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => match self.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
                Cow::Owned(text) => visitor.visit_byte_buf(text.into_bytes()),
            },
            Some(b'[') => self.list(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'n') {
            self.expect_word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'n') {
            self.expect_word("null")?;
            return visitor.visit_unit();
        }
        Err(self.unexpected(&visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name == RAW {
            let begin = self.begin();
            self.skip()?;
            return visitor.visit_map(Raw(self.text.get(begin..self.at)));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'[') { self.list(visitor) } else { Err(self.unexpected(&visitor)) }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'{') { self.table(visitor) } else { Err(self.unexpected(&visitor)) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek() {
            Some(b'{') => self.table(visitor),
            Some(b'[') => self.list(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => visitor.visit_enum(Variant { reader: self, has_content: false }),
            Some(b'{') => {
                self.enter()?;
                let begin = self.at;
                if !self.next_key(true)? {
                    self.at = begin;
                    return Err(self.wrong("expected the name of a variant"));
                }
                let value = visitor.visit_enum(Variant { reader: self, has_content: true });
                self.depth += 1;
                let value = value?;
                self.expect(b'}', "expected `}`: an enum has one field")?;
                Ok(value)
            }
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }
}

struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
    is_over: bool,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.is_over = self.is_over || !self.reader.next_item(self.is_first, b']')?;
        self.is_first = false;
        if self.is_over {
            return Ok(None);
        }
        let begin = self.reader.begin();
        seed.deserialize(&mut *self.reader).map(Some).map_err(|error| error.or_at(begin))
    }
}

struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
    is_over: bool,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.is_over = self.is_over || !self.reader.next_key(self.is_first)?;
        self.is_first = false;
        if self.is_over {
            return Ok(None);
        }
        // An error about a key is one of the field that it names.
        let key = seed.deserialize(Key(self.reader));
        key.map(Some).map_err(|error| error.or_at(self.reader.at))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        self.reader.colon()?;
        let begin = self.reader.begin();
        seed.deserialize(&mut *self.reader).map_err(|error| error.or_at(begin))
    }
}

/// A key of a table: a string, in which there may be a number.
struct Key<'r, 'de>(&'r mut Reader<'de>);

macro_rules! keys {
    ($how:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let text = self.0.string()?;
            let mut key = Reader { text: &text, at: 0, depth: DEPTH_MAX };
            let read = match text.as_bytes().first() {
                None | Some(b' ' | b'\t' | b'\n' | b'\r') => Err(Error::invalid_type(Unexpected::Str(&text), &visitor)),
                _ => key.$how(visitor),
            };
            read.and_then(|value| key.is_used_up().map(|()| value)).map_err(Error::anywhere)
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.text(visitor)
    }

    keys! { boolean: deserialize_bool }
    keys! {
        whole: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    keys! { wide: deserialize_i128 deserialize_u128 }
    keys! { number: deserialize_f32 deserialize_f64 }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.deserialize_bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.deserialize_bytes(visitor)
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant of an enum, with or without something in it.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    has_content: bool,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let begin = self.reader.at;
        let name = seed.deserialize(&mut *self.reader).map_err(|error| error.or_at(begin))?;
        if self.has_content {
            self.reader.colon()?;
        }
        Ok((name, self))
    }
}

impl Variant<'_, '_> {
    fn content(&self, wanted: &dyn de::Expected) -> Result<()> {
        if self.has_content { Ok(()) } else { Err(Error::invalid_type(Unexpected::UnitVariant, wanted)) }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        if self.has_content { de::Deserialize::deserialize(self.reader) } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.content(&"newtype variant")?;
        let begin = self.reader.begin();
        seed.deserialize(&mut *self.reader).map_err(|error| error.or_at(begin))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.content(&"tuple variant")?;
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.content(&"struct variant")?;
        self.reader.deserialize_struct("", fields, visitor)
    }
}

/// A value as it is written, the way `serde_json` hands it to its `RawValue`.
struct Raw<'de>(Option<&'de str>);

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        match self.0 {
            Some(_) => seed.deserialize(de::value::BorrowedStrDeserializer::new(RAW)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(de::value::BorrowedStrDeserializer::new(self.0.take().unwrap_or_default()))
    }
}
