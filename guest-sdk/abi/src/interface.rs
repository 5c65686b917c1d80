//! What a module says of itself: its jobs, and the types that they take and give.
//!
//! Owns: the types of a description, and writing it while the module is compiled, so that it lies in the module as a custom section
//! and costs nothing when a job runs. Does not know: who derives it (`wasmill-sdk-macro`), or who reads it (the host). The format
//! is documented in `docs/guest-abi.md`.
//!
//! The section has a line of JSON for each job, and one for the SDK. Lines are written by `const fn`s: a static in a custom section
//! may have no pointers, and what links a program together puts the sections of its parts one after the other.

/// The custom section's name.
pub const SECTION: &str = "wasmill";

/// A type as serde sees it: what a value is made of, and the names that are written with it.
#[derive(Debug)]
pub enum Type {
    /// Nothing is known of it but what it is called in the source.
    Any(&'static str),
    /// `true` or `false`.
    Bool,
    /// A whole number of so many bits.
    Int {
        /// 8, 16, 32, 64 or 128.
        bits: u8,
        /// Whether it may be negative.
        is_signed: bool,
    },
    /// A number of 32 or 64 bits.
    Float {
        /// 32 or 64.
        bits: u8,
    },
    /// Text.
    String,
    /// Nothing: `null`.
    Unit,
    /// A value or `null`.
    Option(&'static Type),
    /// Any number of values.
    Seq(&'static Type),
    /// So many values, each of its own type.
    Tuple(&'static [&'static Type]),
    /// Values by name.
    Map(&'static Type),
    /// A struct with named fields.
    Struct {
        /// What it is called.
        name: &'static str,
        /// Its fields.
        fields: &'static [Field],
    },
    /// Several results of a job, each under a name.
    Outputs {
        /// What the type is called.
        name: &'static str,
        /// The results.
        fields: &'static [Field],
    },
    /// An enum.
    Enum {
        /// What it is called.
        name: &'static str,
        /// Its variants. A variant of the type [`Type::Unit`] is written as its name alone.
        variants: &'static [Field],
    },
    /// The type of that name that this is a part of.
    Within(&'static str),
    /// The path of an input file.
    File,
    /// The path of an input directory.
    Dir,
    /// The text in an input file.
    Text,
    /// The results of all items of a job.
    Each(&'static Type),
    /// A plan, whose result stands for the job's.
    Plan(&'static Type),
}

/// A field of a struct, a variant of an enum, or a parameter of a job.
#[derive(Debug)]
pub struct Field {
    /// Its name, as it is written.
    pub name: &'static str,
    /// Its type.
    pub ty: &'static Type,
    /// Whether it may be left out.
    pub is_optional: bool,
}

/// A job of a module.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub name: &'static str,
    /// The path of the Rust module that has its function.
    pub module: &'static str,
    /// The first line of its documentation.
    pub about: &'static str,
    /// What it takes.
    pub parameters: &'static [Field],
    /// What it gives.
    pub returns: &'static Type,
}

/// The line of a job. `N` is its length.
#[must_use]
pub const fn job_line<const N: usize>(job: &Job) -> Line<N> {
    let mut line = Line { bytes: [0; N], len: 0 };
    line.put(b"{\"job\":");
    line.quoted(job.name);
    line.put(b",\"at\":");
    line.quoted(job.module);
    line.put(b",\"about\":");
    line.quoted(job.about);
    line.put(b",\"parameters\":");
    line.fields(job.parameters);
    line.put(b",\"returns\":");
    line.ty(job.returns);
    line.put(b"}\n");
    line
}

/// The line of the SDK: its version, and that of the ABI. `N` is its length.
#[must_use]
pub const fn sdk_line<const N: usize>(version: &str) -> Line<N> {
    let mut line = Line { bytes: [0; N], len: 0 };
    line.put(b"{\"sdk\":");
    line.quoted(version);
    line.put(b",\"abi\":");
    line.number(crate::VERSION);
    line.put(b"}\n");
    line
}

/// A line that is being written. What does not fit is counted, not kept: a line of no bytes tells how long the real one is.
#[derive(Debug)]
pub struct Line<const N: usize> {
    /// What is written.
    pub bytes: [u8; N],
    /// How much there is to write.
    pub len: usize,
}

impl<const N: usize> Line<N> {
    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn put(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            self.byte(*first);
            bytes = rest;
        }
    }

    const fn quoted(&mut self, text: &str) {
        self.byte(b'"');
        let mut bytes = text.as_bytes();
        while let [first, rest @ ..] = bytes {
            match first {
                b'"' | b'\\' => {
                    self.byte(b'\\');
                    self.byte(*first);
                }
                // Control characters say nothing in a name or in a line of text.
                0..=0x1f => self.byte(b' '),
                _ => self.byte(*first),
            }
            bytes = rest;
        }
        self.byte(b'"');
    }

    const fn number(&mut self, number: u32) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    const fn fields(&mut self, mut fields: &[Field]) {
        self.byte(b'[');
        while let [first, rest @ ..] = fields {
            self.put(b"{\"name\":");
            self.quoted(first.name);
            self.put(b",\"type\":");
            self.ty(first.ty);
            if first.is_optional {
                self.put(b",\"optional\":true");
            }
            self.byte(b'}');
            if !rest.is_empty() {
                self.byte(b',');
            }
            fields = rest;
        }
        self.byte(b']');
    }

    const fn of(&mut self, kind: &str, ty: &Type) {
        self.byte(b'{');
        self.quoted(kind);
        self.byte(b':');
        self.ty(ty);
        self.byte(b'}');
    }

    const fn named(&mut self, kind: &str, name: &str) {
        self.byte(b'{');
        self.quoted(kind);
        self.byte(b':');
        self.quoted(name);
        self.byte(b'}');
    }

    const fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Any(name) => self.named("any", name),
            Type::Bool => self.quoted("bool"),
            Type::Int { bits, is_signed } => {
                self.byte(b'"');
                self.byte(if *is_signed { b'i' } else { b'u' });
                self.number(*bits as u32);
                self.byte(b'"');
            }
            Type::Float { bits } => {
                self.put(b"\"f");
                self.number(*bits as u32);
                self.byte(b'"');
            }
            Type::String => self.quoted("string"),
            Type::Unit => self.quoted("unit"),
            Type::File => self.quoted("file"),
            Type::Dir => self.quoted("dir"),
            Type::Text => self.quoted("text"),
            Type::Option(of) => self.of("option", of),
            Type::Seq(of) => self.of("seq", of),
            Type::Map(of) => self.of("map", of),
            Type::Each(of) => self.of("each", of),
            Type::Plan(of) => self.of("plan", of),
            Type::Within(name) => self.named("within", name),
            Type::Tuple(parts) => {
                self.put(b"{\"tuple\":[");
                let mut parts = *parts;
                while let [first, rest @ ..] = parts {
                    self.ty(first);
                    if !rest.is_empty() {
                        self.byte(b',');
                    }
                    parts = rest;
                }
                self.put(b"]}");
            }
            Type::Struct { name, fields } => self.composed("struct", name, "fields", fields),
            Type::Outputs { name, fields } => self.composed("outputs", name, "fields", fields),
            Type::Enum { name, variants } => self.composed("enum", name, "variants", variants),
        }
    }

    const fn composed(&mut self, kind: &str, name: &str, of: &str, fields: &[Field]) {
        self.byte(b'{');
        self.quoted(kind);
        self.byte(b':');
        self.quoted(name);
        self.byte(b',');
        self.quoted(of);
        self.byte(b':');
        self.fields(fields);
        self.byte(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_long_as_it_was_counted() {
        const FIELDS: &[Field] = &[
            Field { name: "of \"which\"", ty: &Type::Int { bits: 64, is_signed: false }, is_optional: true },
            Field { name: "part", ty: &Type::Tuple(&[&Type::Bool, &Type::Within("Part")]), is_optional: false },
        ];
        const JOB: Job = Job {
            name: "count",
            module: "words::texts",
            about: "Counts\nwords.",
            parameters: &[Field { name: "text", ty: &Type::Text, is_optional: false }],
            returns: &Type::Option(&Type::Struct { name: "Part", fields: FIELDS }),
        };
        const LEN: usize = job_line::<0>(&JOB).len;
        let line = job_line::<LEN>(&JOB);
        assert_eq!(line.len, LEN);
        let expected = concat!(
            r#"{"job":"count","at":"words::texts","about":"Counts words.","parameters":[{"name":"text","type":"text"}],"returns":{"option":"#,
            r#"{"struct":"Part","fields":[{"name":"of \"which\"","type":"u64","optional":true},"#,
            r#"{"name":"part","type":{"tuple":["bool",{"within":"Part"}]}}]}}}"#,
            "\n"
        );
        assert_eq!(core::str::from_utf8(&line.bytes), Ok(expected));
        let sdk = sdk_line::<{ sdk_line::<0>("0.1.0").len }>("0.1.0");
        assert_eq!(core::str::from_utf8(&sdk.bytes), Ok("{\"sdk\":\"0.1.0\",\"abi\":1}\n"));
    }
}
