//! What `shrink` makes of photos, and what it refuses.

use image::{Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let photo =
        RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([220, 0, 0]) } else { Rgb([0, 0, 220]) });
    photo.write_with_encoder(JpegEncoder::new(&mut bytes)).expect("a JPEG");
    bytes
}

#[test]
fn the_longer_edge_is_as_long_as_asked() {
    for (photo, thumb) in
        [((400, 200), (100, 50)), ((200, 400), (50, 100)), ((60, 40), (60, 40)), ((1000, 1), (100, 1))]
    {
        let (picture, bytes) = shrink(&jpeg(photo.0, photo.1), 100).expect("a photo");
        assert_eq!((picture.photo.width, picture.photo.height), photo);
        assert_eq!((picture.thumb.width, picture.thumb.height), thumb);
        let small = image::load_from_memory(&bytes).expect("a thumbnail");
        assert_eq!((small.width(), small.height()), thumb);
    }
}

#[test]
fn a_photo_is_turned_as_its_camera_was_held() {
    let plain = jpeg(80, 40);
    // EXIF with nothing but the orientation 6: to be turned by a quarter, clockwise.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    let (picture, bytes) = shrink(&turned, 100).expect("a photo");
    assert_eq!((picture.photo.width, picture.photo.height), (40, 80));
    // What was left, red, is on top.
    let small = image::load_from_memory(&bytes).expect("a thumbnail").to_rgb8();
    assert!(small.get_pixel(20, 10).0[0] > 180 && small.get_pixel(20, 70).0[2] > 180);
}

#[test]
fn transparency_stays() {
    let mut bytes = Vec::new();
    let photo = RgbaImage::from_pixel(64, 64, Rgba([10, 200, 10, 128]));
    photo.write_with_encoder(PngEncoder::new(&mut bytes)).expect("a PNG");
    let (picture, bytes) = shrink(&bytes, 16).expect("a photo");
    let small = image::load_from_memory(&bytes).expect("a thumbnail");
    assert_eq!((picture.format, small.color().has_alpha()), (Format::Png, true));
    assert!(small.to_rgba8().get_pixel(8, 8).0[3].abs_diff(128) < 3);
}

#[test]
fn what_is_no_photo_is_refused_in_words() {
    let photo = jpeg(64, 64);
    let mut bomb = Vec::new();
    RgbImage::new(1, 1).write_with_encoder(PngEncoder::new(&mut bomb)).expect("a PNG");
    // The size in the header: its checksum is not looked at before the size is.
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    for (bytes, why) in [
        (&b""[..], "the file is empty"),
        (b"GIF89a", "it is neither a JPEG nor a PNG"),
        (&photo[..photo.len() / 3], "it cannot be read: "),
        (b"\xff\xd8\xff", "it cannot be read: "),
    ] {
        let refused = shrink(bytes, 100).expect_err(why);
        assert!(refused.starts_with(why), "{refused}");
    }
    let refused = shrink(&bomb, 100).expect_err("too large");
    assert_eq!(refused, "it says that it has 60000 x 60000 pixels: 3600 megapixels, and 40 are allowed");
}
