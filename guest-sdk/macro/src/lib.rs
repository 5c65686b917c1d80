//! The `#[job]` attribute of the guest SDK.
//!
//! Owns: which functions may be jobs, the messages for those that may not, and the code that registers one.
//! Does not know: how a registered job is found and called (`wasmill-sdk`), or anything about WASI.
//! Not to be used directly: it comes with `wasmill_sdk::prelude`.

mod expand;

use proc_macro::TokenStream;

/// Makes a function a job of this module, under the function's name.
///
/// The function stays what it was and can be called as before. It takes one parameter, which is read from the
/// job's input value (`serde::Deserialize`), or none. It returns a value that becomes the job's result
/// (`serde::Serialize`), `()` for none, or a `Result` of either whose error turns into a
/// `Box<dyn std::error::Error>`. The first line of its doc comment is shown where the module lists its jobs.
#[proc_macro_attribute]
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::job(&attribute.into(), &item.into()).into()
}
