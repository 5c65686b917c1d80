//! Carrying out a program, and holding what it gives against the samples.
//!
//! Owns: what the functions of the language do, and when a candidate has lost. Does not know: what a program may cost.
//! `fix` and `repeat` can go on for ever and can make the grid ever larger: the sandbox stops that, and nothing else of the
//! run notices.

use serde::{Deserialize, Serialize};
use wasmill_sdk::{Schema, progress};

use crate::grid::{Cell, Grid, SIDE_MAX};
use crate::language::{Arg, Step};

/// A grid and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Sample {
    /// What there is.
    pub input: Grid,
    /// What it should become.
    pub output: Grid,
}

/// How a program loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Miss {
    /// Which sample it does not reproduce, counted from 1. Later ones were not looked at.
    pub sample: usize,
    /// Why not.
    pub why: String,
    /// What it made of it, if that can be shown.
    pub got: Option<Grid>,
    /// Where that is something else, if it has the right size.
    pub cells: Vec<Cell>,
}

/// What a program makes of a grid.
pub fn execute(program: &[Step], grid: Grid) -> Result<Grid, String> {
    program.iter().try_fold(grid, |grid, step| {
        apply(step, grid)
            .map_err(|error| if error.starts_with('`') { error } else { format!("`{}`: {error}", step.name) })
    })
}

fn apply(step: &Step, grid: Grid) -> Result<Grid, String> {
    let numbers: Vec<u8> = step
        .args
        .iter()
        .filter_map(|arg| match arg {
            Arg::Number(number) => Some(*number),
            Arg::Name(_) => None,
        })
        .collect();
    Ok(match (step.name.as_str(), numbers.as_slice(), step.body.as_deref()) {
        ("same", [], None) => grid,
        ("rotate", [], None) => grid.rotate(),
        ("mirror", [], None) => grid.mirror(),
        ("flip", [], None) => grid.flip(),
        ("transpose", [], None) => grid.transpose(),
        ("crop", [], None) => grid.crop()?,
        ("sink", [], None) => grid.sink(),
        ("recolor", [from, to], None) => grid.colours(|colour| if colour == *from { *to } else { colour }),
        ("keep", [kept], None) => grid.colours(|colour| if colour == *kept { colour } else { 0 }),
        ("paint", [to], None) => grid.colours(|colour| if colour == 0 { 0 } else { *to }),
        ("fill", [colour], None) => grid.fill(*colour),
        ("tile", [down, right], None) => grid.tile(usize::from(*down), usize::from(*right)),
        ("scale", [by], None) => grid.scale(usize::from(*by)),
        ("below", [], Some(body)) => grid.clone().below(execute(body, grid)?)?,
        ("beside", [], Some(body)) => grid.clone().beside(execute(body, grid)?)?,
        ("over", [], Some(body)) => grid.clone().over(&execute(body, grid)?)?,
        ("fix", [], Some(body)) => fix(body, grid)?,
        ("repeat", [times], Some(body)) => (0..*times).try_fold(grid, |grid, _| execute(body, grid))?,
        (name, _, _) => return Err(format!("`{name}` is no function, or is given something else than it takes")),
    })
}

/// Again and again, until nothing changes.
fn fix(body: &[Step], mut grid: Grid) -> Result<Grid, String> {
    loop {
        let next = execute(body, grid.clone())?;
        if next == grid {
            return Ok(grid);
        }
        grid = next;
    }
}

/// The first sample that a program does not reproduce, if there is one.
pub fn first_miss(program: &[Step], samples: &[Sample]) -> Option<Miss> {
    for (at, sample) in samples.iter().enumerate() {
        progress(at as u64, samples.len() as u64);
        if let Err((why, got, cells)) = compare(program, sample) {
            return Some(Miss { sample: at + 1, why, got, cells });
        }
    }
    None
}

type Difference = (String, Option<Grid>, Vec<Cell>);

fn compare(program: &[Step], sample: &Sample) -> Result<(), Difference> {
    let got = execute(program, sample.input.clone()).map_err(|error| (error, None, Vec::new()))?;
    let wanted = &sample.output;
    if (got.height(), got.width()) != (wanted.height(), wanted.width()) {
        let why = format!("the grid is {} in place of {}", got.size(), wanted.size());
        let can_be_shown = got.height() <= SIDE_MAX && got.width() <= SIDE_MAX;
        return Err((why, can_be_shown.then_some(got), Vec::new()));
    }
    let cells = got.differences(wanted);
    let Some(Cell { row, column }) = cells.first().copied() else { return Ok(()) };
    let why = format!(
        "{} of {} cells differ, the first in row {}, column {}: {} in place of {}",
        cells.len(),
        wanted.height() * wanted.width(),
        row + 1,
        column + 1,
        got.0[row][column],
        wanted.0[row][column]
    );
    Err((why, Some(got), cells))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::{FUNCTIONS, Kind, inline};
    use crate::language::parse;

    fn grid(rows: &[&[u8]]) -> Grid {
        Grid(rows.iter().map(|row| row.to_vec()).collect())
    }

    fn run(program: &str, start: Grid) -> Result<Grid, String> {
        execute(&inline(&parse(program)?, &[])?, start)
    }

    #[test]
    fn every_function_can_be_carried_out() {
        for function in &FUNCTIONS {
            let args: String =
                function.args.iter().map(|kind| if *kind == Kind::Colour { " 3" } else { " 2" }).collect();
            let body = if function.has_body { "(same)" } else { "" };
            let program = format!("{}{args}{body}", function.name);
            assert!(run(&program, grid(&[&[1, 0], &[0, 2]])).is_ok(), "{program}");
        }
    }

    #[test]
    fn programs_in_brackets_take_the_grid() {
        let start = grid(&[&[1, 0], &[0, 0]]);
        assert_eq!(run("fix(sink)", start.clone()), Ok(grid(&[&[0, 0], &[1, 0]])));
        assert_eq!(run("crop | beside(paint 5)", start.clone()), Ok(grid(&[&[1, 5]])));
        assert_eq!(run("repeat 3(rotate)", start.clone()), Ok(grid(&[&[0, 0], &[1, 0]])));
        assert_eq!(run("over(mirror | recolor 1 4) | keep 4", start.clone()), Ok(grid(&[&[0, 4], &[0, 0]])));
        let said = run("below(tile 1 2)", start).expect_err("widths differ");
        assert_eq!(said, "`below`: there are 2 columns above and 4 below");
    }

    #[test]
    fn the_first_miss_is_told_and_the_rest_not_looked_at() {
        let sample = |input: &[&[u8]], output: &[&[u8]]| Sample { input: grid(input), output: grid(output) };
        let samples =
            [sample(&[&[1, 1]], &[&[1, 1]]), sample(&[&[1, 2]], &[&[2, 1]]), sample(&[&[1]], &[&[1], &[1], &[1]])];
        let miss = |program: &str| first_miss(&parse(program).expect("a program"), &samples);
        let first = miss("same").expect("it misses");
        assert_eq!((first.sample, first.cells.len()), (2, 2));
        assert_eq!(first.why, "2 of 2 cells differ, the first in row 1, column 1: 1 in place of 2");
        let third = miss("mirror").expect("it misses");
        assert_eq!((third.sample, third.why.as_str()), (3, "the grid is 1 by 1 in place of 3 by 1"));
        assert_eq!(miss("tile 40 1").expect("it misses").got, None, "too large to be shown");
        assert_eq!(first_miss(&parse("mirror").expect("a program"), &samples[..2]), None);
    }
}
