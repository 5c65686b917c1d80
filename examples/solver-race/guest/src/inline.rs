//! From a candidate to the program that it comes to: helpers replaced by what they do.
//!
//! Owns: which functions there are and what they take, and that a program stays within bounds. Does not know: what the
//! functions do. Two candidates that come to the same are written in the same way, so that what is known of one is known
//! of the other.

use std::collections::BTreeMap;

use crate::grid::COLOURS;
use crate::language::{Arg, DEPTH_MAX, Helper, Program, Step};

/// The most steps of a program. Helpers that take helpers twice, ten of them in a row, make a thousand out of one.
pub const STEPS_MAX: usize = 1000;

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    /// What it is called.
    pub name: &'static str,
    /// What the numbers behind it are.
    pub args: &'static [Kind],
    /// Whether it takes a program.
    pub has_body: bool,
}

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 to 9.
    Colour,
    /// From 1.
    Count,
}

const fn plain(name: &'static str) -> Function {
    Function { name, args: &[], has_body: false }
}

const fn with(name: &'static str, args: &'static [Kind]) -> Function {
    Function { name, args, has_body: false }
}

const fn around(name: &'static str, args: &'static [Kind]) -> Function {
    Function { name, args, has_body: true }
}

/// All there are.
pub const FUNCTIONS: [Function; 18] = [
    plain("same"),
    plain("rotate"),
    plain("mirror"),
    plain("flip"),
    plain("transpose"),
    plain("crop"),
    plain("sink"),
    with("recolor", &[Kind::Colour, Kind::Colour]),
    with("keep", &[Kind::Colour]),
    with("paint", &[Kind::Colour]),
    with("fill", &[Kind::Colour]),
    with("tile", &[Kind::Count, Kind::Count]),
    with("scale", &[Kind::Count]),
    around("below", &[]),
    around("beside", &[]),
    around("over", &[]),
    around("fix", &[]),
    around("repeat", &[Kind::Count]),
];

/// The program that a candidate comes to.
pub fn inline(program: &[Step], library: &[Helper]) -> Result<Program, String> {
    let helpers = library.iter().map(|helper| (helper.name.as_str(), helper)).collect();
    let mut inliner = Inliner { helpers, within: Vec::new(), steps: 0 };
    inliner.program(program, &BTreeMap::new(), 0)
}

struct Inliner<'a> {
    helpers: BTreeMap<&'a str, &'a Helper>,
    /// The helpers that are being replaced, each by way of the one before it.
    within: Vec<&'a str>,
    steps: usize,
}

/// What a helper's parameters stand for.
type Scope<'a> = BTreeMap<&'a str, u8>;

impl<'a> Inliner<'a> {
    fn program(&mut self, program: &[Step], scope: &Scope<'_>, depth: usize) -> Result<Program, String> {
        if depth > DEPTH_MAX {
            return Err(format!("brackets are more than {DEPTH_MAX} deep in one another when helpers are inlined"));
        }
        let mut steps = Vec::new();
        for step in program {
            self.step(step, scope, depth, &mut steps)?;
        }
        // `same` does nothing. Where nothing else is, a program still needs a step.
        steps.retain(|step| step.name != "same");
        if steps.is_empty() {
            steps.push(Step { name: "same".to_owned(), args: Vec::new(), body: None });
        }
        Ok(steps)
    }

    /// Adds what a step comes to.
    fn step(&mut self, step: &Step, scope: &Scope<'_>, depth: usize, to: &mut Program) -> Result<(), String> {
        let name = step.name.as_str();
        let numbers = step.args.iter().map(|arg| number(arg, scope)).collect::<Result<Vec<_>, _>>()?;
        if let Some(helper) = self.helpers.get(name).copied() {
            to.extend(self.helper(helper, &numbers, step.body.is_some(), depth)?);
            return Ok(());
        }
        let function = FUNCTIONS.iter().find(|function| function.name == name).ok_or_else(|| self.unknown(name))?;
        check(function, &numbers, step.body.is_some())?;
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(format!("it comes to more than {STEPS_MAX} steps when helpers are inlined"));
        }
        let body = step.body.as_deref().map(|body| self.program(body, scope, depth + 1)).transpose()?;
        to.push(Step { name: name.to_owned(), args: numbers.into_iter().map(Arg::Number).collect(), body });
        Ok(())
    }

    fn helper(&mut self, helper: &'a Helper, numbers: &[u8], has_body: bool, depth: usize) -> Result<Program, String> {
        let name = helper.name.as_str();
        if let Some(first) = self.within.iter().position(|before| *before == name) {
            let circle = [&self.within[first..], &[name]].concat().join(" > ");
            return Err(format!("`{name}` cannot be inlined, because it needs itself: {circle}"));
        }
        if self.within.len() == DEPTH_MAX {
            return Err(format!("helpers are more than {DEPTH_MAX} deep in one another"));
        }
        takes(name, helper.params.len(), numbers.len(), false, has_body)?;
        let scope = helper.params.iter().map(String::as_str).zip(numbers.iter().copied()).collect();
        self.within.push(name);
        let program = self.program(&helper.program, &scope, depth)?;
        self.within.pop();
        Ok(program)
    }

    fn unknown(&self, name: &str) -> String {
        let known = FUNCTIONS.iter().map(|function| function.name).chain(self.helpers.keys().copied());
        let near = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
        match near {
            Some((distance, near)) if distance <= 2 => {
                format!("`{name}` is no function and no helper; is it `{near}`?")
            }
            _ => format!("`{name}` is no function and no helper"),
        }
    }
}

fn number(arg: &Arg, scope: &Scope<'_>) -> Result<u8, String> {
    match arg {
        Arg::Number(number) => Ok(*number),
        Arg::Name(name) => {
            let number = scope.get(name.as_str()).copied();
            number.ok_or_else(|| format!("`{name}` should be a number, or a parameter of the helper it is in"))
        }
    }
}

fn check(function: &Function, numbers: &[u8], has_body: bool) -> Result<(), String> {
    let name = function.name;
    takes(name, function.args.len(), numbers.len(), function.has_body, has_body)?;
    for (kind, number) in function.args.iter().zip(numbers) {
        match kind {
            Kind::Colour if *number >= COLOURS => {
                return Err(format!("`{name}` takes a colour, 0 to 9, and {number} is none"));
            }
            Kind::Count if *number == 0 => return Err(format!("`{name}` takes a number from 1, and has 0")),
            _ => {}
        }
    }
    Ok(())
}

fn takes(name: &str, wanted: usize, given: usize, wants_body: bool, has_body: bool) -> Result<(), String> {
    if wanted != given {
        return Err(format!("`{name}` takes {wanted} numbers, and has {given}"));
    }
    match (wants_body, has_body) {
        (true, false) => Err(format!("`{name}` takes a program in brackets")),
        (false, true) => Err(format!("`{name}` takes no program in brackets")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{library, parse, write};

    fn inlined(program: &str, helpers: &str) -> Result<String, String> {
        inline(&parse(program)?, &library(helpers)?).map(|program| write(&program))
    }

    #[test]
    fn helpers_become_what_they_do() {
        let helpers = "settle = fix(sink)\nreflect c = below(flip | paint c)\ntwice c = reflect c | reflect c";
        let said = inlined("settle | twice 8", helpers).expect("a program");
        assert_eq!(said, "fix(sink) | below(flip | paint 8) | below(flip | paint 8)");
        assert_eq!(inlined("same | settle | same", helpers), Ok("fix(sink)".to_owned()));
        assert_eq!(inlined("same | same", ""), Ok("same".to_owned()));
        assert_eq!(inlined("flip", "flip = mirror"), Ok("mirror".to_owned()), "a helper may replace a function");
    }

    #[test]
    fn what_cannot_be_inlined_is_told() {
        let laughs =
            (1..20).fold("h0 = flip\n".to_owned(), |text, at| text + &format!("h{at} = h{} | h{}\n", at - 1, at - 1));
        let deep = (1..100).fold("h0 = flip\n".to_owned(), |text, at| text + &format!("h{at} = fix(h{})\n", at - 1));
        let cases = [
            ("ping", "ping = flip | pong\npong = ping", "needs itself: ping > pong > ping"),
            ("a", "a = fix(b)\nb = fix(b)", "needs itself: b > b"),
            ("h19", &laughs, "more than 1000 steps"),
            ("h99", &deep, "deep in one another"),
            ("mirorr", "", "is it `mirror`?"),
            ("quite-another", "", "is no function and no helper"),
            ("recolor 1", "", "takes 2 numbers, and has 1"),
            ("recolor 1 x", "", "`x` should be a number"),
            ("recolor 1 10", "", "takes a colour, 0 to 9, and 10 is none"),
            ("tile 0 1", "", "a number from 1, and has 0"),
            ("fix", "", "takes a program in brackets"),
            ("flip(flip)", "", "takes no program"),
            ("h(flip)", "h = flip", "takes no program"),
            ("h 1", "h = flip", "takes 0 numbers, and has 1"),
        ];
        for (program, helpers, expected) in cases {
            let said = inlined(program, helpers).expect_err("it cannot");
            assert!(said.contains(expected), "{program}: {said}");
        }
    }
}
