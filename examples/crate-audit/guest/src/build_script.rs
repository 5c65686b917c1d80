//! What a build script reaches for.
//!
//! Owns: finding uses of `std::env`, `std::fs`, `std::net` and `std::process` by their paths. Does not know:
//! types; a method is seen only where its path is written out, and a name counts wherever in the file it is
//! imported. The modules of a build script that has several are not followed.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemUse, Macro, Path, UseTree};

/// Paths below the modules of interest, such as `std::env::var`, and how often each is used.
pub type Uses = BTreeMap<String, u64>;

const MODULES: [&str; 4] = ["env", "fs", "net", "process"];

/// Finds the uses in a build script.
pub fn uses(file: &syn::File) -> Uses {
    let mut imports = Imports::default();
    imports.visit_file(file);
    let mut finder = Finder { imports: imports.names, uses: imports.globs };
    finder.visit_file(file);
    finder.uses
}

/// The path as given if it leads into one of the modules.
fn of_interest(path: &[String]) -> bool {
    matches!(path, [root, module, ..] if root == "std" && MODULES.contains(&module.as_str()))
}

/// What the `use` declarations bring in.
#[derive(Default)]
struct Imports {
    /// From a name to the path that it stands for.
    names: BTreeMap<String, Vec<String>>,
    /// `use std::fs::*` hides which names are used, so it is a use itself.
    globs: Uses,
}

impl Imports {
    /// Notes a part of a `use` declaration, `path` being what stands before it.
    fn note(&mut self, path: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.note(path, &part.tree);
                path.pop();
            }
            UseTree::Name(part) if part.ident == "self" => {
                if let Some(name) = path.last() {
                    self.names.insert(name.clone(), path.clone());
                }
            }
            UseTree::Name(part) => self.bind(part.ident.to_string(), path, &part.ident),
            UseTree::Rename(part) if part.ident == "self" => {
                self.names.insert(part.rename.to_string(), path.clone());
            }
            UseTree::Rename(part) => self.bind(part.rename.to_string(), path, &part.ident),
            UseTree::Glob(_) if of_interest(path) => {
                *self.globs.entry(format!("{}::*", path.join("::"))).or_default() += 1;
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note(path, tree)),
            _ => {}
        }
    }

    fn bind(&mut self, name: String, path: &[String], last: &syn::Ident) {
        let path = path.iter().cloned().chain([last.to_string()]).collect();
        self.names.insert(name, path);
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.note(&mut Vec::new(), &item.tree);
    }
}

/// Counts the paths that lead into one of the modules.
struct Finder {
    imports: BTreeMap<String, Vec<String>>,
    uses: Uses,
}

impl Finder {
    fn count(&mut self, mut path: Vec<String>) {
        // A `use` may build on another one (`use std::fs; use fs::File;`), though never in a circle for long.
        for _ in 0..4 {
            match path.first().and_then(|first| self.imports.get(first)) {
                Some(import) if import.first() != path.first() => {
                    path.splice(..1, import.iter().cloned());
                }
                _ => break,
            }
        }
        if path.len() > 2 && of_interest(&path) {
            *self.uses.entry(path.join("::")).or_default() += 1;
        }
    }

    /// Looks for paths among a macro's tokens: `println!("{}", env::var("X")?)`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        // How many `:` stand behind the last name of the path.
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 => path.push(ident.to_string()),
                TokenTree::Ident(ident) => self.count(std::mem::replace(&mut path, vec![ident.to_string()])),
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.count(std::mem::take(&mut path));
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.count(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.count(path);
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_path(&mut self, path: &'ast Path) {
        self.count(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, u64)> {
        uses(&syn::parse_str(text).expect("Rust")).into_iter().collect()
    }

    fn expect(text: &str, uses: &[(&str, u64)]) {
        let uses: Vec<_> = uses.iter().map(|&(path, count)| (path.to_owned(), count)).collect();
        assert_eq!(found(text), uses, "in {text}");
    }

    #[test]
    fn full_paths_are_found() {
        expect(
            "fn main() { std::env::var(\"A\"); ::std::env::var(\"B\"); let x: std::fs::File = y; }",
            &[("std::env::var", 2), ("std::fs::File", 1)],
        );
    }

    #[test]
    fn imports_are_resolved() {
        let text = "use std::{env, fs::{self, File}, process::Command as Run}; use std::net as n; use fs::read;\n\
            fn main() { env::var(\"A\"); fs::write(a, b); File::open(c); Run::new(\"x\"); n::lookup(); read(d); }";
        let uses = [
            ("std::env::var", 1),
            ("std::fs::File::open", 1),
            ("std::fs::read", 1),
            ("std::fs::write", 1),
            ("std::net::lookup", 1),
            ("std::process::Command::new", 1),
        ];
        expect(text, &uses);
    }

    #[test]
    fn an_import_alone_is_no_use_but_a_glob_is() {
        expect("use std::env; use std::fs::*; use std::collections::*;", &[("std::fs::*", 1)]);
    }

    #[test]
    fn paths_in_macros_are_found() {
        let text =
            "use std::env; fn main() { println!(\"{}\", env::var(\"A\")); assert!(a == std::fs::read(b)); c!(env); }";
        expect(text, &[("std::env::var", 1), ("std::fs::read", 1)]);
    }

    #[test]
    fn other_modules_and_circles_are_left_alone() {
        expect("use a as b; use b as a; fn main() { a::x(); std::io::stdin(); env!(\"A\"); fs::read(c); }", &[]);
    }
}
