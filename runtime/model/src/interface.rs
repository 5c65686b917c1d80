//! What a module says of its jobs, and whether what one job gives is what another takes.
//!
//! Owns: finding and reading the section that modules of the guest SDK carry (`guest-sdk/abi/src/interface.rs` writes it), and which
//! types fit which. Does not know: plans.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A description is not larger.
const SECTION_BYTES_MAX: u64 = 4 << 20;

/// How many sections are looked through: programs have about twenty.
const SECTIONS_MAX: usize = 10_000;

/// A type is not nested deeper.
const DEPTH_MAX: usize = 100;

/// What a module says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// The version of the SDK that it was made with.
    pub sdk: String,
    /// The version of the guest ABI that it was made for.
    pub abi: u32,
    /// Its jobs, by name.
    pub jobs: Vec<JobInterface>,
}

/// What a module says of one of its jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobInterface {
    /// Its name: the plan's `entry`.
    #[serde(rename = "job")]
    pub name: String,
    /// The path of the Rust module that has its function; empty where that is not said.
    pub at: String,
    /// What it does, in a line.
    pub about: String,
    /// What it takes.
    pub parameters: Vec<Field>,
    /// What it gives.
    pub returns: Type,
}

/// A parameter of a job, a field of a struct, or a variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, as it is written.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it may be left out.
    #[serde(default, rename = "optional", skip_serializing_if = "std::ops::Not::not")]
    pub is_optional: bool,
}

/// A type, as the description writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Type {
    /// `bool`, `string`, `unit`, `file`, `dir`, `text`, and numbers by their bits: `u8`, `i64`, `f32`.
    Leaf(String),
    /// A type of which no more is known than its name.
    Any {
        /// The name.
        any: String,
    },
    /// A value or nothing.
    Option {
        /// The value's type.
        option: Box<Type>,
    },
    /// Any number of values.
    Seq {
        /// Their type.
        seq: Box<Type>,
    },
    /// So many values.
    Tuple {
        /// The type of each.
        tuple: Vec<Type>,
    },
    /// Values by name.
    Map {
        /// Their type.
        map: Box<Type>,
    },
    /// A struct with named fields.
    Struct {
        /// Its name.
        #[serde(rename = "struct")]
        name: String,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// Several results of a job, each under a name.
    Outputs {
        /// What the type is called.
        #[serde(rename = "outputs")]
        name: String,
        /// The results.
        fields: Vec<Field>,
    },
    /// An enum.
    Enum {
        /// Its name.
        #[serde(rename = "enum")]
        name: String,
        /// Its variants.
        variants: Vec<Field>,
    },
    /// The type of that name that this is within.
    Within {
        /// The name.
        within: String,
    },
    /// The results of all items of a job.
    Each {
        /// The type of a result.
        each: Box<Type>,
    },
    /// A plan, whose result stands for the job's.
    Plan {
        /// The type of that result.
        plan: Box<Type>,
    },
}

/// In one pass, as the first key says what it is: whoever made the module may mean harm. What a newer SDK says is not known here.
impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Type;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Type, E> {
                let is_known =
                    ["bool", "string", "unit", "file", "dir", "text"].contains(&name) || number_bits(name).is_some();
                Ok(if is_known { Type::Leaf(name.to_owned()) } else { Type::Any { any: name.to_owned() } })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Type, A::Error> {
                let Some(kind) = map.next_key::<String>()? else { return Ok(Type::Any { any: "?".to_owned() }) };
                let parts = |map: &mut A, named: &str| match map.next_key::<String>()? {
                    Some(key) if key == named => map.next_value::<Vec<Field>>(),
                    _ => Err(de::Error::missing_field("fields")),
                };
                let ty = match kind.as_str() {
                    "any" => Type::Any { any: map.next_value()? },
                    "option" => Type::Option { option: map.next_value()? },
                    "seq" => Type::Seq { seq: map.next_value()? },
                    "tuple" => Type::Tuple { tuple: map.next_value()? },
                    "map" => Type::Map { map: map.next_value()? },
                    "within" => Type::Within { within: map.next_value()? },
                    "each" => Type::Each { each: map.next_value()? },
                    "plan" => Type::Plan { plan: map.next_value()? },
                    "struct" => Type::Struct { name: map.next_value()?, fields: parts(&mut map, "fields")? },
                    "outputs" => Type::Outputs { name: map.next_value()?, fields: parts(&mut map, "fields")? },
                    "enum" => Type::Enum { name: map.next_value()?, variants: parts(&mut map, "variants")? },
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                        Type::Any { any: "?".to_owned() }
                    }
                };
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(ty)
            }
        }

        deserializer.deserialize_any(Written)
    }
}

/// Why a module's description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It is no description.
    #[error("its description of itself is damaged, or made by a newer SDK: {0}")]
    Damaged(String),
    /// A name means one job.
    #[error("two of its jobs are called `{job}`, in `{first}` and in `{second}`: one of them has to have another name")]
    Twice {
        /// The name.
        job: String,
        /// The path of the Rust module that has one of them.
        first: String,
        /// The other one's.
        second: String,
    },
}

impl Interface {
    /// Looks for a description in a module or component. `None` where there is none: most programs have none, and whether it is a
    /// program at all is for others to say.
    ///
    /// # Errors
    /// The file cannot be read, or what is there is no description.
    pub fn find(wasm: impl Read + Seek) -> Result<Option<Self>, InterfaceError> {
        let Some(section) = section(wasm, true)? else { return Ok(None) };
        if section.len() as u64 > SECTION_BYTES_MAX {
            return Err(InterfaceError::Damaged(format!("it is longer than {SECTION_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(section).map_err(|error| InterfaceError::Damaged(error.to_string()))?;
        let damaged = |error: serde_json::Error| InterfaceError::Damaged(error.to_string());
        #[derive(Deserialize)]
        struct Line {
            sdk: Option<String>,
            #[serde(default)]
            abi: u32,
            job: Option<String>,
            #[serde(default)]
            at: String,
            #[serde(default)]
            about: String,
            #[serde(default)]
            parameters: Vec<Field>,
            returns: Option<Type>,
        }
        let mut all = Self::default();
        for line in text.lines() {
            // Other lines are those of a newer SDK.
            match serde_json::from_str(line).map_err(damaged)? {
                Line { sdk: Some(sdk), abi, .. } => (all.sdk, all.abi) = (sdk, abi),
                Line { job: Some(name), at, about, parameters, returns: Some(returns), .. } => {
                    all.jobs.push(JobInterface { name, at, about, parameters, returns });
                }
                _ => {}
            }
        }
        all.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some([one, other]) = all.jobs.array_windows().find(|[one, other]| one.name == other.name) {
            let (job, first, second) = (one.name.clone(), one.at.clone(), other.at.clone());
            return Err(InterfaceError::Twice { job, first, second });
        }
        Ok((!all.sdk.is_empty()).then_some(all))
    }

    /// A job by its name.
    pub fn job(&self, name: &str) -> Option<&JobInterface> {
        self.jobs.iter().find(|job| job.name == name)
    }
}

/// The content of the section of a module, put together from all of that name; one byte more than there may be says that there is too much.
fn section(mut wasm: impl Read + Seek, may_be_component: bool) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 8];
    if wasm.read_exact(&mut header).is_err() || !header.starts_with(b"\0asm") {
        return Ok(None);
    }
    // In a component, the program is a module within it.
    let is_component = header.get(6..) == Some(&[1, 0]);
    if is_component && !may_be_component {
        return Ok(None);
    }
    let mut found: Option<Vec<u8>> = None;
    for _ in 0..SECTIONS_MAX {
        let mut id = [0];
        if wasm.read(&mut id)? == 0 {
            break;
        }
        let Some(len) = leb(&mut wasm)? else { break };
        let start = wasm.stream_position()?;
        let end = start.saturating_add(len);
        match id {
            [0] => {
                let name_len = leb(&mut wasm)?.unwrap_or(0);
                let mut name = vec![0; usize::try_from(name_len.min(64)).unwrap_or(0)];
                wasm.read_exact(&mut name)?;
                let left = end.saturating_sub(wasm.stream_position()?);
                if name == wasmill_abi::interface::SECTION.as_bytes() {
                    let content = found.get_or_insert_with(Vec::new);
                    let room = (SECTION_BYTES_MAX + 1).saturating_sub(content.len() as u64);
                    wasm.by_ref().take(left.min(room)).read_to_end(content)?;
                }
            }
            // The first module in a component that has one.
            [1] if is_component && found.is_none() => found = nested(&mut wasm, len)?,
            _ => {}
        }
        wasm.seek(SeekFrom::Start(end))?;
    }
    Ok(found)
}

/// The same of a module that lies within a component, from here on.
fn nested(wasm: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Vec<u8>>> {
    let start = wasm.stream_position()?;
    let mut within = Part { of: wasm, start, at: 0, len };
    section(&mut within as &mut dyn ReadSeek, false)
}

/// What is within is no type of its own: else there would be one for each level.
trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// A part of a file, as a file.
struct Part<'a, F> {
    of: &'a mut F,
    start: u64,
    at: u64,
    len: u64,
}

impl<F: Read> Read for Part<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX).min(into.len());
        let read = self.of.read(into.get_mut(..left).unwrap_or_default())?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<F: Seek> Seek for Part<'_, F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?.min(self.len);
        self.of.seek(SeekFrom::Start(self.start.saturating_add(self.at)))?;
        Ok(self.at)
    }
}

/// A number of up to 32 bits, as WebAssembly writes it. `None` where there is none.
fn leb(wasm: &mut impl Read) -> io::Result<Option<u64>> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let mut byte = [0];
        if wasm.read(&mut byte)? == 0 {
            return Ok(None);
        }
        let [byte] = byte;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Where one type is not the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where in the value: names of fields, `[]` for the elements of a list. Empty for the whole.
    pub at: String,
    /// What is wanted there, with names in backticks.
    pub wanted: String,
    /// What is given there, likewise.
    pub given: String,
}

impl Type {
    /// Whether a value of the type `given` may be read as this type: only what never can is refused, and what is not described may.
    ///
    /// # Errors
    /// The first place where it cannot.
    pub fn accept(&self, given: &Type) -> Result<(), Misfit> {
        self.accept_at(given, "", 0)
    }

    fn accept_at(&self, given: &Type, at: &str, depth: usize) -> Result<(), Misfit> {
        let deeper = |wanted: &Type, given: &Type, at: String| wanted.accept_at(given, &at, depth + 1);
        match (self.present(), given.present()) {
            _ if depth > DEPTH_MAX => Ok(()),
            (Type::Any { .. } | Type::Within { .. }, _) | (_, Type::Any { .. } | Type::Within { .. }) => Ok(()),
            (Type::Leaf(wanted), Type::Leaf(given)) if leaf_accepts(wanted, given) => Ok(()),
            (Type::Seq { seq: wanted }, Type::Seq { seq: given })
            | (Type::Each { each: wanted }, Type::Each { each: given })
            | (Type::Plan { plan: wanted }, Type::Plan { plan: given }) => deeper(wanted, given, format!("{at}[]")),
            (Type::Map { map: wanted }, Type::Map { map: given }) => deeper(wanted, given, format!("{at}.*")),
            (Type::Seq { seq: wanted }, Type::Tuple { tuple }) => {
                tuple.iter().enumerate().try_for_each(|(index, given)| deeper(wanted, given, format!("{at}[{index}]")))
            }
            (Type::Tuple { tuple }, Type::Seq { seq: given }) => {
                tuple.iter().enumerate().try_for_each(|(index, wanted)| deeper(wanted, given, format!("{at}[{index}]")))
            }
            (Type::Tuple { tuple: wanted }, Type::Tuple { tuple: given }) if wanted.len() == given.len() => {
                let mut pairs = wanted.iter().zip(given).enumerate();
                pairs.try_for_each(|(index, (wanted, given))| deeper(wanted, given, format!("{at}[{index}]")))
            }
            // Which names there will be, and how many, shows when they are read.
            (Type::Struct { .. } | Type::Outputs { .. }, Type::Map { .. } | Type::Seq { .. } | Type::Tuple { .. })
            | (Type::Map { .. }, Type::Struct { .. } | Type::Outputs { .. }) => Ok(()),
            // Within other types, several results are a struct as any other.
            (
                Type::Struct { fields: wanted, .. } | Type::Outputs { fields: wanted, .. },
                Type::Struct { name: given_name, fields: given } | Type::Outputs { name: given_name, fields: given },
            ) => wanted.iter().try_for_each(|wanted| match given.iter().find(|given| given.name == wanted.name) {
                Some(found) => deeper(&wanted.ty, &found.ty, below(at, &wanted.name)),
                None if wanted.may_be_left_out() => Ok(()),
                None => Err(Misfit {
                    at: at.to_owned(),
                    wanted: format!("`{self}` with a field `{}`", wanted.name),
                    given: format!("`{given_name}` without it"),
                }),
            }),
            (Type::Enum { variants: wanted, .. }, Type::Enum { variants: given, .. })
                if given.iter().any(|given| wanted.iter().any(|wanted| wanted.name == given.name)) =>
            {
                Ok(())
            }
            // A variant without content is written as a text, one with content as a table of one entry.
            (Type::Leaf(text), Type::Enum { .. }) | (Type::Enum { .. }, Type::Leaf(text)) if text == "string" => Ok(()),
            (Type::Map { .. }, Type::Enum { .. }) | (Type::Enum { .. }, Type::Map { .. }) => Ok(()),
            _ => Err(Misfit { at: at.to_owned(), wanted: format!("`{self}`"), given: format!("`{given}`") }),
        }
    }

    /// The type of a value that is there.
    pub fn present(&self) -> &Type {
        let mut ty = self;
        while let Type::Option { option } = ty {
            ty = option;
        }
        ty
    }

    /// Whether nothing is known of it but its name.
    pub fn is_unknown(&self) -> bool {
        matches!(self.present(), Type::Any { .. } | Type::Within { .. })
    }

    /// Whether it is a value and no place: something that serde reads.
    pub fn is_value(&self) -> bool {
        match self.present() {
            Type::Leaf(name) => !matches!(name.as_str(), "file" | "dir" | "text"),
            Type::Each { .. } => false,
            _ => true,
        }
    }

    /// The leaf's name, of a type or of what may be there.
    pub fn leaf(&self) -> Option<&str> {
        match self.present() {
            Type::Leaf(name) => Some(name),
            _ => None,
        }
    }
}

impl Field {
    /// Whether a value may be without it.
    pub fn may_be_left_out(&self) -> bool {
        self.is_optional || matches!(self.ty, Type::Option { .. }) || self.ty == Type::Leaf("unit".to_owned())
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Whether serde may read the one as the other. A number may fit whatever its type; a fraction is no whole number.
fn leaf_accepts(wanted: &str, given: &str) -> bool {
    match (number_bits(wanted), number_bits(given)) {
        (Some(('f', _)), Some(_)) => true,
        (Some(_), Some((given, _))) => given != 'f',
        (None, None) => wanted == given || (wanted, given) == ("text", "string"),
        _ => false,
    }
}

/// The kind of a number, `u`, `i` or `f`, and its bits. `None` for what is no number.
pub(crate) fn number_bits(name: &str) -> Option<(char, u32)> {
    let (kind, bits) = name.split_at_checked(1)?;
    let bits = bits.parse().ok().filter(|bits| [8, 16, 32, 64, 128].contains(bits))?;
    kind.chars().next().filter(|kind| ['u', 'i', 'f'].contains(kind)).map(|kind| (kind, bits))
}

/// As an author would write it, short.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Leaf(name) => f.write_str(match name.as_str() {
                "string" => "String",
                "unit" => "()",
                "file" => "File",
                "dir" => "Dir",
                "text" => "Text",
                other => other,
            }),
            Type::Any { any: name }
            | Type::Struct { name, .. }
            | Type::Enum { name, .. }
            | Type::Outputs { name, .. }
            | Type::Within { within: name } => f.write_str(name),
            Type::Option { option } => write!(f, "Option<{option}>"),
            Type::Seq { seq } => write!(f, "Vec<{seq}>"),
            Type::Map { map } => write!(f, "Map<{map}>"),
            Type::Each { each } => write!(f, "Each<{each}>"),
            Type::Plan { plan } => write!(f, "Plan<{plan}>"),
            Type::Tuple { tuple } => {
                f.write_str("(")?;
                for (index, part) in tuple.iter().enumerate() {
                    write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

#[cfg(test)]
#[path = "interface_tests.rs"]
mod tests;
