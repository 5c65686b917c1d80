//! The report as one page that needs nothing else: no network, no other file.
//!
//! Owns: how it looks, and which candidate the winner is. Does not know: what was executed. How far candidates behind the
//! winner came depends on how many ran at once, so the page does not say it: it is the same wherever the run was.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wasmill_sdk::prelude::*;

use crate::execute::{Miss, Sample};
use crate::grid::{Cell, Grid};
use crate::{Answer, Candidate, Inlined, Question, Verdict};

/// The width of a cell.
const CELL: usize = 18;

/// What the page shows.
#[derive(Debug)]
pub struct Page {
    /// What the page is called.
    pub title: String,
    /// All candidates, in their order.
    pub candidates: Vec<Candidate>,
    /// What they come to, by their names.
    pub programs: BTreeMap<String, Inlined>,
    /// Why those before the winner lost, by their names.
    pub verdicts: BTreeMap<String, Verdict>,
    /// What a candidate had to reproduce.
    pub samples: Vec<Sample>,
    /// What the winner was asked.
    pub questions: Vec<Question>,
    /// What it made of that.
    pub answer: Answer,
    /// Which candidate the winner is.
    pub place: usize,
}

/// The first candidate that comes to the winning program: all that come to the same have the same result.
pub fn place_of_winner(candidates: &[Candidate], programs: &BTreeMap<String, Inlined>, winner: &str) -> Result<usize> {
    let is_winner = |candidate: &Candidate| {
        let program = programs.get(&candidate.name);
        matches!(program, Some(Inlined::Program(text)) if text == winner)
    };
    candidates.iter().position(is_winner).with_context(|| format!("no candidate comes to `{winner}`"))
}

impl Page {
    /// All of it.
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(include_str!("page.css"))) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        p.soft { (self.summary()) }
                        h2 { "Samples" }
                        div.row { @for (at, sample) in self.samples.iter().enumerate() { (sample_card(at, sample)) } }
                        h2 { "The test" }
                        div.row { (self.answers()) }
                        h2 { "Candidates, best first" }
                        ol { @for (at, candidate) in self.candidates.iter().enumerate() { (self.candidate(at, candidate)) } }
                    }
                }
            }
        };
        page.into_string()
    }

    fn summary(&self) -> String {
        let behind = self.candidates.len() - self.place - 1;
        format!(
            "{} candidates. The winner is number {}, “{}”: the {} before it failed, and the {behind} behind it were not needed.",
            self.candidates.len(),
            self.place + 1,
            self.candidates[self.place].name,
            self.place,
        )
    }

    fn answers(&self) -> Markup {
        let pairs = self.questions.iter().zip(&self.answer.outputs);
        html! {
            @for (at, (question, output)) in pairs.enumerate() {
                div.card {
                    div.change {
                        (figure(&question.input, &[], &format!("question {}", at + 1)))
                        span.arrow { "→" }
                        @match output {
                            Some(output) => (figure(output, &[], "the winner's answer")),
                            None => span.wrong { "the winner cannot do this" },
                        }
                    }
                    @match (&question.output, output) {
                        (Some(wanted), Some(output)) if wanted == output => p.right { "right" },
                        (Some(_), _) => p.wrong { "wrong" },
                        (None, _) => p.soft { "the puzzle does not say what is right" },
                    }
                }
            }
        }
    }

    fn candidate(&self, at: usize, candidate: &Candidate) -> Markup {
        let (class, mark) = match at.cmp(&self.place) {
            std::cmp::Ordering::Less => ("card lost", "✗ lost"),
            std::cmp::Ordering::Equal => ("card won", "✓ won"),
            std::cmp::Ordering::Greater => ("card behind", "not needed"),
        };
        let program = self.programs.get(&candidate.name);
        html! {
            li class=(class) {
                span.place { (at + 1) }
                div {
                    h3 { (candidate.name) }
                    code { (candidate.program) }
                    @if let Some(Inlined::Program(text)) = program {
                        @if *text != candidate.program { p.soft { "= " code { (text) } } }
                    }
                    @if let Some(same) = self.same_as(at) { p.soft { "the same as “" (same) "”" } }
                }
                span.mark title=[candidate.cost.map(|cost| format!("cost {cost}"))] { (mark) }
                @if at < self.place { div.grids { (self.why(candidate)) } }
            }
        }
    }

    /// The first of the candidates before this one that comes to the same program.
    fn same_as(&self, at: usize) -> Option<&str> {
        let program = |candidate: &Candidate| match self.programs.get(&candidate.name) {
            Some(Inlined::Program(text)) => Some(text),
            _ => None,
        };
        let own = program(&self.candidates[at])?;
        self.candidates[..at].iter().find(|before| program(before) == Some(own)).map(|before| before.name.as_str())
    }

    fn why(&self, candidate: &Candidate) -> Markup {
        html! {
            @match self.verdicts.get(&candidate.name) {
                Some(Verdict::Void(why)) => p { "No program: " (why) },
                Some(Verdict::Stopped) => p { "Stopped: it ran out of fuel or of memory." },
                Some(Verdict::Missed(miss)) => (self.miss(miss)),
                Some(Verdict::Solved) | None => p { "Nobody knows why." },
            }
        }
    }

    fn miss(&self, miss: &Miss) -> Markup {
        let sample = miss.sample.checked_sub(1).and_then(|at| self.samples.get(at));
        html! {
            p { "Sample " (miss.sample) " of " (self.samples.len()) ": " (miss.why) "." }
            @if let (Some(sample), Some(got)) = (sample, &miss.got) {
                div.change {
                    (figure(&sample.input, &[], "input"))
                    span.arrow { "→" }
                    (figure(got, &miss.cells, "what it made"))
                    span.arrow { "≠" }
                    (figure(&sample.output, &[], "what it should be"))
                }
            }
        }
    }
}

fn sample_card(at: usize, sample: &Sample) -> Markup {
    html! {
        div.card.change {
            (figure(&sample.input, &[], &format!("sample {}", at + 1)))
            span.arrow { "→" }
            (figure(&sample.output, &[], "output"))
        }
    }
}

/// A grid with some cells marked.
fn figure(grid: &Grid, marked: &[Cell], caption: &str) -> Markup {
    let (width, height) = (grid.width() * CELL, grid.height() * CELL);
    html! {
        figure {
            svg width=(width + 2) height=(height + 2) viewBox=(format!("-1 -1 {} {}", width + 2, height + 2))
                role="img" aria-label=(format!("{caption}: a grid of {}", grid.size())) {
                @for (row, colours) in grid.0.iter().enumerate() {
                    @for (column, colour) in colours.iter().enumerate() {
                        rect class=(format!("g c{colour}")) x=(column * CELL) y=(row * CELL) width=(CELL) height=(CELL) {}
                    }
                }
                @for Cell { row, column } in marked {
                    rect.d x=(column * CELL + 2) y=(row * CELL + 2) width=(CELL - 4) height=(CELL - 4) {}
                }
            }
            figcaption { (caption) }
        }
    }
}
