//! Draws the sample photos: `cargo run --release --example make-photos -- ../photos`.
//!
//! Owns: which files there are, and what is special about each. Does not know: what the scenes look like, or the jobs.

mod noise;
mod scenes;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

use noise::{Colour, chance};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The side of a square of pixels, drawn and averaged into one.
const SAMPLES: u32 = 2;

fn main() -> Outcome<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder are the photos for?")?);
    fs::create_dir_all(&folder)?;
    let photos: [(&str, (u32, u32), fn(f32, f32) -> Colour); 6] = [
        ("aurora.jpg", (640, 640), scenes::aurora),
        ("dunes.jpg", (800, 600), scenes::dunes),
        ("mountains.jpg", (960, 640), scenes::mountains),
        ("night sky.jpg", (480, 720), scenes::night),
        ("sea panorama.jpg", (1280, 400), scenes::sea),
        ("town lights.jpg", (780, 520), scenes::lights),
    ];
    for (name, size, scene) in photos {
        fs::write(folder.join(name), jpeg(&draw(size, scene), None)?)?;
    }

    // The camera was held upright: the file has the picture lying on its side, and a note that says so.
    let upright = DynamicImage::from(draw((480, 640), scenes::meadow));
    fs::write(folder.join("meadow.jpg"), jpeg(&upright.rotate270().to_rgb8(), Some(turned_right()))?)?;
    save_png(&folder.join("balloon.png"), draw_balloon((360, 440)).into())?;
    save_png(&folder.join("icon.png"), icon().into())?;
    broken(&folder)
}

/// A picture of a scene, with a little of the noise that every camera has.
fn draw((width, height): (u32, u32), scene: impl Fn(f32, f32) -> Colour) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let mut sum = [0.0; 3];
        for (dx, dy) in (0..SAMPLES).flat_map(|dx| (0..SAMPLES).map(move |dy| (dx, dy))) {
            let at = |pixel: u32, part: u32| (pixel as f32 + part as f32 / SAMPLES as f32) / height as f32;
            sum = noise::add(sum, scene(at(x, dx), at(y, dy)).map(|part| part.clamp(0.0, 1.0)), 1.0);
        }
        let grain = (chance(x as i32, y as i32, 99) - 0.5) * 0.012;
        Rgb(sum.map(|part| byte(part / (SAMPLES * SAMPLES) as f32 + grain)))
    })
}

fn draw_balloon((width, height): (u32, u32)) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let (colour, seen) = scenes::balloon(x as f32 / height as f32, y as f32 / height as f32);
        let [red, green, blue] = colour.map(byte);
        Rgba([red, green, blue, byte(seen)])
    })
}

/// A picture that is smaller than a thumbnail.
fn icon() -> RgbaImage {
    const ROWS: [&str; 12] = [
        "....####....",
        "..########..",
        ".##########.",
        ".###.##.###.",
        "####.##.####",
        "############",
        "############",
        "##.######.##",
        ".##......##.",
        ".##########.",
        "..########..",
        "....####....",
    ];
    RgbaImage::from_fn(48, 48, |x, y| match ROWS[(y / 4) as usize].as_bytes()[(x / 4) as usize] {
        b'#' => Rgba([0xf5, 0xb8, 0x2e, 0xff]),
        _ if (2..10).contains(&(y / 4)) && (2..10).contains(&(x / 4)) => Rgba([0x4a, 0x2d, 0x0a, 0xff]),
        _ => Rgba([0, 0, 0, 0]),
    })
}

fn byte(part: f32) -> u8 {
    (part.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn jpeg(picture: &RgbImage, exif: Option<Vec<u8>>) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif)?;
    }
    picture.write_with_encoder(encoder)?;
    Ok(bytes)
}

fn save_png(path: &Path, picture: DynamicImage) -> Outcome<()> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new_with_quality(
        &mut bytes,
        CompressionType::Best,
        FilterType::Adaptive,
    ))?;
    Ok(fs::write(path, bytes)?)
}

/// What a camera writes that was turned: the tag 0x0112 with the value 6, "turn it to the right to see it".
fn turned_right() -> Vec<u8> {
    let header = [b'M', b'M', 0, 42, 0, 0, 0, 8];
    let tag = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
    [header.as_slice(), &tag].concat()
}

/// Files that are no photos: one that was cut off in its header, one that is something else, and one that is small
/// but says that it is as large as 10 GB.
fn broken(folder: &Path) -> Outcome<()> {
    let whole = fs::read(folder.join("dunes.jpg"))?;
    fs::write(folder.join("broken.jpg"), &whole[..300])?;
    fs::write(folder.join("renamed.png"), "This is a letter that someone has given the wrong name.\n")?;

    let mut small = Vec::new();
    PngEncoder::new(&mut small).write_image(&[0; 3], 1, 1, image::ExtendedColorType::Rgb8)?;
    // Behind the signature and the length and name of the chunk come width and height; behind the chunk its checksum.
    for at in [16, 20] {
        small[at..at + 4].copy_from_slice(&60_000_u32.to_be_bytes());
    }
    let checksum = crc32(&small[12..29]);
    small[29..33].copy_from_slice(&checksum.to_be_bytes());
    Ok(fs::write(folder.join("bomb.png"), small)?)
}

/// The checksum of PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
