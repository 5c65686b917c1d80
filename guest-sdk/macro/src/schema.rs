//! What `#[derive(Schema)]` says of a type.
//!
//! Owns: reading a type's fields and serde's attributes. Does not know: what the fields' types are made of.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Ident, Lit, Meta, Token, Type, Variant};

/// The implementation of the trait, or a compile error.
pub(crate) fn derive(item: &TokenStream) -> TokenStream {
    syn::parse2::<DeriveInput>(item.clone())
        .and_then(|input| implement(&input))
        .unwrap_or_else(Error::into_compile_error)
}

fn implement(input: &DeriveInput) -> Result<TokenStream, Error> {
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(::wasmill_sdk::Schema));
    }
    let (implementation, types, clause) = generics.split_for_impl();
    let attributes = Attributes::of(&input.attrs)?;
    let name = attributes.rename.clone().unwrap_or_else(|| ident.unraw().to_string());
    let ty = match &input.data {
        _ if attributes.is_opaque => quote!(&interface::Type::Any(#name)),
        Data::Struct(data) => {
            structure(ident, &name, &data.fields, attributes.rename_all.as_deref(), attributes.is_transparent)?
        }
        Data::Enum(data) => enumeration(ident, &name, &data.variants, attributes.rename_all.as_deref())?,
        Data::Union(data) => {
            return Err(Error::new(data.union_token.span(), "a union has no `Schema`: serde cannot write it"));
        }
    };
    Ok(quote! {
        const _: () = {
            use ::wasmill_sdk::__private::{Undescribed as _, interface};
            impl #implementation ::wasmill_sdk::Schema for #ident #types #clause {
                const TYPE: &'static interface::Type = #ty;
            }
        };
    })
}

/// What serde makes of the fields of a struct or of a variant.
fn structure(
    ident: &Ident,
    name: &str,
    fields: &Fields,
    rename_all: Option<&str>,
    is_transparent: bool,
) -> Result<TokenStream, Error> {
    match fields {
        Fields::Unit => Ok(quote!(&interface::Type::Unit)),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            fields.unnamed.first().map_or(Ok(quote!()), |field| described(ident, field))
        }
        Fields::Unnamed(fields) => {
            let parts = fields.unnamed.iter().map(|field| described(ident, field)).collect::<Result<Vec<_>, _>>()?;
            Ok(quote!(&interface::Type::Tuple(&[#(#parts),*])))
        }
        Fields::Named(fields) => {
            let mut all = Vec::new();
            for field in &fields.named {
                let attributes = Attributes::of(&field.attrs)?;
                if attributes.is_skipped {
                    continue;
                }
                let own = field.ident.as_ref().map(|ident| ident.unraw().to_string()).unwrap_or_default();
                let written = attributes.rename.clone().unwrap_or_else(|| renamed(&own, rename_all, Case::Field));
                let ty = described(ident, field)?;
                if is_transparent {
                    return Ok(ty);
                }
                // What others put in its place has names that are not known here.
                if attributes.is_flattened {
                    return Ok(quote!(&interface::Type::Any(#name)));
                }
                let is_optional = attributes.is_optional || is_option(&field.ty);
                all.push(quote!(interface::Field { name: #written, ty: #ty, is_optional: #is_optional }));
            }
            Ok(quote!(&interface::Type::Struct { name: #name, fields: &[#(#all),*] }))
        }
    }
}

fn enumeration(
    ident: &Ident,
    name: &str,
    variants: &Punctuated<Variant, Token![,]>,
    rename_all: Option<&str>,
) -> Result<TokenStream, Error> {
    let mut all = Vec::new();
    for variant in variants {
        let attributes = Attributes::of(&variant.attrs)?;
        if attributes.is_skipped {
            continue;
        }
        let own = variant.ident.unraw().to_string();
        let written = attributes.rename.clone().unwrap_or_else(|| renamed(&own, rename_all, Case::Variant));
        let ty = if attributes.is_opaque {
            quote!(&interface::Type::Any(#own))
        } else {
            structure(ident, &own, &variant.fields, attributes.rename_all.as_deref(), false)?
        };
        all.push(quote!(interface::Field { name: #written, ty: #ty, is_optional: false }));
    }
    Ok(quote!(&interface::Type::Enum { name: #name, variants: &[#(#all),*] }))
}

/// A field's type. A type that is a part of itself is named there: its description would have no end.
fn described(ident: &Ident, field: &Field) -> Result<TokenStream, Error> {
    let ty = &field.ty;
    let name = ty.to_token_stream().to_string().replace(' ', "");
    if Attributes::of(&field.attrs)?.is_opaque {
        return Ok(quote!(&interface::Type::Any(#name)));
    }
    if mentions(ty, ident) {
        let whole = ident.unraw().to_string();
        return Ok(quote!(&interface::Type::Within(#whole)));
    }
    Ok(quote! {
        ::wasmill_sdk::__private::type_or_name(
            ::wasmill_sdk::__private::Described::<#ty>::TYPE,
            &interface::Type::Any(#name),
        )
    })
}

fn mentions(ty: &Type, ident: &Ident) -> bool {
    fn any(tokens: TokenStream, ident: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(found) => found == *ident || found == "Self",
            proc_macro2::TokenTree::Group(group) => any(group.stream(), ident),
            _ => false,
        })
    }
    any(ty.to_token_stream(), ident)
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Option"))
}

/// What serde's attributes say, as far as it decides what is written.
#[derive(Default)]
struct Attributes {
    rename: Option<String>,
    rename_all: Option<String>,
    is_skipped: bool,
    is_optional: bool,
    is_flattened: bool,
    is_transparent: bool,
    /// Something decides that is not understood here.
    is_opaque: bool,
}

impl Attributes {
    fn of(attributes: &[Attribute]) -> Result<Self, Error> {
        let mut all = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
                all.read(&meta);
            }
        }
        Ok(all)
    }

    fn read(&mut self, meta: &Meta) {
        let word = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
        match (word.as_str(), text(meta)) {
            ("rename", Some(name)) => self.rename = Some(name),
            ("rename_all", Some(rule)) => self.rename_all = Some(rule),
            ("skip" | "skip_serializing" | "skip_deserializing", _) => self.is_skipped = true,
            ("default" | "skip_serializing_if", _) => self.is_optional = true,
            ("flatten", _) => self.is_flattened = true,
            ("transparent", _) => self.is_transparent = true,
            // These change what is accepted, not what is written.
            ("deny_unknown_fields" | "alias" | "bound" | "crate" | "borrow" | "expecting", _) => {}
            _ => self.is_opaque = true,
        }
    }
}

fn text(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// How a name is written in the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    /// `like_this`
    Field,
    /// `LikeThis`
    Variant,
}

/// A name under serde's `rename_all`.
fn renamed(name: &str, rule: Option<&str>, case: Case) -> String {
    let Some(rule) = rule else { return name.to_owned() };
    let words: Vec<String> = match case {
        Case::Field => name.split('_').map(str::to_owned).collect(),
        Case::Variant => {
            let mut words = Vec::<String>::new();
            for letter in name.chars() {
                match words.last_mut() {
                    Some(word) if !letter.is_uppercase() => word.push(letter),
                    _ => words.push(letter.to_lowercase().to_string()),
                }
            }
            words
        }
    };
    let capital = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => word.to_owned(),
    };
    match rule {
        "lowercase" if case == Case::Variant => name.to_ascii_lowercase(),
        "UPPERCASE" => name.to_ascii_uppercase(),
        "snake_case" => words.join("_"),
        "SCREAMING_SNAKE_CASE" => words.join("_").to_ascii_uppercase(),
        "kebab-case" => words.join("-"),
        "SCREAMING-KEBAB-CASE" => words.join("-").to_ascii_uppercase(),
        "PascalCase" => words.iter().map(|word| capital(word)).collect(),
        "camelCase" => {
            let pascal: String = words.iter().map(|word| capital(word)).collect();
            pascal.split_at_checked(1).map_or_else(String::new, |(first, rest)| first.to_ascii_lowercase() + rest)
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_serde_writes() {
        for (rule, field, variant) in [
            ("lowercase", "two_words", "twowords"),
            ("UPPERCASE", "TWO_WORDS", "TWOWORDS"),
            ("snake_case", "two_words", "two_words"),
            ("SCREAMING_SNAKE_CASE", "TWO_WORDS", "TWO_WORDS"),
            ("kebab-case", "two-words", "two-words"),
            ("SCREAMING-KEBAB-CASE", "TWO-WORDS", "TWO-WORDS"),
            ("PascalCase", "TwoWords", "TwoWords"),
            ("camelCase", "twoWords", "twoWords"),
        ] {
            assert_eq!(renamed("two_words", Some(rule), Case::Field), field, "{rule}");
            assert_eq!(renamed("TwoWords", Some(rule), Case::Variant), variant, "{rule}");
        }
    }

    #[test]
    fn what_is_not_understood_is_opaque() {
        let tokens: TokenStream = "#[serde(tag = \"kind\")] enum E { A }".parse().expect("tokens");
        assert!(derive(&tokens).to_string().contains("Any (\"E\")"));
        let tokens: TokenStream = "struct S { #[serde(flatten)] rest: Rest }".parse().expect("tokens");
        assert!(derive(&tokens).to_string().contains("Any (\"S\")"));
    }

    #[test]
    fn a_type_that_is_a_part_of_itself_comes_to_an_end() {
        let tokens: TokenStream = "struct Node { children: Vec<Node> }".parse().expect("tokens");
        assert!(derive(&tokens).to_string().contains("Within (\"Node\")"));
    }
}
