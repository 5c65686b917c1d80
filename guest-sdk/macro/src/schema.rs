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
        _ if attributes.is_opaque || parts_are_opaque(&input.data)? => {
            quote!(&::wasmill_sdk::__private::interface::Type::Any(#name))
        }
        Data::Struct(data) => structure(ident, &name, &data.fields, &attributes)?,
        Data::Enum(data) => enumeration(ident, &name, &data.variants, attributes.rename_all.as_deref())?,
        Data::Union(data) => {
            return Err(Error::new(data.union_token.span(), "a union has no `Schema`: serde cannot write it"));
        }
    };
    Ok(quote! {
        const _: () = {
            use ::wasmill_sdk::__private::Undescribed as _;
            impl #implementation ::wasmill_sdk::Schema for #ident #types #clause {
                const TYPE: &'static ::wasmill_sdk::__private::interface::Type = #ty;
            }
        };
    })
}

/// Whether serde writes or reads names that are not known from the fields and variants as they are.
fn parts_are_opaque(data: &Data) -> Result<bool, Error> {
    let mut attributes: Vec<Attributes> = Vec::new();
    match data {
        Data::Struct(data) => {
            attributes
                .extend(data.fields.iter().map(|field| Attributes::of(&field.attrs)).collect::<Result<Vec<_>, _>>()?);
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                attributes.push(Attributes::of(&variant.attrs)?);
                for field in &variant.fields {
                    attributes.push(Attributes::of(&field.attrs)?);
                }
            }
        }
        Data::Union(_) => {}
    }
    Ok(attributes.iter().any(|attributes| attributes.has_other_names))
}

/// What serde makes of the fields of a struct or of a variant.
fn structure(ident: &Ident, name: &str, fields: &Fields, container: &Attributes) -> Result<TokenStream, Error> {
    let written: Vec<(&Field, Attributes)> = fields
        .iter()
        .map(|field| Ok((field, Attributes::of(&field.attrs)?)))
        .filter(|field| field.as_ref().is_ok_and(|(_, attributes)| !attributes.is_skipped) || field.is_err())
        .collect::<Result<_, Error>>()?;
    if container.is_transparent || (matches!(fields, Fields::Unnamed(_)) && fields.len() == 1) {
        let only = written.iter().find(|(field, _)| !is_named(&field.ty, "PhantomData"));
        return only.map_or_else(|| Ok(unit()), |(field, _)| described(ident, field));
    }
    match fields {
        Fields::Unit => Ok(unit()),
        Fields::Unnamed(_) => {
            let parts = written.iter().map(|(field, _)| described(ident, field)).collect::<Result<Vec<_>, _>>()?;
            Ok(quote!(&::wasmill_sdk::__private::interface::Type::Tuple(&[#(#parts),*])))
        }
        Fields::Named(_) => {
            let mut all = Vec::new();
            for (field, attributes) in written {
                let own = field.ident.as_ref().map(|ident| ident.unraw().to_string()).unwrap_or_default();
                let rule = container.rename_all.as_deref();
                let written = attributes.rename.clone().unwrap_or_else(|| renamed(&own, rule, Case::Field));
                let ty = described(ident, field)?;
                let is_optional = attributes.is_optional || container.is_optional || is_named(&field.ty, "Option");
                all.push(quote! {
                    ::wasmill_sdk::__private::interface::Field { name: #written, ty: #ty, is_optional: #is_optional }
                });
            }
            Ok(quote!(&::wasmill_sdk::__private::interface::Type::Struct { name: #name, fields: &[#(#all),*] }))
        }
    }
}

fn unit() -> TokenStream {
    quote!(&::wasmill_sdk::__private::interface::Type::Unit)
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
            quote!(&::wasmill_sdk::__private::interface::Type::Any(#own))
        } else {
            structure(ident, &own, &variant.fields, &attributes)?
        };
        all.push(quote!(::wasmill_sdk::__private::interface::Field { name: #written, ty: #ty, is_optional: false }));
    }
    Ok(quote!(&::wasmill_sdk::__private::interface::Type::Enum { name: #name, variants: &[#(#all),*] }))
}

/// A field's type. A type that is a part of itself is named there: its description would have no end.
fn described(ident: &Ident, field: &Field) -> Result<TokenStream, Error> {
    let ty = &field.ty;
    let name = ty.to_token_stream().to_string().replace(' ', "");
    if Attributes::of(&field.attrs)?.is_opaque {
        return Ok(quote!(&::wasmill_sdk::__private::interface::Type::Any(#name)));
    }
    if mentions(ty, ident) {
        let whole = ident.unraw().to_string();
        return Ok(quote!(&::wasmill_sdk::__private::interface::Type::Within(#whole)));
    }
    Ok(quote! {
        ::wasmill_sdk::__private::type_or_name(
            ::wasmill_sdk::__private::Described::<#ty>::TYPE,
            &::wasmill_sdk::__private::interface::Type::Any(#name),
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

fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == name))
}

/// What serde's attributes say, as far as it decides what is written.
#[derive(Default)]
struct Attributes {
    rename: Option<String>,
    rename_all: Option<String>,
    is_skipped: bool,
    is_optional: bool,
    is_transparent: bool,
    /// What it is written or read as is not, or not only, its own name.
    has_other_names: bool,
    /// Something decides that is not understood here.
    is_opaque: bool,
}

impl Attributes {
    fn of(attributes: &[Attribute]) -> Result<Self, Error> {
        let mut all = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("schema") {
                let asked = attribute.parse_args::<Ident>()?;
                if asked != "opaque" {
                    return Err(Error::new(
                        asked.span(),
                        "the only `schema` attribute is `opaque`: not described further",
                    ));
                }
                all.is_opaque = true;
            }
            if !attribute.path().is_ident("serde") {
                continue;
            }
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
            ("rename" | "rename_all" | "alias" | "flatten" | "other" | "untagged", None) | ("alias", _) => {
                self.has_other_names = true;
                self.is_opaque = true;
            }
            ("skip", _) => self.is_skipped = true,
            ("default" | "skip_serializing_if" | "skip_serializing" | "skip_deserializing", _) => {
                self.is_optional = true;
            }
            ("transparent", _) => self.is_transparent = true,
            // These change what is accepted, not what is written.
            ("deny_unknown_fields" | "bound" | "crate" | "borrow" | "expecting", _) => {}
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
        for opaque in [
            "struct S { #[serde(flatten)] rest: Rest }",
            "struct S { #[serde(alias = \"colour\")] color: u8 }",
            "struct S { #[serde(rename(serialize = \"a\", deserialize = \"b\"))] color: u8 }",
            "enum S { A, #[serde(other)] B }",
            "enum S { A, #[serde(untagged)] B(u8) }",
            "#[schema(opaque)] struct S { a: u8 }",
        ] {
            let tokens: TokenStream = opaque.parse().expect("tokens");
            let derived = derive(&tokens).to_string();
            assert!(derived.contains("Any (\"S\")"), "{opaque}: {derived}");
        }
    }

    #[test]
    fn fields_that_may_be_missing_are_optional() {
        let derived = |text: &str| derive(&text.parse().expect("tokens")).to_string();
        assert_eq!(derived("#[serde(default)] struct S { a: u8, b: u8 }").matches("is_optional : true").count(), 2);
        assert_eq!(
            derived("struct S { #[serde(skip_deserializing)] a: u8, b: u8 }").matches("is_optional : true").count(),
            1
        );
        assert!(!derived("struct S(u8, #[serde(skip)] u16);").contains("u16"));
        assert!(derived("#[serde(transparent)] struct S<T>(u8, PhantomData<T>);").contains("Described :: < u8 >"));
    }

    #[test]
    fn a_type_that_is_a_part_of_itself_comes_to_an_end() {
        let tokens: TokenStream = "struct Node { children: Vec<Node> }".parse().expect("tokens");
        assert!(derive(&tokens).to_string().contains("Within (\"Node\")"));
    }
}
