//! Texts with `{variables}` in them.
//!
//! Owns: the syntax (`{name}`, `{name.name}` for the last part of a path, `{name.stem}` for that without its
//! extension, `{name.field}` for a part of a JSON object, `{{` and `}}` for braces) and its rendering. Does not know: where values come from.

use std::sync::Arc;

/// The values of a `for-each`'s variables for one item.
///
/// A plan may come to a million items, so they take as little memory as can be: they have few variables, mostly one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings(Vec<Binding>);

/// The value of one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The variable, or `variable.field`.
    pub name: Arc<str>,
    /// What stands for it.
    pub value: Arc<str>,
    /// Whether it was found in an output during the run, so that a guest may have chosen it.
    pub is_found: bool,
}

impl Bindings {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.binding(name).map(|binding| &*binding.value)
    }

    fn binding(&self, name: &str) -> Option<&Binding> {
        self.0.iter().find(|binding| *binding.name == *name)
    }

    /// These and others.
    #[must_use]
    pub fn with(&self, others: impl ExactSizeIterator<Item = Binding>) -> Self {
        let mut all = Vec::with_capacity(self.0.len() + others.len());
        all.extend(self.0.iter().cloned());
        all.extend(others);
        Self(all)
    }
}

/// A value that was found in an output would lead elsewhere on the host than the plan says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` would lead elsewhere on the host than the plan says; a value out of an output cannot do that")]
pub struct HostPathError(String);

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, view: View },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum View {
    Whole,
    Name,
    Stem,
    /// A part of a JSON object: what it is bound as.
    Field(String),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`, or the reverse.
    #[error("a `{0}` stands alone; write `{0}{0}` for the character itself")]
    Brace(char),
    /// A variable that the job's `for-each` does not have.
    #[error("there is no variable `{name}` here")]
    Unknown {
        /// The name used.
        name: String,
    },
    /// Something other than `.name` or `.stem` after a variable.
    #[error("`{name}` has no `.{view}`; there are `.name` and `.stem`")]
    View {
        /// The variable.
        name: String,
        /// What was asked of it.
        view: String,
    },
}

impl Template {
    /// A template without variables.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// Reads a template that may use `variables`.
    ///
    /// # Errors
    /// Unbalanced braces, unknown variables and views.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, TemplateError> {
        Self::parse_with(text, variables, &[])
    }

    /// Reads a template that may use `variables`, and parts of those among them that are JSON objects.
    ///
    /// # Errors
    /// Unbalanced braces, unknown variables and views.
    pub fn parse_with(text: &str, variables: &[&str], objects: &[&str]) -> Result<Self, TemplateError> {
        if !text.contains(['{', '}']) {
            return Ok(if text.is_empty() { Self::default() } else { Self::literal(text) });
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '{' | '}' if chars.peek() == Some(&char) => {
                    chars.next();
                    literal.push(char);
                }
                '}' => return Err(TemplateError::Brace('}')),
                '{' => {
                    let mut inner = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(TemplateError::Brace('{')),
                            Some(char) => inner.push(char),
                        }
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(variable(&inner, variables, objects)?);
                }
                _ => literal.push(char),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The text, where there are no variables in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before the first variable; the whole text where there is none.
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The variables in it, in the order of the text, each as often as it is used.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable { name, .. } => Some(name.as_str()),
        })
    }

    /// The parts of JSON objects that are used: the variable, and what it is called in there.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable { name, view: View::Field(bound) } => Some((name.as_str(), bound.split_once('.')?.1)),
            _ => None,
        })
    }

    /// The text with values in place of the variables. A part of an object is bound as `variable.field`.
    pub fn render(&self, bindings: &Bindings) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable { name, view } => {
                    text.push_str(view.of(bindings.get(view.bound(name)).unwrap_or_default()));
                }
            }
        }
        text
    }

    /// How many bytes [`Template::render`] gives.
    pub fn rendered_len(&self, bindings: &Bindings) -> usize {
        let len = |part: &Part| match part {
            Part::Text(literal) => literal.len(),
            Part::Variable { name, view } => view.of(bindings.get(view.bound(name)).unwrap_or_default()).len(),
        };
        self.parts.iter().map(len).fold(0, usize::saturating_add)
    }

    /// The text as a path or a glob on the host. Values out of outputs can be names and paths below what the plan says, and
    /// nothing else: they lead neither up nor elsewhere, and match nothing.
    ///
    /// # Errors
    /// One of them does.
    pub fn render_host(&self, bindings: &Bindings) -> Result<String, HostPathError> {
        let text = self.render(bindings);
        let mut plain = String::new();
        let mut has_found = false;
        for part in &self.parts {
            match part {
                Part::Text(literal) => plain.push_str(literal),
                Part::Variable { name, view } => match bindings.binding(view.bound(name)) {
                    Some(Binding { value, is_found: true, .. }) => {
                        has_found = true;
                        if value.contains(['\\', '\0', '*', '?', '[', ']', '{', '}']) {
                            return Err(HostPathError(text));
                        }
                        plain.push('x');
                    }
                    found => plain.push_str(view.of(found.map_or("", |binding| &binding.value))),
                },
            }
        }
        // Parts of a path may come together out of several values, so the whole is looked at.
        let ups = |path: &str| path.split(['/', '\\']).filter(|name| *name == "..").count();
        let is_elsewhere = |path: &str| path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':');
        if has_found && (ups(&text) != ups(&plain) || is_elsewhere(&text) != is_elsewhere(&plain)) {
            return Err(HostPathError(text));
        }
        Ok(text)
    }
}

impl View {
    /// What a variable is bound as.
    fn bound<'a>(&'a self, name: &'a str) -> &'a str {
        if let View::Field(bound) = self { bound } else { name }
    }

    fn of<'a>(&self, value: &'a str) -> &'a str {
        match self {
            View::Whole | View::Field(_) => value,
            View::Name => last_name(value),
            View::Stem => stem(last_name(value)),
        }
    }
}

fn variable(inner: &str, variables: &[&str], objects: &[&str]) -> Result<Part, TemplateError> {
    let (name, view) = match inner.split_once('.') {
        None => (inner, View::Whole),
        Some((name, field)) if objects.contains(&name) && !field.is_empty() => (name, View::Field(inner.to_owned())),
        Some((name, "name")) => (name, View::Name),
        Some((name, "stem")) => (name, View::Stem),
        Some((name, view)) => {
            return Err(TemplateError::View { name: name.to_owned(), view: view.to_owned() });
        }
    };
    if !variables.contains(&name) {
        return Err(TemplateError::Unknown { name: name.to_owned() });
    }
    Ok(Part::Variable { name: name.to_owned(), view })
}

/// The last part of a path, with either kind of separator, so that one plan works on every host.
fn last_name(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn stem(name: &str) -> &str {
    match name.rfind('.') {
        Some(0) | None => name,
        Some(dot) => &name[..dot],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(values: &[(&str, &str)], is_found: bool) -> Bindings {
        let bind = |(name, value): &(&str, &str)| Binding { name: (*name).into(), value: (*value).into(), is_found };
        Bindings::new().with(values.iter().map(bind))
    }

    #[test]
    fn what_a_guest_chose_leads_nowhere_else_on_the_host() {
        let host = |text: &str, values: &[(&str, &str)], is_found| {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            Template::parse(text, &names).unwrap().render_host(&bound(values, is_found)).ok()
        };
        for (text, value) in [
            ("out/{x}", "../up"),
            ("out/{x}", "a/../../b"),
            ("out/{x}", ".."),
            ("out/.{x}", "."),
            ("{x}", "/etc/passwd"),
            ("{x}/a", ""),
            ("{x}", "C:evil"),
            ("out/{x}", "a\\b"),
            ("data/{x}", "*"),
        ] {
            assert_eq!(host(text, &[("x", value)], true), None, "{text} with {value}");
            assert!(host(text, &[("x", value)], false).is_some(), "who wrote the plan may: {text} with {value}");
        }
        assert_eq!(host("out/{x}{y}/c", &[("x", "."), ("y", ".")], true), None);
        for value in ["a", "a/b", "..a", "a..b", "a:b"] {
            assert_eq!(host("../out/{x}.html", &[("x", value)], true), Some(format!("../out/{value}.html")));
        }
    }

    fn render(text: &str, value: &str) -> String {
        let bindings = bound(&[("x", value)], false);
        Template::parse(text, &["x"]).unwrap().render(&bindings)
    }

    #[test]
    fn variables_are_put_in() {
        assert_eq!(render("a {x} b", "1"), "a 1 b");
        assert_eq!(render("{x.name}|{x.stem}", "dir/a.tar.gz"), "a.tar.gz|a.tar");
        assert_eq!(render("{x.name}|{x.stem}", "dir\\.hidden\\"), ".hidden|.hidden");
        assert_eq!(render("{{x}}", "1"), "{x}");
        assert_eq!(render("", "1"), "");
    }

    #[test]
    fn parts_of_objects_are_put_in() {
        let bindings = bound(&[("x", "{..}"), ("x.name", "a/b"), ("x.a.b", "2"), ("y", "c/d")], false);
        let template = Template::parse_with("{x} {x.name} {x.a.b} {y.name}", &["x", "y"], &["x"]).unwrap();
        assert_eq!(template.render(&bindings), "{..} a/b 2 d");
        assert_eq!(template.fields().collect::<Vec<_>>(), [("x", "name"), ("x", "a.b")]);
        assert!(matches!(Template::parse_with("{y.b}", &["x", "y"], &["x"]), Err(TemplateError::View { .. })));
    }

    #[test]
    fn what_is_no_template_says_why() {
        let parse = |text| Template::parse(text, &["x"]).unwrap_err();
        assert_eq!(parse("{x"), TemplateError::Brace('{'));
        assert_eq!(parse("x}"), TemplateError::Brace('}'));
        assert_eq!(parse("{y}"), TemplateError::Unknown { name: "y".to_owned() });
        assert!(matches!(parse("{x.size}"), TemplateError::View { .. }));
    }

    #[test]
    fn a_text_without_variables_is_known_as_such() {
        assert_eq!(Template::parse("a{{", &["x"]).unwrap().as_literal(), Some("a{"));
        assert_eq!(Template::parse("{x}", &["x"]).unwrap().as_literal(), None);
    }

    #[test]
    fn a_text_knows_its_variables() {
        let template = Template::parse("a[{x}{y.stem}]{x}", &["x", "y"]).unwrap();
        assert_eq!(template.literal_prefix(), "a[");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["x", "y", "x"]);
        assert_eq!(Template::parse("{x}", &["x"]).unwrap().literal_prefix(), "");
        assert_eq!(Template::literal("a").literal_prefix(), "a");
    }
}
