//! The contact sheet: all thumbnails in one picture, with their names.
//!
//! Owns: where what is on the sheet. Does not know: where thumbnails come from, or where the sheet goes.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::overlay;
use image::{ImageError, Rgb, RgbImage, RgbaImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// More columns make thumbnails too small to see on a screen.
const COLUMNS_MAX: usize = 5;

const MARGIN: u32 = 24;
const GAP: u32 = 16;
const LABEL: RasterHeight = RasterHeight::Size16;
const LABEL_HEIGHT: u32 = 28;

const BACKGROUND: Rgb<u8> = Rgb([0x20, 0x22, 0x26]);
const TILE: Rgb<u8> = Rgb([0x2b, 0x2e, 0x34]);
const TEXT: Rgb<u8> = Rgb([0xd8, 0xda, 0xde]);
const WRONG: Rgb<u8> = Rgb([0xe0, 0x8a, 0x7a]);

/// One place on the sheet.
pub struct Tile {
    /// What stands below it.
    pub name: String,
    /// The thumbnail, or why there is none.
    pub picture: Result<RgbaImage, String>,
}

/// Draws the sheet, whose places are squares with edges of `edge` pixels, and gives it as a JPEG.
///
/// # Errors
/// The picture cannot be encoded: a JPEG has at most 65,535 pixels in each direction.
pub fn draw(tiles: &[Tile], edge: u32) -> Result<Vec<u8>, ImageError> {
    let columns = tiles.len().clamp(1, COLUMNS_MAX);
    let rows = tiles.len().div_ceil(columns).max(1);
    let (column, row) = (edge + GAP, edge + LABEL_HEIGHT + GAP);
    let size =
        |count: usize, each: u32| 2 * MARGIN + u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(each) - GAP;
    let mut sheet = RgbImage::from_pixel(size(columns, column), size(rows, row), BACKGROUND);
    for (index, tile) in tiles.iter().enumerate() {
        let place = |at: usize, each: u32| MARGIN + u32::try_from(at).unwrap_or(0) * each;
        let (x, y) = (place(index % columns, column), place(index / columns, row));
        draw_tile(&mut sheet, tile, (x, y), edge);
    }
    let mut bytes = Cursor::new(Vec::new());
    sheet.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 88))?;
    Ok(bytes.into_inner())
}

fn draw_tile(sheet: &mut RgbImage, tile: &Tile, (x, y): (u32, u32), edge: u32) {
    for (dx, dy) in (0..edge).flat_map(|dy| (0..edge).map(move |dx| (dx, dy))) {
        sheet.put_pixel(x + dx, y + dy, TILE);
    }
    match &tile.picture {
        Ok(picture) => {
            let (left, top) = ((edge - picture.width().min(edge)) / 2, (edge - picture.height().min(edge)) / 2);
            blend(sheet, picture, (x + left, y + top));
        }
        Err(why) => {
            let lines = wrapped(why, usize::try_from(edge - 2 * GAP).unwrap_or(0) / letter_width());
            let mut at = y + GAP;
            for line in lines.iter().take(usize::try_from((edge - 2 * GAP) / (LABEL_HEIGHT - 6)).unwrap_or(0)) {
                write(sheet, line, (x + GAP, at), WRONG);
                at += LABEL_HEIGHT - 6;
            }
        }
    }
    let room = usize::try_from(edge).unwrap_or(0) / letter_width();
    let colour = if tile.picture.is_ok() { TEXT } else { WRONG };
    write(sheet, &cut(&tile.name, room), (x, y + edge + 8), colour);
}

/// Puts a picture onto the sheet, of which the tile shines through where it is transparent.
fn blend(sheet: &mut RgbImage, picture: &RgbaImage, (x, y): (u32, u32)) {
    let mut flat = RgbImage::new(picture.width(), picture.height());
    for (from, to) in picture.pixels().zip(flat.pixels_mut()) {
        let [red, green, blue, alpha] = from.0;
        let mix = |over: u8, under: u8| {
            let sum = u32::from(over) * u32::from(alpha) + u32::from(under) * (255 - u32::from(alpha));
            u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
        };
        *to = Rgb([mix(red, TILE.0[0]), mix(green, TILE.0[1]), mix(blue, TILE.0[2])]);
    }
    overlay(sheet, &flat, i64::from(x), i64::from(y));
}

fn letter_width() -> usize {
    get_raster_width(FontWeight::Regular, LABEL)
}

/// Writes a line. What the font does not have becomes a question mark.
fn write(sheet: &mut RgbImage, text: &str, (x, y): (u32, u32), colour: Rgb<u8>) {
    let mut left = x;
    for wanted in text.chars() {
        let letter = |wanted| get_raster(wanted, FontWeight::Regular, LABEL);
        let Some(raster) = letter(wanted).or_else(|| letter('?')) else { continue };
        for (dy, line) in (0..).zip(raster.rows()) {
            for (dx, light) in (0..).zip(line.iter()) {
                if let Some(pixel) = sheet.get_pixel_mut_checked(left + dx, y + dy) {
                    for (channel, wanted) in pixel.0.iter_mut().zip(colour.0) {
                        let mixed =
                            u32::from(wanted) * u32::from(*light) + u32::from(*channel) * (255 - u32::from(*light));
                        *channel = u8::try_from(mixed / 255).unwrap_or(u8::MAX);
                    }
                }
            }
        }
        left += u32::try_from(raster.width()).unwrap_or(0);
    }
}

/// A text with at most so many letters.
fn cut(text: &str, letters_max: usize) -> String {
    if text.chars().count() <= letters_max {
        return text.to_owned();
    }
    // As much from the end as from the beginning: names of photos often begin alike.
    let half = letters_max.saturating_sub(2) / 2;
    let from_end = text.chars().count() - half;
    text.chars().take(half).chain("..".chars()).chain(text.chars().skip(from_end)).collect()
}

/// A text in lines of at most so many letters, broken between words.
fn wrapped(text: &str, letters_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, letters_max);
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters_max => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn tile(name: &str, picture: Result<RgbaImage, String>) -> Tile {
        Tile { name: name.to_owned(), picture }
    }

    #[test]
    fn every_photo_has_its_place() {
        let red = RgbaImage::from_pixel(64, 32, Rgba([200, 0, 0, 255]));
        let clear = RgbaImage::from_pixel(32, 64, Rgba([0, 0, 0, 0]));
        let mut tiles: Vec<Tile> = (0..6).map(|_| tile("red.jpg", Ok(red.clone()))).collect();
        tiles.push(tile("clear.png", Ok(clear)));
        tiles.push(tile("broken.jpg", Err("it cannot be read: the end is missing".to_owned())));
        let sheet = image::load_from_memory(&draw(&tiles, 64).expect("a sheet")).expect("a JPEG").to_rgb8();
        assert_eq!((sheet.width(), sheet.height()), (2 * 24 + 5 * 80 - 16, 2 * 24 + 2 * 108 - 16));
        let at = |column: u32, row: u32| sheet.get_pixel(24 + column * 80 + 32, 24 + row * 108 + 32).0;
        assert!(at(0, 0)[0] > 180 && at(0, 1)[0] > 180, "{:?}", at(0, 0));
        let is_tile = |pixel: [u8; 3]| pixel.iter().zip(TILE.0).all(|(is, wanted)| is.abs_diff(wanted) < 12);
        assert!(is_tile(at(1, 1)), "{:?}", at(1, 1));
    }

    #[test]
    fn an_empty_folder_has_an_empty_sheet() {
        assert!(image::load_from_memory(&draw(&[], 64).expect("a sheet")).is_ok());
    }

    #[test]
    fn texts_fit() {
        assert_eq!(cut("IMG_0001_long.jpg", 10), "IMG_...jpg");
        assert_eq!(cut("größe.jpg", 10), "größe.jpg");
        assert_eq!(wrapped("it cannot be read at all", 10), ["it cannot", "be read at", "all"]);
        assert_eq!(wrapped("", 10), [""]);
    }
}
