//! From the bytes of a photo to those of its thumbnail.
//!
//! Owns: what is refused, and how a picture is made small. Does not know: what the photo is called, or where the
//! thumbnail goes.

use std::io::Cursor;

use fast_image_resize::{ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader};
use serde::{Deserialize, Serialize};
use wasmill_sdk::Schema;

/// How many pixels a photo may have. With 16 bits a channel it is 320 MB while it is unpacked, and half as much again
/// while it is made small; the plan's `memory` has room for that.
pub const PIXELS_MAX: u64 = 40_000_000;

/// Smaller shows, larger is for nothing at this size.
const JPEG_QUALITY: u8 = 85;

/// Colour profiles have a few KiB. A larger one would be most of the thumbnail.
const PROFILE_BYTES_MAX: usize = 16 << 10;

/// What became of a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum Thumb {
    /// It has a thumbnail.
    Made(Picture),
    /// It has none, for this reason.
    Refused(String),
}

/// A photo and its thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Picture {
    /// The kind of both: `jpeg` or `png`.
    pub format: Format,
    /// The photo's size as one sees it, that is, turned as its camera says.
    pub photo: Size,
    /// The thumbnail's size.
    pub thumb: Size,
    /// How many bytes the photo's file has.
    pub bytes: u64,
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For photos.
    Jpeg,
    /// For whatever has transparency.
    Png,
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl Size {
    fn of(picture: &DynamicImage) -> Self {
        Self { width: picture.width(), height: picture.height() }
    }

    /// The largest size of the same shape whose longer edge is at most so long. Nothing gets larger.
    pub fn within(self, edge: u32) -> Self {
        let longer = self.width.max(self.height);
        if longer <= edge {
            return self;
        }
        let scale = |side: u32| {
            let scaled = (u64::from(side) * u64::from(edge) + u64::from(longer) / 2) / u64::from(longer);
            u32::try_from(scaled).unwrap_or(edge).max(1)
        };
        Self { width: scale(self.width), height: scale(self.height) }
    }
}

/// Makes a thumbnail whose longer edge is at most `edge` pixels long.
///
/// # Errors
/// Why there is none, in words.
pub fn shrink(photo: &[u8], edge: u32) -> Result<(Picture, Vec<u8>), String> {
    let (format, mut decoder) = open(photo)?;
    // A wrong note on how the camera was held must not cost the photo.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten().filter(|profile| profile.len() <= PROFILE_BYTES_MAX);
    let large = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(&error))?;

    let (mut size, bytes) = (Size::of(&large), photo.len() as u64);
    let mut small = resize(large, size.within(edge))?;
    // The small one is turned, which takes less than turning the large one.
    let before = Size::of(&small);
    small.apply_orientation(orientation);
    let thumb = Size::of(&small);
    if is_turned(orientation) {
        size = Size { width: size.height, height: size.width };
        debug_assert_eq!(thumb, Size { width: before.height, height: before.width });
    }
    Ok((Picture { format, photo: size, thumb, bytes }, encode(&small, format, profile)?))
}

/// Reads as much of a photo as says what it is, and refuses what would be too large.
fn open(photo: &[u8]) -> Result<(Format, impl ImageDecoder), String> {
    let mut reader = ImageReader::new(Cursor::new(photo));
    // The pixels are counted below, which says in words what is wrong.
    reader.no_limits();
    // By the first bytes: names are often wrong.
    let reader = reader.with_guessed_format().map_err(|error| error.to_string())?;
    let format = match reader.format() {
        Some(ImageFormat::Jpeg) => Format::Jpeg,
        Some(ImageFormat::Png) => Format::Png,
        _ if photo.is_empty() => return Err("the file is empty".to_owned()),
        _ => return Err("it is neither a JPEG nor a PNG".to_owned()),
    };
    // A decoder of PNG makes room for a line before it can be asked.
    if let (Format::Png, Some(&[w0, w1, w2, w3, h0, h1, h2, h3])) = (format, photo.get(16..24)) {
        check_pixels(u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]))?;
    }
    let decoder = reader.into_decoder().map_err(|error| unreadable(&error))?;
    let (width, height) = decoder.dimensions();
    check_pixels(width, height)?;
    Ok((format, decoder))
}

fn check_pixels(width: u32, height: u32) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS_MAX {
        let (is, may) = (pixels.div_ceil(1_000_000), PIXELS_MAX / 1_000_000);
        return Err(format!("it says that it has {width} x {height} pixels: {is} megapixels, and {may} are allowed"));
    }
    Ok(())
}

fn unreadable(error: &image::ImageError) -> String {
    format!("it cannot be read: {}", error.to_string().trim())
}

/// The pixels at another size. Transparent ones count by how much one sees of them, so there is no dark rim.
fn resize(large: DynamicImage, size: Size) -> Result<DynamicImage, String> {
    if Size::of(&large) == size {
        return Ok(large);
    }
    let mut small = DynamicImage::new(size.width, size.height, large.color());
    let resized = Resizer::new().resize(&large, &mut small, &ResizeOptions::new());
    resized.map(|()| small).map_err(|error| format!("it cannot be made small: {error}"))
}

fn is_turned(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The thumbnail as a file. What else the photo had, such as where it was taken, is left out.
fn encode(small: &DynamicImage, format: Format, profile: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let has_alpha = small.color().has_alpha();
    let written = match format {
        Format::Jpeg => write(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY), small.to_rgb8().into(), profile),
        Format::Png => {
            let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
            let pixels = if has_alpha { small.to_rgba8().into() } else { small.to_rgb8().into() };
            write(encoder, pixels, profile)
        }
    };
    written.map(|()| bytes).map_err(|error| format!("the thumbnail cannot be written: {error}"))
}

fn write(mut encoder: impl ImageEncoder, pixels: DynamicImage, profile: Option<Vec<u8>>) -> image::ImageResult<()> {
    if let Some(profile) = profile {
        // Without it the colours are a little off, which is better than no thumbnail.
        encoder.set_icc_profile(profile).ok();
    }
    pixels.write_with_encoder(encoder)
}

#[cfg(test)]
#[path = "shrink_tests.rs"]
mod tests;
