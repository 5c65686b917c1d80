//! Grids of colours, and what can be done to them.
//!
//! Owns: the grid, its functions, and where two grids differ. Does not know: programs. A grid from outside is checked
//! once, by [`Grid::check`]; every function gives a grid that would pass, but for its size. Nothing here bounds that: a
//! program that makes its grid ever larger meets the memory limit of its sandbox.

use serde::{Deserialize, Serialize};
use wasmill_sdk::Schema;

/// How many colours there are; 0 is the background.
pub const COLOURS: u8 = 10;

/// The most rows, and the most columns, of a grid in a puzzle.
pub const SIDE_MAX: usize = 30;

/// Rows of colours: at least one, all of the same length, which is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(transparent)]
pub struct Grid(pub Vec<Vec<u8>>);

/// A cell, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Cell {
    /// Its row, from the top.
    pub row: usize,
    /// Its column, from the left.
    pub column: usize,
}

impl Grid {
    /// Says what is wrong with a grid from a file.
    pub fn check(&self) -> Result<(), String> {
        let (rows, columns) = (self.height(), self.width());
        if rows == 0 || columns == 0 {
            return Err("it has no cells".to_owned());
        }
        if rows > SIDE_MAX || columns > SIDE_MAX {
            return Err(format!("it has {rows} rows and {columns} columns; {SIDE_MAX} are the most"));
        }
        for (at, row) in self.0.iter().enumerate() {
            if row.len() != columns {
                return Err(format!("row {} has {} cells, and the first has {columns}", at + 1, row.len()));
            }
            if let Some(colour) = row.iter().find(|colour| **colour >= COLOURS) {
                return Err(format!("row {} has the colour {colour}; they are 0 to 9", at + 1));
            }
        }
        Ok(())
    }

    /// How many rows it has.
    pub fn height(&self) -> usize {
        self.0.len()
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// Its size in words, such as `3 by 5`: rows first.
    pub fn size(&self) -> String {
        format!("{} by {}", self.height(), self.width())
    }

    /// Rows become columns.
    pub fn transpose(self) -> Self {
        Self((0..self.width()).map(|column| self.0.iter().map(|row| row[column]).collect()).collect())
    }

    /// Left becomes right.
    pub fn mirror(mut self) -> Self {
        self.0.iter_mut().for_each(|row| row.reverse());
        self
    }

    /// The top becomes the bottom.
    pub fn flip(mut self) -> Self {
        self.0.reverse();
        self
    }

    /// A quarter turn, clockwise.
    pub fn rotate(self) -> Self {
        self.flip().transpose()
    }

    /// Every cell's colour becomes another one.
    pub fn colours(mut self, to: impl Fn(u8) -> u8) -> Self {
        self.0.iter_mut().flatten().for_each(|colour| *colour = to(*colour));
        self
    }

    /// The smallest part that has all cells which are not background.
    pub fn crop(self) -> Result<Self, String> {
        let used = |row: &Vec<u8>| row.iter().any(|colour| *colour != 0);
        let trim = |grid: Self| {
            let first = grid.0.iter().position(used)?;
            let last = grid.0.iter().rposition(used)?;
            Some(Self(grid.0[first..=last].to_vec()))
        };
        let cropped = trim(self).and_then(|grid| trim(grid.transpose())).map(Self::transpose);
        cropped.ok_or_else(|| "there is nothing to crop to: all of it is background".to_owned())
    }

    /// The grid again and again, so often downwards and so often to the right.
    pub fn tile(&self, down: usize, right: usize) -> Self {
        let wide: Vec<_> = self.0.iter().map(|row| row.repeat(right)).collect();
        Self((0..down).flat_map(|_| wide.clone()).collect())
    }

    /// Every cell becomes a square of so many by so many.
    pub fn scale(&self, by: usize) -> Self {
        let wide = |row: &Vec<u8>| row.iter().flat_map(|colour| vec![*colour; by]).collect::<Vec<_>>();
        Self(self.0.iter().flat_map(|row| vec![wide(row); by]).collect())
    }

    /// Every coloured cell above a free one falls by one row, those at the bottom first.
    pub fn sink(mut self) -> Self {
        for row in (1..self.height()).rev() {
            for column in 0..self.width() {
                if self.0[row][column] == 0 {
                    self.0[row][column] = std::mem::take(&mut self.0[row - 1][column]);
                }
            }
        }
        self
    }

    /// Colours the background that coloured cells enclose: what cannot be reached from the edge by steps up, down, left
    /// and right.
    pub fn fill(mut self, colour: u8) -> Self {
        let (height, width) = (self.height(), self.width());
        let mut outside = vec![vec![false; width]; height];
        let on_edge = |row, column| row == 0 || column == 0 || row + 1 == height || column + 1 == width;
        let cells = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let mut next: Vec<_> = cells.clone().filter(|(row, column)| on_edge(*row, *column)).collect();
        while let Some((row, column)) = next.pop() {
            if self.0[row][column] == 0 && !std::mem::replace(&mut outside[row][column], true) {
                let around = [
                    (row.wrapping_sub(1), column),
                    (row + 1, column),
                    (row, column.wrapping_sub(1)),
                    (row, column + 1),
                ];
                next.extend(around.into_iter().filter(|(row, column)| *row < height && *column < width));
            }
        }
        for (row, column) in cells {
            if self.0[row][column] == 0 && !outside[row][column] {
                self.0[row][column] = colour;
            }
        }
        self
    }

    /// Another grid below this one.
    pub fn below(mut self, other: Self) -> Result<Self, String> {
        if self.width() != other.width() {
            return Err(format!("there are {} columns above and {} below", self.width(), other.width()));
        }
        self.0.extend(other.0);
        Ok(self)
    }

    /// Another grid to the right of this one.
    pub fn beside(mut self, other: Self) -> Result<Self, String> {
        if self.height() != other.height() {
            return Err(format!("there are {} rows on the left and {} on the right", self.height(), other.height()));
        }
        self.0.iter_mut().zip(other.0).for_each(|(row, more)| row.extend(more));
        Ok(self)
    }

    /// The coloured cells of another grid on top of this one.
    pub fn over(mut self, other: &Self) -> Result<Self, String> {
        if (self.height(), self.width()) != (other.height(), other.width()) {
            return Err(format!("a grid of {} does not fit on one of {}", other.size(), self.size()));
        }
        for (cell, upper) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            if *upper != 0 {
                *cell = *upper;
            }
        }
        Ok(self)
    }

    /// The cells in which it differs from one of the same size, row by row.
    pub fn differences(&self, other: &Self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (row, (left, right)) in self.0.iter().zip(&other.0).enumerate() {
            let differ = left.iter().zip(right).enumerate().filter(|(_, (left, right))| left != right);
            cells.extend(differ.map(|(column, _)| Cell { row, column }));
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: &[&[u8]]) -> Grid {
        Grid(rows.iter().map(|row| row.to_vec()).collect())
    }

    #[test]
    fn turning_and_mirroring() {
        let start = grid(&[&[1, 2, 3], &[4, 5, 6]]);
        assert_eq!(start.clone().transpose(), grid(&[&[1, 4], &[2, 5], &[3, 6]]));
        assert_eq!(start.clone().rotate(), grid(&[&[4, 1], &[5, 2], &[6, 3]]));
        assert_eq!(start.clone().mirror(), grid(&[&[3, 2, 1], &[6, 5, 4]]));
        assert_eq!(start.clone().flip(), grid(&[&[4, 5, 6], &[1, 2, 3]]));
        assert_eq!(start.clone().rotate().rotate().rotate().rotate(), start);
    }

    #[test]
    fn sizes() {
        let start = grid(&[&[0, 1], &[0, 0]]);
        assert_eq!(start.tile(1, 2), grid(&[&[0, 1, 0, 1], &[0, 0, 0, 0]]));
        assert_eq!(start.tile(2, 1).height(), 4);
        assert_eq!(grid(&[&[1, 2]]).scale(2), grid(&[&[1, 1, 2, 2], &[1, 1, 2, 2]]));
        assert_eq!(start.crop(), Ok(grid(&[&[1]])));
        assert!(grid(&[&[0]]).crop().is_err());
    }

    #[test]
    fn falling() {
        let start = grid(&[&[1, 1, 0], &[0, 2, 0], &[3, 0, 4], &[0, 0, 0]]);
        let once = grid(&[&[0, 0, 0], &[1, 1, 0], &[0, 2, 0], &[3, 0, 4]]);
        assert_eq!(start.sink(), once);
        assert_eq!(once.sink(), grid(&[&[0, 0, 0], &[0, 0, 0], &[1, 1, 0], &[3, 2, 4]]));
    }

    #[test]
    fn enclosed_cells_are_filled() {
        let ring = grid(&[&[1, 1, 1, 0], &[1, 0, 1, 0], &[1, 1, 0, 0]]);
        assert_eq!(ring.fill(7), grid(&[&[1, 1, 1, 0], &[1, 7, 1, 0], &[1, 1, 0, 0]]));
        assert_eq!(grid(&[&[0]]).fill(7), grid(&[&[0]]));
    }

    #[test]
    fn two_grids() {
        let (left, right) = (grid(&[&[1, 0]]), grid(&[&[2, 3]]));
        assert_eq!(left.clone().beside(right.clone()), Ok(grid(&[&[1, 0, 2, 3]])));
        assert_eq!(left.clone().below(right.clone()), Ok(grid(&[&[1, 0], &[2, 3]])));
        assert_eq!(right.clone().over(&left), Ok(grid(&[&[1, 3]])));
        assert_eq!(left.differences(&right), [Cell { row: 0, column: 0 }, Cell { row: 0, column: 1 }]);
        let tall = grid(&[&[1], &[2]]);
        assert!(left.clone().beside(tall.clone()).is_err() && left.clone().below(tall.clone()).is_err());
        assert!(left.over(&tall).is_err());
    }

    #[test]
    fn bad_grids_are_told() {
        let cases = [
            (grid(&[]), "no cells"),
            (grid(&[&[]]), "no cells"),
            (grid(&[&[1, 2], &[3]]), "row 2 has 1 cells, and the first has 2"),
            (grid(&[&[1], &[12]]), "row 2 has the colour 12"),
            (grid(&[&[0; 31]]), "1 rows and 31 columns"),
        ];
        for (grid, expected) in cases {
            let said = grid.check().expect_err("it is bad");
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(grid(&[&[0, 9]]).check(), Ok(()));
    }
}
