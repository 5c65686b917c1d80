//! Writing JSON, without spaces.
//!
//! Owns: how each of serde's types is written. Does not know: where it goes.

use std::fmt::{Display, Write as _};

use serde::ser::{self, Error as _, Serialize, Serializer};

use super::Error;

type Result<T> = std::result::Result<T, Error>;

/// What `serde_json` calls a value that is written already, and a number of any length, where somebody has it keep those.
const RAW: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// A value as JSON.
///
/// # Errors
/// It has no form in JSON.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    value.serialize(Writer(&mut json))?;
    Ok(json)
}

/// A string in quotes.
pub(crate) fn string(json: &mut Vec<u8>, text: &str) {
    json.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        json.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        escape(json, *byte);
        rest = after;
    }
    json.extend_from_slice(rest);
    json.push(b'"');
}

/// A byte that cannot be in a string as it is.
fn escape(json: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        0..=0x1f => {
            let low = byte & 15;
            json.extend_from_slice(b"\\u00");
            json.push(b'0' + (byte >> 4));
            json.push(if low < 10 { b'0' + low } else { b'a' + low - 10 });
            return;
        }
        other => other,
    };
    json.extend_from_slice(&[b'\\', short]);
}

/// The digits of a whole number.
fn digits(json: &mut Vec<u8>, mut number: u64) {
    let mut all = [0; 20];
    let mut begin = all.len();
    for digit in all.iter_mut().rev() {
        // Less than ten.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        begin -= 1;
        if number == 0 {
            break;
        }
    }
    json.extend_from_slice(all.get(begin..).unwrap_or_default());
}

/// What a value is written behind.
struct Writer<'j>(&'j mut Vec<u8>);

impl Writer<'_> {
    fn put(self, text: &str) -> Result<()> {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn display(self, value: impl Display) -> Result<()> {
        let mut text = String::new();
        write!(text, "{value}").map_err(|_| Error::custom("it cannot be written"))?;
        self.put(&text)
    }
}

macro_rules! numbers {
    ($($method:ident: $ty:ty as $large:ident)*) => {
        $(fn $method(self, value: $ty) -> Result<()> {
            self.$large(value.into())
        })*
    };
}

impl<'j> Serializer for Writer<'j> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'j>;
    type SerializeTuple = Parts<'j>;
    type SerializeTupleStruct = Parts<'j>;
    type SerializeTupleVariant = Parts<'j>;
    type SerializeMap = Parts<'j>;
    type SerializeStruct = Parts<'j>;
    type SerializeStructVariant = Parts<'j>;

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.put(if value { "true" } else { "false" })
    }

    numbers! {
        serialize_i8: i8 as serialize_i64
        serialize_i16: i16 as serialize_i64
        serialize_i32: i32 as serialize_i64
        serialize_u8: u8 as serialize_u64
        serialize_u16: u16 as serialize_u64
        serialize_u32: u32 as serialize_u64
    }

    fn serialize_i64(self, value: i64) -> Result<()> {
        if value < 0 {
            self.0.push(b'-');
        }
        digits(self.0, value.unsigned_abs());
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        digits(self.0, value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        self.display(value)
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        self.display(value)
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        if value.is_finite() { self.put(zmij::Buffer::new().format_finite(value)) } else { self.put("null") }
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        if value.is_finite() { self.put(zmij::Buffer::new().format_finite(value)) } else { self.put("null") }
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        string(self.0, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<()> {
        self.put("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.put("null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.put("null")
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let parts = Parts::of_variant(self.0, variant);
        value.serialize(Writer(parts.json))?;
        parts.finish()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Parts<'j>> {
        Ok(Parts::new(self.0, b'[', "]"))
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts<'j>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Parts<'j>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'j>> {
        let mut parts = Parts::of_variant(self.0, variant);
        parts.json.push(b'[');
        parts.close = "]}";
        Ok(parts)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Parts<'j>> {
        Ok(Parts::new(self.0, b'{', "}"))
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Parts<'j>> {
        if RAW.contains(&name) {
            return Ok(Parts { json: self.0, is_first: true, close: "", is_raw: true });
        }
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'j>> {
        let mut parts = Parts::of_variant(self.0, variant);
        parts.json.push(b'{');
        parts.close = "}}";
        Ok(parts)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        let mut text = String::new();
        write!(text, "{value}").map_err(|_| Error::custom("it cannot be written"))?;
        self.serialize_str(&text)
    }
}

/// A list or a table that is being written.
struct Parts<'j> {
    json: &'j mut Vec<u8>,
    is_first: bool,
    close: &'static str,
    is_raw: bool,
}

impl<'j> Parts<'j> {
    fn new(json: &'j mut Vec<u8>, open: u8, close: &'static str) -> Self {
        json.push(open);
        Self { json, is_first: true, close, is_raw: false }
    }

    fn of_variant(json: &'j mut Vec<u8>, variant: &str) -> Self {
        json.push(b'{');
        string(json, variant);
        json.push(b':');
        Self { json, is_first: true, close: "}", is_raw: false }
    }

    fn comma(&mut self) {
        if !self.is_first {
            self.json.push(b',');
        }
        self.is_first = false;
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.comma();
        value.serialize(Writer(self.json))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        if self.is_raw {
            return value.serialize(Verbatim(self.json));
        }
        self.comma();
        string(self.json, name);
        self.json.push(b':');
        value.serialize(Writer(self.json))
    }

    fn finish(self) -> Result<()> {
        Writer(self.json).put(self.close)
    }
}

macro_rules! lists {
    ($($of:ident $method:ident)*) => {
        $(impl ser::$of for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.item(value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        })*
    };
}

lists! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! tables {
    ($($of:ident)*) => {
        $(impl ser::$of for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.field(name, value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        })*
    };
}

tables! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.comma();
        let begin = self.json.len();
        key.serialize(Writer(self.json))?;
        // Keys are strings: numbers, and what is a word, are put into quotes.
        match self.json.get(begin) {
            Some(b'"') => {}
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => {
                self.json.insert(begin, b'"');
                self.json.push(b'"');
            }
            _ => return Err(Error::custom("key must be a string")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.json.push(b':');
        value.serialize(Writer(self.json))
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

/// Writes a string as it is.
struct Verbatim<'j>(&'j mut Vec<u8>);

macro_rules! not_verbatim {
    ($($method:ident($($ty:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self $(, _: $ty)*) -> Result<$ok> {
            Err(Error::custom("expected JSON"))
        })*
    };
}

type No = ser::Impossible<(), Error>;

impl Serializer for Verbatim<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    fn serialize_str(self, value: &str) -> Result<()> {
        self.0.extend_from_slice(value.as_bytes());
        Ok(())
    }

    not_verbatim! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        Err(Error::custom("expected JSON"))
    }
}
