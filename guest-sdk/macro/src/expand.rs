//! What `#[job]` makes of a function.
//!
//! Owns: the checks, in the author's words and at the author's span, and the registration. Does not know: what
//! the types are; that an input can be read and a result written is for the compiler to find, at their spans.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Ident, ItemFn, Lit, Meta, Pat, PatIdent, PatType,
    PathArguments, ReturnType, Safety, Type,
};

/// The function as written, and behind it its registration or a compile error for every rule that it breaks.
pub(crate) fn job(attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        let message = "`#[job]` goes on a function: `fn name(input: Input) -> Output`";
        let error = Error::new_spanned(item, message).into_compile_error();
        // The item is given back, so that one mistake is not followed by an "unresolved name" at each use.
        return quote!(#item #error);
    };
    let registration = match check(attribute, &function) {
        Ok(()) => register(&function),
        Err(error) => error.into_compile_error(),
    };
    quote! {
        #function
        #registration
    }
}

/// Finds every rule that the function breaks.
fn check(attribute: &TokenStream, function: &ItemFn) -> Result<(), Error> {
    let mut errors: Option<Error> = None;
    let mut refuse = |tokens: &dyn ToTokens, message: &str| {
        let error = Error::new_spanned(tokens.to_token_stream(), message);
        match &mut errors {
            Some(errors) => errors.combine(error),
            None => errors = Some(error),
        }
    };
    let signature = &function.sig;
    if !attribute.is_empty() {
        refuse(attribute, "`#[job]` takes no arguments: a job has the name of its function");
    }
    if let Some(token) = &signature.asyncness {
        refuse(token, "a job cannot be async: it has a sandbox to itself, so blocking costs nothing");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        refuse(token, "a job cannot be unsafe: it is called with whatever input arrives");
    }
    if let Some(abi) = &signature.abi {
        refuse(abi, "a job is a plain Rust function, without `extern`");
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        let (parameters, clause) = (&signature.generics, &signature.generics.where_clause);
        let message = "a job cannot be generic: its input is read as one type; call a generic function from the job";
        refuse(&quote!(#parameters #clause), message);
    }
    for argument in &signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => {
                refuse(receiver, "a job is a free function: it cannot take `self`");
            }
            FnArg::Typed(typed) => {
                if name_of(&typed.pat).is_none() {
                    let message = "a job's parameter has one name, under which a plan gives its value: take the value apart in the job";
                    refuse(&typed.pat, message);
                }
                match &*typed.ty {
                    Type::Reference(_) => refuse(&typed.ty, "a job owns its input: take the value, not a reference"),
                    Type::ImplTrait(_) => refuse(&typed.ty, "a job's input is one named type, not `impl Trait`"),
                    _ => {}
                }
            }
        }
    }
    match &signature.output {
        ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)) => {
            refuse(ty, "a job's result is one named type, not `impl Trait`: others take it by its description");
        }
        _ => {}
    }
    errors.map_or(Ok(()), Err)
}

/// The name of a parameter, if it has just one.
fn name_of(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => Some(ident),
        _ => None,
    }
}

/// The registration, a call of the function between what it is given and its result as JSON; and its description.
///
/// The parts that depend on the author's types carry the spans of those types, so that a missing `Deserialize`
/// or `Serialize` is reported there.
fn register(function: &ItemFn) -> TokenStream {
    let ident = &function.sig.ident;
    let name = ident.unraw().to_string();
    let about = first_doc_line(&function.attrs);
    let cfgs: Vec<_> = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let (mut takes, mut values, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
    for (index, argument) in function.sig.inputs.iter().enumerate() {
        let FnArg::Typed(PatType { pat, ty, .. }) = argument else { continue };
        let Some(parameter) = name_of(pat).map(|ident| ident.unraw().to_string()) else { continue };
        let value = format_ident!("__wasmill_value_{index}");
        let take = quote_spanned!(ty.span()=> __wasmill_inputs.take::<#ty>);
        takes.push(quote!(let #value = #take(#parameter)?;));
        let known = described(ty);
        let is_optional = is_option(ty);
        parameters.push(quote!(::wasmill_sdk::__private::interface::Field { name: #parameter, ty: #known, is_optional: #is_optional }));
        values.push(value);
    }
    let (returned, returns) = match &function.sig.output {
        ReturnType::Type(_, ty) => (ty.span(), described(ty)),
        ReturnType::Default => (ident.span(), quote!(&::wasmill_sdk::__private::interface::Type::Unit)),
    };
    // `kind` is a method of the reference's referent for a `Result` and of the reference itself for all else:
    // the compiler picks the first that fits, and sees through type aliases, which a macro cannot.
    let value = quote_spanned!(returned=> (&__wasmill_returned).kind().value(__wasmill_returned)?);
    // Likewise for what is several results: it need not have a form as one.
    let finish = quote_spanned!(returned=> (&__wasmill_value).form().finish(__wasmill_value));
    let is_mut = if values.is_empty() { quote!() } else { quote!(mut) };
    let (later, trial) = (later(function), trial(function));
    quote! {
        #later
        #trial
        #(#cfgs)*
        const _: () = {
            use ::wasmill_sdk::__private::{AnyReturned as _, OneResult as _, ResultReturned as _, SeveralResults as _, Undescribed as _};
            ::wasmill_sdk::__private::inventory::submit! {
                ::wasmill_sdk::__private::Job {
                    name: #name,
                    about: #about,
                    #[cfg_attr(all(), allow(deprecated))]
                    run: |#is_mut __wasmill_inputs| {
                        #(#takes)*
                        __wasmill_inputs.finish()?;
                        let __wasmill_returned = #ident(#(#values),*);
                        let __wasmill_value = #value;
                        #finish
                    },
                }
            }
            const __WASMILL_JOB: &::wasmill_sdk::__private::interface::Job = &::wasmill_sdk::__private::interface::Job {
                name: #name,
                module: ::core::module_path!(),
                about: #about,
                parameters: &[#(#parameters),*],
                returns: #returns,
            };
            ::wasmill_sdk::__describe!(job_line, __WASMILL_JOB);
        };
    }
}

/// The function that puts a call of the job off: `NAME_later(…)`.
fn later(function: &ItemFn) -> TokenStream {
    let (ident, vis) = (&function.sig.ident, &function.vis);
    let name = ident.unraw().to_string();
    let later = Ident::new(&format!("{name}_later"), ident.span());
    let cfgs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let typed = function.sig.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(PatType { pat, ty, .. }) => Some((name_of(pat)?, ty)),
        FnArg::Receiver(_) => None,
    });
    let (mut parameters, mut given) = (Vec::new(), Vec::new());
    for (parameter, ty) in typed {
        let written = parameter.unraw().to_string();
        parameters.push(quote!(#parameter: impl ::wasmill_sdk::Give<#ty>));
        given.push(quote!((#written, ::wasmill_sdk::Give::<#ty>::give(#parameter))));
    }
    let (result, is_plan) = result_of(&function.sig.output);
    let about = format!("A call of the job `{name}`, for a plan that a job returns.");
    quote! {
        #(#cfgs)*
        #[doc = #about]
        // Most jobs are called by a plan only.
        #[cfg_attr(all(), allow(dead_code))]
        #vis fn #later(#(#parameters),*) -> ::wasmill_sdk::Later<#result> {
            ::wasmill_sdk::Later::new(#name, #is_plan, ::std::vec![#(#given),*])
        }
    }
}

/// The function that tries the job in a test: `NAME_trial()`.
fn trial(function: &ItemFn) -> TokenStream {
    let (ident, vis) = (&function.sig.ident, &function.vis);
    let name = ident.unraw().to_string();
    let trial = Ident::new(&format!("{name}_trial"), ident.span());
    let cfgs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let parameters = function.sig.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(PatType { pat, .. }) => name_of(pat).map(|name| name.unraw().to_string()),
        FnArg::Receiver(_) => None,
    });
    let about = format!("A call of the job `{name}` as wasmill makes it, for tests: with inputs from memory.");
    quote! {
        #(#cfgs)*
        #[cfg(not(target_family = "wasm"))]
        #[doc = #about]
        // Tests may call the function itself.
        #[cfg_attr(all(), allow(dead_code))]
        #[track_caller]
        #vis fn #trial() -> ::wasmill_sdk::Trial {
            ::wasmill_sdk::Trial::new(#name, &[#(#parameters),*])
        }
    }
}

/// What a job gives in the end, as far as it is written: a `Result` gives its value, and a plan its result.
fn result_of(output: &ReturnType) -> (Type, bool) {
    let ReturnType::Type(_, ty) = output else { return (syn::parse_quote!(()), false) };
    let value = first_argument(ty, "Result").unwrap_or_else(|| (**ty).clone());
    match first_argument(&value, "Plan") {
        Some(result) => (result, true),
        None => (value, false),
    }
}

/// `T` of `Name<T, …>`.
pub(crate) fn first_argument(ty: &Type, name: &str) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}

/// A type's description, or its name where it has none.
pub(crate) fn described(ty: &Type) -> TokenStream {
    let name = ty.to_token_stream().to_string().replace(' ', "");
    quote! {
        ::wasmill_sdk::__private::type_or_name(
            ::wasmill_sdk::__private::Described::<#ty>::TYPE,
            &::wasmill_sdk::__private::interface::Type::Any(#name),
        )
    }
}

/// Whether a type is written as an `Option`, or as nothing.
fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Option"),
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        _ => false,
    }
}

/// The first line of the doc comment that says something, or nothing.
fn first_doc_line(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).find(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(item: &str) -> String {
        job(&TokenStream::new(), &item.parse().expect("tokens")).to_string()
    }

    #[test]
    fn a_function_is_kept_as_written_and_registered_under_its_name() {
        let item = "/// Looks.\n fn r#match(input: u8) -> u8 { input }";
        let tokens: TokenStream = item.parse().expect("tokens");
        let expanded = expanded(item);
        assert!(expanded.contains(&tokens.to_string()), "{expanded}");
        assert!(expanded.contains("name : \"match\" , about : \"Looks.\""), "{expanded}");
    }

    #[test]
    fn every_broken_rule_is_reported_at_once() {
        let expanded = expanded("async fn f<T>(self, a: &T, (b, c): (u8, u8)) {}");
        for rule in ["async", "generic", "`self`", "has one name"] {
            assert!(expanded.contains(rule), "{rule} is not in {expanded}");
        }
        assert!(!expanded.contains("submit"), "{expanded}");
    }

    #[test]
    fn what_is_not_a_function_is_given_back_with_the_error() {
        let expanded = expanded("struct Scan;");
        assert!(expanded.starts_with("struct Scan ;"), "{expanded}");
        assert!(expanded.contains("goes on a function"), "{expanded}");
    }
}
