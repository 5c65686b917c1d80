//! Counting on the syntax tree of Rust source.
//!
//! Owns: what counts as a function, an impl, and each kind of `unsafe`. Does not know: macros; what stands in
//! the arguments or the definition of a macro is no syntax tree yet and is not counted.

use proc_macro2::TokenStream;
use serde::{Deserialize, Serialize};
use syn::visit::{self, Visit};
use wasmill_sdk::Schema;

use crate::nesting;

/// Counts over some Rust files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Syntax {
    /// Functions and methods, with those of traits and `extern` blocks.
    pub functions: u64,
    /// `impl` blocks.
    pub impls: u64,
    /// `unsafe { … }`.
    pub unsafe_blocks: u64,
    /// Functions declared `unsafe`, methods among them.
    pub unsafe_functions: u64,
    /// `unsafe impl`.
    pub unsafe_impls: u64,
    /// `unsafe trait`.
    pub unsafe_traits: u64,
}

impl Syntax {
    /// Adds another count to this one.
    pub fn add(&mut self, other: &Syntax) {
        self.functions += other.functions;
        self.impls += other.impls;
        self.unsafe_blocks += other.unsafe_blocks;
        self.unsafe_functions += other.unsafe_functions;
        self.unsafe_impls += other.unsafe_impls;
        self.unsafe_traits += other.unsafe_traits;
    }

    /// All kinds of `unsafe` together.
    pub fn unsafe_total(&self) -> u64 {
        self.unsafe_blocks + self.unsafe_functions + self.unsafe_impls + self.unsafe_traits
    }

    /// Counts in one file.
    pub fn of(file: &syn::File) -> Self {
        let mut syntax = Self::default();
        syntax.visit_file(file);
        syntax
    }
}

/// Parses a file, unless that could exhaust the stack.
///
/// # Errors
/// Why there is no syntax tree, in words.
pub fn parse(text: &str) -> Result<syn::File, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens: TokenStream =
        without_shebang(text).parse().map_err(|_| "it is not made of Rust's tokens".to_owned())?;
    nesting::check(tokens.clone()).map_err(|too_deep| too_deep.to_string())?;
    syn::parse2(tokens).map_err(|error| format!("it is not Rust as syn knows it: {error}"))
}

/// The text behind a first line like `#!/usr/bin/env …`; `#![…]` is an attribute.
fn without_shebang(text: &str) -> &str {
    match text.strip_prefix("#!") {
        Some(rest) if !rest.trim_start().starts_with('[') => text.find('\n').map_or("", |end| &text[end..]),
        _ => text,
    }
}

fn one_if(condition: bool) -> u64 {
    u64::from(condition)
}

impl<'ast> Visit<'ast> for Syntax {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.functions += 1;
        self.unsafe_functions += one_if(matches!(signature.safety, syn::Safety::Unsafe(_)));
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.impls += 1;
        self.unsafe_impls += one_if(item.unsafety.is_some());
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.unsafe_traits += one_if(item.unsafety.is_some());
        visit::visit_item_trait(self, item);
    }

    fn visit_expr_unsafe(&mut self, expression: &'ast syn::ExprUnsafe) {
        self.unsafe_blocks += 1;
        visit::visit_expr_unsafe(self, expression);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted() {
        let text = "#!/usr/bin/run\n\
            unsafe trait A { fn a(); unsafe fn b() { unsafe { c() } } }\n\
            unsafe impl A for B { fn a() { fn inner() {} } }\n\
            impl B {}\n\
            extern \"C\" { fn c(); }\n\
            const X: u8 = unsafe { 1 + unsafe { 2 } };\n";
        let counted = Syntax::of(&parse(text).expect("Rust"));
        let expected =
            Syntax { functions: 5, impls: 2, unsafe_blocks: 3, unsafe_functions: 1, unsafe_impls: 1, unsafe_traits: 1 };
        assert_eq!(counted, expected);
        assert_eq!(counted.unsafe_total(), 6);
    }

    #[test]
    fn macros_are_not_counted() {
        let counted = Syntax::of(&parse("a! { fn b() { unsafe {} } }").expect("Rust"));
        assert_eq!(counted, Syntax::default());
    }

    #[test]
    fn what_cannot_be_parsed_is_explained() {
        assert_eq!(parse("fn ) {").err().expect("no tokens"), "it is not made of Rust's tokens");
        assert!(parse("fn fn").err().expect("no Rust").ends_with("expected identifier, found keyword `fn`"));
        let deep = format!("const A: u8 = {}1{};", "(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).err().expect("deep").contains("deeper than can be parsed"));
    }

    #[test]
    fn an_attribute_is_no_shebang() {
        assert_eq!(Syntax::of(&parse("#! [allow(x)]\nfn a() {}").expect("Rust")).functions, 1);
        assert_eq!(Syntax::of(&parse("\u{feff}fn a() {}").expect("Rust")).functions, 1);
        assert_eq!(Syntax::of(&parse("#!/bin/sh").expect("Rust")).functions, 0);
    }
}
