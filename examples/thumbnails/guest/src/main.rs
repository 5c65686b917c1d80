//! Two jobs that make a gallery of a folder of photos: `thumb` for each photo, `gallery` for all of them.
//!
//! Owns: the jobs' inputs and outputs. Does not know: which photos there are, how many jobs run at once, or that
//! results are cached; all that is wasmill's, by the plan in `mill.toml`.

mod page;
mod sheet;
mod shrink;

use wasmill_sdk::prelude::*;

use page::Shown;
use sheet::Tile;
use shrink::Thumb;

/// The file in a job's output that is the thumbnail.
const THUMB: &str = "thumb";

/// How large a photo's file may be: it is read whole.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// How long the edges of a place on the contact sheet are, in pixels.
const SHEET_EDGE: u32 = 240;

/// The photos of a gallery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Gallery {
    /// How many have a thumbnail.
    pub made: u64,
    /// Those without a thumbnail, each with the reason.
    pub refused: Vec<Refused>,
}

/// A file without a thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// Why it has none.
    pub why: String,
}

/// Makes the thumbnail of one photo, or says why it has none.
///
/// It is not told what the photo is called, so photos that are equal share one execution.
#[job]
fn thumb(photo: File, edge: u32) -> Result<Thumb> {
    if !(16..=1024).contains(&edge) {
        bail!("a thumbnail's longer edge is from 16 to 1024 pixels, and not {edge}");
    }
    if photo.size_bytes()? > FILE_BYTES_MAX {
        return Ok(Thumb::Refused(format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    match shrink::shrink(&photo.read()?, edge) {
        Ok((picture, bytes)) => {
            out::write(THUMB, bytes)?;
            Ok(Thumb::Made(picture))
        }
        // A photo that cannot be read is a result and no failure: the gallery has to come about, and to show it.
        Err(why) => {
            log::warn!("no thumbnail: {why}");
            Ok(Thumb::Refused(why))
        }
    }
}

/// Puts all thumbnails into a folder, on a contact sheet and on a page.
///
/// `thumbs` and `images` are the same mount: the results of the jobs, and the files beside them.
#[job]
fn gallery(title: String, thumbs: Each<Thumb>, images: Dir) -> Result<Gallery> {
    let mut photos = Vec::new();
    for (name, thumb) in thumbs.iter()? {
        let thumb = thumb.with_context(|| format!("`{name}` has no result"))?;
        let file = match &thumb {
            Thumb::Made(_) => images.read(format!("{name}/{THUMB}"))?,
            Thumb::Refused(_) => Vec::new(),
        };
        photos.push((name, thumb, file));
    }
    let mut gallery = Gallery::default();
    let (mut tiles, mut shown) = (Vec::new(), Vec::new());
    for (name, thumb, file) in &photos {
        let (picture, on_page) = match thumb {
            Thumb::Made(picture) => {
                gallery.made += 1;
                out::write(format!("thumbs/{name}"), file)?;
                (Ok(small(file)?), Ok((picture, file.as_slice())))
            }
            Thumb::Refused(why) => {
                gallery.refused.push(Refused { name: name.clone(), why: why.clone() });
                (Err(why.clone()), Err(why.as_str()))
            }
        };
        tiles.push(Tile { name: name.clone(), picture });
        shown.push(Shown { name, picture: on_page });
    }
    out::write("sheet.jpg", sheet::draw(&tiles, SHEET_EDGE)?)?;
    out::write("index.html", page::page(&title, &shown))?;
    Ok(gallery)
}

/// A thumbnail as large as a place on the sheet allows.
fn small(file: &[u8]) -> Result<image::RgbaImage> {
    let thumb = image::load_from_memory(file).context("a thumbnail cannot be read")?;
    let fits = thumb.width() <= SHEET_EDGE && thumb.height() <= SHEET_EDGE;
    let thumb = if fits { thumb } else { thumb.thumbnail(SHEET_EDGE, SHEET_EDGE) };
    Ok(thumb.to_rgba8())
}

wasmill_sdk::main!();
