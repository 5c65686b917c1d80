//! The attributes `#[job]` and `#[init]` and the derives `Schema` and `Outputs` of the guest SDK.
//!
//! Owns: which functions may be jobs or initialisers, the messages for those that may not, the code that
//! registers one, and how a type is described.
//! Does not know: how a registered job is found and called (`wasmill-sdk`), or anything about WASI.
//! Not to be used directly: it comes with `wasmill_sdk::prelude`.

mod expand;
mod init;
mod outputs;
mod schema;

use proc_macro::TokenStream;

/// Makes a function a job of this module, under the function's name.
///
/// The function stays what it was and can be called as before. Each of its parameters is given by the plan under the parameter's
/// name (`serde::Deserialize`): mounted at `/in/NAME`, or as a field of `input`. It returns a value that becomes the job's result
/// (`serde::Serialize`), `()` for none, or a `Result` of either whose error turns into a
/// `Box<dyn std::error::Error>`. The first line of its doc comment is shown where the module lists its jobs.
#[proc_macro_attribute]
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::job(&attribute.into(), &item.into()).into()
}

/// Makes a function the initialiser of this module: what it makes is made once, when the module is prepared, and every job starts with it
/// there.
///
/// `#[init] fn model() -> Model` becomes a function `model() -> &'static Model`. It runs before there is a job: it can use what is in the
/// program itself (`include_bytes!`), and has no files, arguments, environment or streams. A `Result` gives its value; with an error,
/// or a panic, the module cannot be used, and wasmill says why. A module has one initialiser. Where it does not run beforehand (in
/// tests, under other runtimes), the first call of `model()` makes the model.
#[proc_macro_attribute]
pub fn init(attribute: TokenStream, item: TokenStream) -> TokenStream {
    init::init(&attribute.into(), &item.into()).into()
}

/// Makes a struct with named fields several results of a job: each field is one, under its name, and has a `Schema` or goes unchecked. A
/// plan names one as `{ job = "split", path = "train" }`; a job that returns a plan, as `split_later(…).train()`, by the trait
/// `SplitLater` that this makes for a struct `Split`.
#[proc_macro_derive(Outputs)]
pub fn outputs(item: TokenStream) -> TokenStream {
    outputs::derive(&item.into()).into()
}

/// Describes a type, so that plans can be checked before a job runs: a struct or an enum whose parts have a `Schema` too, or have not
/// and then go unchecked.
///
/// serde's attributes are followed: `rename`, `rename_all`, `default`, `skip…`, `transparent`. A field or a type with any other is not
/// described further, nor is one with `#[schema(opaque)]`: of types that are parts of each other, one has to have that (a type that is
/// a part of itself needs nothing).
#[proc_macro_derive(Schema, attributes(serde, schema))]
pub fn schema(item: TokenStream) -> TokenStream {
    schema::derive(&item.into()).into()
}
