//! What types are made of, for the description that a module carries.
//!
//! Owns: the trait, and its implementations for types that everybody uses. Does not know: how a description is written
//! (`wasmill-abi`), or how a value is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use wasmill_abi::interface::Type;

use crate::each::Each;
use crate::files::{Dir, File, Text};
use crate::plan::Plan;

/// A type whose make-up is known while the module is compiled: `#[derive(Schema)]`.
///
/// wasmill then checks the jobs of a plan against each other before any runs. A type without it can be given and taken all
/// the same, unchecked.
pub trait Schema {
    /// What it is made of, as serde writes it.
    const TYPE: &'static Type;
}

/// Finds a type's [`Schema`] where it has one: what a type has itself comes before what a trait gives to all.
#[derive(Debug)]
pub struct Described<T: ?Sized>(PhantomData<T>);

impl<T: Schema + ?Sized> Described<T> {
    /// Its schema.
    pub const TYPE: Option<&'static Type> = Some(T::TYPE);
}

/// The answer for types without a schema.
pub trait Undescribed {
    /// None.
    const TYPE: Option<&'static Type> = None;
}

impl<T: ?Sized> Undescribed for Described<T> {}

/// A type's schema, or what it is called.
#[must_use]
pub const fn type_or_name(known: Option<&'static Type>, or: &'static Type) -> &'static Type {
    match known {
        Some(known) => known,
        None => or,
    }
}

macro_rules! leaves {
    ($($ty:ty = $is:expr;)*) => {
        $(impl Schema for $ty {
            const TYPE: &'static Type = &$is;
        })*
    };
}

leaves! {
    bool = Type::Bool;
    u8 = Type::Int { bits: 8, is_signed: false };
    u16 = Type::Int { bits: 16, is_signed: false };
    u32 = Type::Int { bits: 32, is_signed: false };
    u64 = Type::Int { bits: 64, is_signed: false };
    u128 = Type::Int { bits: 128, is_signed: false };
    // 32 bits in a guest, and written like any number.
    usize = Type::Int { bits: 64, is_signed: false };
    i8 = Type::Int { bits: 8, is_signed: true };
    i16 = Type::Int { bits: 16, is_signed: true };
    i32 = Type::Int { bits: 32, is_signed: true };
    i64 = Type::Int { bits: 64, is_signed: true };
    i128 = Type::Int { bits: 128, is_signed: true };
    isize = Type::Int { bits: 64, is_signed: true };
    f32 = Type::Float { bits: 32 };
    f64 = Type::Float { bits: 64 };
    char = Type::String;
    str = Type::String;
    String = Type::String;
    Path = Type::String;
    PathBuf = Type::String;
    () = Type::Unit;
    File = Type::File;
    Dir = Type::Dir;
    Text = Type::Text;
}

macro_rules! wrappers {
    ($($ty:ty where $($bounds:ident)?;)*) => {
        $(impl<T: Schema + ?Sized $(+ $bounds)?> Schema for $ty {
            const TYPE: &'static Type = T::TYPE;
        })*
    };
}

wrappers! {
    Box<T> where;
    Rc<T> where;
    Arc<T> where;
    Cow<'_, T> where ToOwned;
}

impl<T: Schema + ?Sized> Schema for &T {
    const TYPE: &'static Type = T::TYPE;
}

/// What a job returns is what it gives where all goes well.
impl<T: Schema, E> Schema for Result<T, E> {
    const TYPE: &'static Type = T::TYPE;
}

impl<T: Schema> Schema for Option<T> {
    const TYPE: &'static Type = &Type::Option(T::TYPE);
}

impl<T: Schema> Schema for Plan<T> {
    const TYPE: &'static Type = &Type::Plan(T::TYPE);
}

impl<T: Schema> Schema for Each<T> {
    const TYPE: &'static Type = &Type::Each(T::TYPE);
}

macro_rules! sequences {
    ($($ty:ty)*) => {
        $(impl<T: Schema> Schema for $ty {
            const TYPE: &'static Type = &Type::Seq(T::TYPE);
        })*
    };
}

sequences! { [T] Vec<T> VecDeque<T> BTreeSet<T> }

impl<T: Schema, S> Schema for HashSet<T, S> {
    const TYPE: &'static Type = &Type::Seq(T::TYPE);
}

impl<K, V: Schema> Schema for BTreeMap<K, V> {
    const TYPE: &'static Type = &Type::Map(V::TYPE);
}

impl<K, V: Schema, S> Schema for HashMap<K, V, S> {
    const TYPE: &'static Type = &Type::Map(V::TYPE);
}

macro_rules! tuples {
    ($(($($part:ident)+))*) => {
        $(impl<$($part: Schema),+> Schema for ($($part,)+) {
            const TYPE: &'static Type = &Type::Tuple(&[$($part::TYPE),+]);
        })*
    };
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

impl<T: Schema, const N: usize> Schema for [T; N] {
    const TYPE: &'static Type = &Type::Tuple(&[T::TYPE; N]);
}
