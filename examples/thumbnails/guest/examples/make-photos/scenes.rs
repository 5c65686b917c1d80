//! What is on the photos. Each scene gives the colour at a place: `x` to the right and `y` down, in heights of the
//! picture.
//!
//! Owns: the scenes. Does not know: how large a picture is, or how it is stored.

use std::f32::consts::TAU;

use super::noise::{Colour, add, chance, hex, hills, mix, ramp, rough, smooth};

/// Ridges in the haze, the nearest the darkest.
pub fn mountains(x: f32, y: f32) -> Colour {
    let sun = ((x - 1.05).powi(2) + (y - 0.36).powi(2)).sqrt();
    let mut colour = ramp(&[0x3b5b92, 0x8f9fc4, 0xf4c9a8, 0xffe3bd], y * 1.9);
    colour = add(colour, hex(0xffd9a0), smooth(0.5, 0.0, sun) * 0.5);
    colour = mix(colour, hex(0xfffbe8), smooth(0.052, 0.046, sun));
    for ridge in 0..6_u32 {
        let near = ridge as f32 / 5.0;
        let width = 1.3 + 1.1 * near;
        let top = 0.36 + 0.45 * near - 0.42 * (rough(x * width + 7.0 * near, 0.5, 7, 11 + ridge) - 0.42);
        if y > top {
            let rock = ramp(&[0xc9a5a3, 0x9588a6, 0x66709a, 0x40557f, 0x263c5c, 0x12233a], near);
            let haze = hex(0xe9c4ae);
            colour = mix(rock, haze, smooth(0.0, 0.42, y - top) * (0.8 - 0.7 * near));
        }
    }
    colour
}

/// Sand in the evening: light on one side of each crest.
pub fn dunes(x: f32, y: f32) -> Colour {
    let mut colour = ramp(&[0x2a6fb0, 0x7fb5dd, 0xf0dcc0], y * 2.4);
    for dune in 0..5_u32 {
        let near = dune as f32 / 4.0;
        let crest = |x: f32| {
            0.36 + 0.4 * near - (0.1 + 0.16 * near) * hills(x * (1.6 - 0.7 * near) + 9.3 * near, 0.0, 40 + dune)
        };
        let top = crest(x);
        if y > top {
            let slope = (crest(x + 0.01) - crest(x - 0.01)) / 0.02;
            let ripples = ((y - top) * 190.0 * (1.3 - near * 0.6) + 9.0 * rough(x * 6.0, y * 6.0, 3, 77)).sin();
            let light = 0.55 + slope * 1.5 + ripples * 0.035 - smooth(0.0, 0.5, y - top) * 0.3;
            colour = mix(ramp(&[0x4a1f16, 0xa64f22, 0xe0913f, 0xf9cf86], light), hex(0xf0d4b0), 0.35 * (1.0 - near));
        }
    }
    colour
}

/// Stars above a black forest.
pub fn night(x: f32, y: f32) -> Colour {
    let mut colour = ramp(&[0x060a1c, 0x0d1a3c, 0x223a66, 0x6b5a7a, 0xc98a6a], y * 1.12);
    let across = (x - 0.2 - y * 0.38) * 3.4 + (rough(x * 4.0, y * 4.0, 5, 5) - 0.5) * 0.9;
    let milky = (-across * across * 3.0).exp() * smooth(0.9, 0.3, y);
    colour = add(colour, hex(0x8fa0d8), milky * (0.15 + 0.45 * rough(x * 9.0, y * 9.0, 5, 6)));
    for (scale, seed) in [(60.0_f32, 1_u32), (110.0, 2), (190.0, 3)] {
        let (column, row) = ((x * scale).floor(), (y * scale).floor());
        let bright = chance(column as i32, row as i32, seed);
        let (dx, dy) = (x * scale - column - 0.5, y * scale - row - 0.5);
        if bright > 0.965 - milky * 0.07 {
            let light = (1.0 - (dx * dx + dy * dy).sqrt() * 2.2).max(0.0) * (bright - 0.86) * 6.0;
            colour = add(
                colour,
                mix(hex(0xffe0c0), hex(0xd5e4ff), chance(row as i32, column as i32, 9)),
                light * smooth(0.95, 0.6, y),
            );
        }
    }
    for row in 0..3_u32 {
        let (width, foot) = (0.085 + 0.045 * row as f32, 0.86 + 0.07 * row as f32);
        let tree = (x / width + 0.37 * row as f32).floor();
        let across = ((x / width + 0.37 * row as f32) - tree - 0.5).abs() * width;
        let height = 0.12 + 0.16 * chance(tree as i32, row as i32, 21);
        let down = (y - (foot - height)) / height;
        let jags = 0.72 + 0.28 * ((down * 13.0).fract());
        if y > foot - 0.01 || (down > 0.0 && across < down * width * 0.46 * jags) {
            colour = mix(hex(0x1c2740), hex(0x04070d), row as f32 / 2.0);
        }
    }
    colour
}

/// A sunset over the sea, for a panorama.
pub fn sea(x: f32, y: f32) -> Colour {
    let (horizon, sun_x) = (0.56, 1.9);
    let sky = |y: f32| {
        let sun = ((x - sun_x).powi(2) + (y - 0.47).powi(2)).sqrt();
        let clouds = smooth(0.46, 0.72, rough(x * 1.3, y * 7.0, 6, 31)) * smooth(0.56, 0.2, y);
        let air = ramp(&[0x29406e, 0x6d5a8e, 0xd87a6b, 0xffb65c, 0xffe08a], y / horizon);
        let air = mix(air, mix(hex(0x4a3a62), hex(0xff9a6a), smooth(0.1, 0.5, y)), clouds * 0.75);
        let air = add(air, hex(0xffb050), smooth(0.7, 0.0, sun) * 0.35);
        mix(air, hex(0xfff4cf), smooth(0.085, 0.078, sun))
    };
    if y < horizon {
        return sky(y);
    }
    let deep = (y - horizon) / (1.0 - horizon);
    let far = 1.0 / (deep + 0.03);
    let waves = rough(x * (2.0 + far), far * 5.0, 4, 71) - 0.47;
    let mirrored = sky((horizon - (y - horizon) * 0.9 - waves * 0.25).clamp(0.0, horizon));
    let glitter = smooth(0.2 + deep * 0.25, 0.0, (x - sun_x + waves * 0.5).abs()) * smooth(0.0, 0.18, waves);
    let water = mix(mirrored, hex(0x10233f), 0.35 + 0.45 * deep);
    add(water, hex(0xffcf80), glitter * 0.9)
}

/// Northern lights above snow.
pub fn aurora(x: f32, y: f32) -> Colour {
    let mut colour = ramp(&[0x050918, 0x0a1a33, 0x113248, 0x1d4a55], y * 1.3);
    if chance((x * 260.0) as i32, (y * 260.0) as i32, 8) > 0.996 {
        colour = add(colour, hex(0xdfe9ff), 0.55);
    }
    for band in 0..3_u32 {
        let sway = rough(x * 1.5 + band as f32 * 3.1, 0.3, 4, 61 + band);
        let foot = 0.28 + 0.15 * band as f32 + (sway - 0.47) * 0.9;
        let rays = 0.45 + 0.55 * rough(x * 22.0 + sway * 14.0, 0.0, 3, 90 + band);
        let up = foot - y;
        let glow = if up > 0.0 { (-up * 4.6).exp() } else { (up * 42.0).exp() } * rays;
        let light = mix(hex(0x35ff9a), hex(0x9a5cff), smooth(0.05, 0.42, up));
        colour = add(colour, light, glow * 0.55);
    }
    let snow = 0.8 - 0.11 * rough(x * 1.7, 0.0, 6, 15);
    if y > snow {
        let light = 0.35 + 0.65 * rough(x * 5.0, y * 11.0, 5, 16);
        colour = mix(hex(0x0d2430), hex(0x6fc7b4), light * (0.75 - (y - snow) * 1.6));
    }
    colour
}

/// Lights of a town, out of focus.
pub fn lights(x: f32, y: f32) -> Colour {
    let mut colour = ramp(&[0x0a0d1f, 0x1a1636, 0x2c1a3a, 0x0c0a18], y);
    for light in 0..70_i32 {
        let at = |seed| chance(light, 7, seed);
        let (centre_x, centre_y, radius) = (at(1) * 1.6 - 0.05, 0.15 + at(2) * 0.7, 0.025 + 0.06 * at(3).powi(2));
        let far = ((x - centre_x).powi(2) + (y - centre_y).powi(2)).sqrt() / radius;
        let disc = smooth(1.04, 0.95, far) * (0.5 + 0.35 * far.powi(4));
        let tint = ramp(&[0xff7a3c, 0xffc15a, 0xff4f6d, 0x59c7ff, 0x8b6bff], at(4));
        colour = add(colour, tint, disc * (0.18 + 0.42 * at(5)));
    }
    colour
}

/// A poppy field under an oak, taken with the camera upright.
pub fn meadow(x: f32, y: f32) -> Colour {
    let clouds = smooth(0.45, 0.75, rough(x * 2.2, y * 4.5, 6, 19)) * smooth(0.6, 0.25, y);
    let mut colour = mix(ramp(&[0x2f7fd0, 0x8cc3ee, 0xdff0f5], y * 1.7), hex(0xffffff), clouds);
    let field = 0.6 + 0.02 * (x * 7.0).sin();
    if y > field {
        let deep = (y - field) / (1.0 - field);
        let grass = rough(x * 45.0 / (0.3 + deep), y * 9.0, 4, 23);
        colour = ramp(&[0x2f5d22, 0x5d9433, 0xa9c852], grass * 1.3 - deep * 0.25 + 0.15);
        let size = 0.008 + 0.03 * deep;
        let (column, row) = ((x / size / 1.7).floor(), (y / size).floor());
        let (dx, dy) = (x / size / 1.7 - column - 0.5, y / size - row - 0.5);
        if chance(column as i32, row as i32, 27) > 0.72 && dx * dx * 3.0 + dy * dy < 0.19 {
            colour = mix(hex(0xe2331f), hex(0x6d0f10), smooth(0.0, 0.5, dy + 0.2));
        }
    }
    let (tree_x, tree_y) = (x - 0.36, y - 0.43);
    let around = tree_y.atan2(tree_x);
    let edge = 0.18 + 0.07 * (rough(2.0 + around.cos() * 2.2, 2.0 + around.sin() * 2.2, 5, 33) - 0.45);
    if tree_x.abs() < 0.017 + 0.02 * smooth(0.12, 0.2, tree_y) && (0.0..0.2).contains(&tree_y) {
        colour = mix(hex(0x4a3524), hex(0x241a12), (tree_x + 0.02) * 30.0);
    }
    if (tree_x * tree_x * 0.8 + tree_y * tree_y * 1.3).sqrt() < edge {
        let leaves = rough(x * 30.0, y * 30.0, 4, 35);
        colour = ramp(&[0x16331a, 0x2f6226, 0x7fa63c], leaves * 1.1 - tree_y * 1.6 - tree_x * 0.9);
    }
    colour
}

/// A balloon with nothing around it: colour, and how much of it one sees.
pub fn balloon(x: f32, y: f32) -> (Colour, f32) {
    let (dx, dy) = (x - 0.4, y - 0.36);
    let half = if dy < 0.0 { (0.1 - dy * dy).max(0.0).sqrt() } else { 0.316 * (1.0 - smooth(0.0, 0.58, dy) * 0.86) };
    let edge = smooth(half + 0.002, half - 0.002, dx.abs()) * smooth(0.402, 0.398, dy);
    if edge > 0.0 {
        let around = (dx / half).clamp(-1.0, 1.0).asin();
        let stripe = ((around / TAU * 14.0 + 0.5).floor() as i32).rem_euclid(3);
        let cloth = [hex(0xe8443a), hex(0xf7c548), hex(0x2f6fb5)][stripe as usize];
        let light = 0.72 + 0.4 * (around + 0.5).cos() - 0.32 * smooth(-0.1, 0.4, dy);
        return (cloth.map(|part| part * light.clamp(0.25, 1.1)), edge);
    }
    let is_rope = (0.39..0.52).contains(&dy) && (dx.abs() - 0.05).abs() < 0.0022;
    let is_basket = (0.51..0.59).contains(&dy) && dx.abs() < 0.062 - (dy - 0.51) * 0.12;
    let weave = 0.75 + 0.25 * ((dx * 230.0).sin() * (dy * 260.0).sin()).signum();
    let shown = f32::from(u8::from(is_rope || is_basket));
    (if is_basket { hex(0x9a6a38).map(|part| part * weave) } else { hex(0x3a2a1c) }, shown)
}
