//! A graph in the notations that other programs draw.
//!
//! Owns: Graphviz's DOT, Mermaid, and JSON. Does not know: what is drawn of it.

use serde_json::json;

/// What is to be drawn: boxes with what stands in them, and for each the boxes that it needs.
pub(crate) struct Drawing {
    pub(crate) name: String,
    pub(crate) boxes: Vec<Drawn>,
}

/// A box.
pub(crate) struct Drawn {
    pub(crate) name: String,
    /// How many jobs it stands for.
    pub(crate) jobs: usize,
    /// Whether more come to be during a run.
    pub(crate) is_late: bool,
    /// The places of the boxes that it needs.
    pub(crate) needs: Vec<usize>,
}

impl Drawn {
    fn text(&self) -> String {
        match (self.jobs, self.is_late) {
            (1, false) => self.name.clone(),
            (1, true) => format!("{} …", self.name),
            (jobs, false) => format!("{} ({jobs} jobs)", self.name),
            (jobs, true) => format!("{} ({jobs} jobs …)", self.name),
        }
    }
}

impl Drawing {
    /// For Graphviz: arrows go from what is needed to what needs it.
    pub(crate) fn dot(&self) -> String {
        let mut text = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", dot_quoted(&self.name));
        for (number, drawn) in self.boxes.iter().enumerate() {
            let style = if drawn.is_late { ", style=dashed" } else { "" };
            text += &format!("  n{number} [label={}{style}];\n", dot_quoted(&drawn.text()));
        }
        self.edges(|from, to| text += &format!("  n{from} -> n{to};\n"));
        text + "}\n"
    }

    /// For Mermaid, as Markdown on many sites has it.
    pub(crate) fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (number, drawn) in self.boxes.iter().enumerate() {
            text += &format!("  n{number}[\"{}\"]\n", mermaid_escaped(&drawn.text()));
        }
        self.edges(|from, to| text += &format!("  n{from} --> n{to}\n"));
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let boxes = self.boxes.iter().map(|drawn| {
            let needs = drawn.needs.iter().filter_map(|number| self.boxes.get(*number));
            let needs: Vec<&str> = needs.map(|needed| needed.name.as_str()).collect();
            json!({ "name": drawn.name, "jobs": drawn.jobs, "grows": drawn.is_late, "needs": needs })
        });
        let nodes: Vec<_> = boxes.collect();
        format!("{}\n", json!({ "plan": self.name, "nodes": nodes }))
    }

    fn edges(&self, mut draw: impl FnMut(usize, usize)) {
        for (to, drawn) in self.boxes.iter().enumerate() {
            drawn.needs.iter().for_each(|from| draw(*from, to));
        }
    }
}

fn dot_quoted(text: &str) -> String {
    // Graphviz reads the names of characters, too.
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;"))
}

/// Mermaid takes `#` as the beginning of a character's name.
fn mermaid_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '"' | '#' | '<' | '>' | '&' | '`' => escaped += &format!("#{};", u32::from(char)),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        let drawn = |name: &str, jobs, needs: &[usize]| {
            let is_late = jobs > 1;
            Drawn { name: name.to_owned(), jobs, is_late, needs: needs.to_vec() }
        };
        let boxes = vec![drawn("scan", 3, &[]), drawn(r#"a "b" \#<c>"#, 1, &[0])];
        Drawing { name: "my \"plan\"".to_owned(), boxes }
    }

    #[test]
    fn names_are_quoted_as_each_notation_wants_it() {
        assert_eq!(
            drawing().dot(),
            "digraph \"my \\\"plan\\\"\" {\n  rankdir=LR;\n  node [shape=box];\n  n0 [label=\"scan (3 jobs …)\", style=dashed];\n  \
             n1 [label=\"a \\\"b\\\" \\\\#<c>\"];\n  n0 -> n1;\n}\n"
        );
        assert_eq!(
            drawing().mermaid(),
            "flowchart LR\n  n0[\"scan (3 jobs …)\"]\n  n1[\"a #34;b#34; \\#35;#60;c#62;\"]\n  n0 --> n1\n"
        );
        let json: serde_json::Value = serde_json::from_str(&drawing().json()).unwrap();
        assert_eq!(json["nodes"][1]["needs"], json!(["scan"]));
    }
}
