//! What `#[derive(Outputs)]` makes of a struct.
//!
//! Owns: which structs may be several results of a job, and the code that gives them one by one. Does not know: how a result is written.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Data, DataStruct, DeriveInput, Error, Fields};

use crate::expand::described;

/// What `Later` has for itself: a result of that name could not be had of it.
const TAKEN: [&str; 5] = ["clone", "dir", "new", "output", "path"];

/// The implementation of the trait, or a compile error.
pub(crate) fn derive(item: &TokenStream) -> TokenStream {
    syn::parse2::<DeriveInput>(item.clone())
        .and_then(|input| implement(&input))
        .unwrap_or_else(Error::into_compile_error)
}

fn implement(input: &DeriveInput) -> Result<TokenStream, Error> {
    let DeriveInput { ident, vis, generics, .. } = input;
    let refuse = |message: &str| Err(Error::new(ident.span(), message));
    if !generics.params.is_empty() {
        return Err(Error::new_spanned(generics, "a type with `Outputs` cannot be generic: a job returns it"));
    }
    let Data::Struct(DataStruct { fields: Fields::Named(fields), .. }) = &input.data else {
        return refuse("`Outputs` is for a struct with named fields: each is a result of its own");
    };
    if fields.named.is_empty() {
        return refuse("`Outputs` has at least one field: each is a result of its own");
    }
    let name = ident.unraw().to_string();
    let (mut written, mut laters, mut signatures, mut described_all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(own) = &field.ident else { continue };
        let (ty, output) = (&field.ty, own.unraw().to_string());
        if TAKEN.contains(&output.as_str()) {
            let message =
                format!("a result cannot be called `{output}`: a `Later` of the job has a method of that name");
            return Err(Error::new(own.span(), message));
        }
        let to_vec = quote_spanned!(ty.span()=> ::wasmill_sdk::__private::to_json);
        written.push(quote!((#output, #to_vec(&self.#own))));
        let about = format!("The result `{output}` of the job.");
        signatures.push(quote! {
            #[doc = #about]
            fn #own(&self) -> ::wasmill_sdk::Later<#ty>;
        });
        laters.push(quote! {
            fn #own(&self) -> ::wasmill_sdk::Later<#ty> {
                self.output(#output)
            }
        });
        let known = described(ty);
        described_all.push(quote! {
            ::wasmill_sdk::__private::interface::Field { name: #output, ty: #known, is_optional: false }
        });
    }
    let later = format_ident!("{name}Later");
    let about = format!("The results of a job that returns a [`{name}`], one by one, for a plan that a job returns.");
    Ok(quote! {
        #[doc = #about]
        // Most jobs are called by a plan only.
        #[cfg_attr(all(), allow(dead_code, private_interfaces))]
        #vis trait #later {
            #(#signatures)*
        }

        impl #later for ::wasmill_sdk::Later<#ident> {
            #(#laters)*
        }

        const _: () = {
            use ::wasmill_sdk::__private::Undescribed as _;

            impl ::wasmill_sdk::Outputs for #ident {
                fn outputs(self) -> ::std::vec::Vec<::wasmill_sdk::__private::Output> {
                    ::std::vec![#(#written),*]
                }
            }

            impl ::wasmill_sdk::Schema for #ident {
                const TYPE: &'static ::wasmill_sdk::__private::interface::Type =
                    &::wasmill_sdk::__private::interface::Type::Outputs { name: #name, fields: &[#(#described_all),*] };
            }
        };
    })
}
