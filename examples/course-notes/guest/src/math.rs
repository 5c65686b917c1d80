//! Formulas.
//!
//! Owns: turning LaTeX into MathML. Does not know: where in a note a formula stands.

use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};

use crate::html::Escaped;

/// The space before a function such as `log`.
const SPACE: &str = "<mspace width=\"0.1667em\" />";

/// A formula, in a line of its own or in one of text. What is not LaTeX is shown as it is.
pub fn mathml(latex: &str, is_display: bool) -> String {
    let storage = Storage::new();
    let events: Result<Vec<_>, _> = Parser::new(latex, &storage).collect();
    let display_mode = if is_display { DisplayMode::Block } else { DisplayMode::Inline };
    let mut html = String::new();
    let written = events.map(|events| {
        let events = events.into_iter().map(Ok::<_, std::convert::Infallible>);
        push_mathml(&mut html, events, RenderConfig { display_mode, ..RenderConfig::default() })
    });
    match written {
        Ok(Ok(())) => well_formed(html),
        _ => format!("<code class=\"math\">{}</code>", Escaped(latex)),
    }
}

/// Moves the space before a function out of what gives it an index: `\log_2` has three children there, where two are allowed.
fn well_formed(html: String) -> String {
    ["msub", "msup", "msubsup"]
        .iter()
        .fold(html, |html, element| html.replace(&format!("<{element}>{SPACE}"), &format!("{SPACE}<{element}>")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_mathml_and_nonsense_is_shown() {
        let html = mathml(r"\bar{x} = \frac{1}{n} \sum_{i=1}^{n} x_i", true);
        assert!(html.starts_with("<math") && html.contains("mfrac") && html.contains("block"), "{html}");
        assert!(mathml(r"\log_2 n", false).contains("<msub><mi>log</mi><mn>2</mn></msub>"));
        assert_eq!(mathml(r"\frac{<", false), r#"<code class="math">\frac{&lt;</code>"#);
        assert_eq!(mathml(r"\nonsense", false), r#"<code class="math">\nonsense</code>"#);
    }
}
