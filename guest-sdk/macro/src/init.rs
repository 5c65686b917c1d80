//! What `#[init]` makes of a function.
//!
//! Owns: the checks, in the author's words and at the author's span, and the function that gives what was made. Does not know: when the
//! initialiser is called (`wasmill-sdk`, and the host by Wizer's convention).

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, ItemFn, ReturnType, Safety, Type};

use crate::expand::first_argument;

/// A function of the same name that gives a reference to what the written one made, or a compile error behind the function as written.
pub(crate) fn init(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        let message = "`#[init]` goes on a function: `fn model() -> Model`";
        let error = Error::new_spanned(item, message).into_compile_error();
        return quote!(#item #error);
    };
    match check(attribute, &function) {
        Ok(made) => expand(&function, made),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#function #error)
        }
    }
}

/// The type that is made, or every rule that the function breaks.
fn check<'a>(attribute: &TokenStream, function: &'a ItemFn) -> Result<&'a Type, Error> {
    let signature = &function.sig;
    let mut errors = Vec::new();
    let mut refuse = |tokens: TokenStream, message: &str| errors.push(Error::new_spanned(tokens, message));
    if !attribute.is_empty() {
        refuse(attribute.clone(), "`#[init]` takes no arguments");
    }
    if let Some(token) = &signature.asyncness {
        refuse(token.to_token_stream(), "an initialiser cannot be async: nothing else runs meanwhile");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        refuse(token.to_token_stream(), "an initialiser cannot be unsafe: it is called before any job");
    }
    if let Some(abi) = &signature.abi {
        refuse(abi.to_token_stream(), "an initialiser is a plain Rust function, without `extern`");
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        refuse(signature.generics.to_token_stream(), "an initialiser cannot be generic: it is called once");
    }
    if !signature.inputs.is_empty() {
        let message = "an initialiser takes nothing: it runs once for all jobs, before there is any input";
        refuse(signature.inputs.to_token_stream(), message);
    }
    let made = match &signature.output {
        ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)) => {
            refuse(ty.to_token_stream(), "what an initialiser makes is one named type, not `impl Trait`");
            None
        }
        ReturnType::Type(_, ty) => Some(&**ty),
        ReturnType::Default => {
            let message = "an initialiser makes something that jobs use: `fn model() -> Model`";
            refuse(signature.ident.to_token_stream(), message);
            None
        }
    };
    let combine = |mut one: Error, other| {
        one.combine(other);
        one
    };
    match (made, errors.into_iter().reduce(combine)) {
        (Some(made), None) => Ok(made),
        (_, Some(error)) => Err(error),
        (None, None) => Err(Error::new_spanned(&signature.ident, "it makes nothing")),
    }
}

fn expand(function: &ItemFn, returned: &Type) -> TokenStream {
    let ItemFn { attrs, vis, sig, .. } = function;
    let ident = &sig.ident;
    let cfgs: Vec<_> = attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let documented = attrs.iter().filter(|attribute| !attribute.path().is_ident("cfg"));
    let mut written = function.clone();
    written.attrs.clear();
    written.vis = syn::Visibility::Inherited;
    let (made, make) = match first_argument(returned, "Result") {
        Some(value) => (value, quote_spanned!(returned.span()=> ::wasmill_sdk::__private::or_panic(#ident()))),
        None => (returned.clone(), quote!(#ident())),
    };
    quote! {
        #(#cfgs)*
        #(#documented)*
        #vis fn #ident() -> &'static #made {
            #written
            ::std::thread_local! {
                static MADE: ::core::cell::Cell<::core::option::Option<&'static #made>> =
                    const { ::core::cell::Cell::new(::core::option::Option::None) };
            }
            MADE.with(|cell| match cell.get() {
                ::core::option::Option::Some(made) => made,
                ::core::option::Option::None => {
                    let made: &'static #made = ::std::boxed::Box::leak(::std::boxed::Box::new(#make));
                    cell.set(::core::option::Option::Some(made));
                    made
                }
            })
        }

        #(#cfgs)*
        #[cfg(all(target_family = "wasm", target_env = "p1"))]
        const _: () = {
            #[unsafe(export_name = "wizer-initialize")]
            extern "C" fn initialise() {
                ::wasmill_sdk::__private::initialise(|| {
                    #ident();
                });
            }
        };
    }
}
