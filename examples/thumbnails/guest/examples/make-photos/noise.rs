//! Noise that looks like nature, and mixing colours.
//!
//! Owns: the arithmetic. Does not know: what is drawn with it.

/// Red, green and blue, each from 0 to 1.
pub type Colour = [f32; 3];

/// A colour as it is written in CSS: `0xff8800`.
pub fn hex(code: u32) -> Colour {
    [16, 8, 0].map(|shift| f32::from((code >> shift) as u8) / 255.0)
}

/// A colour between two.
pub fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|at| from[at] + (to[at] - from[at]) * share)
}

/// A colour on a ramp of colours that are equally far apart.
pub fn ramp(colours: &[u32], at: f32) -> Colour {
    let last = colours.len() - 1;
    let at = at.clamp(0.0, 1.0) * last as f32;
    let from = (at as usize).min(last.saturating_sub(1));
    mix(hex(colours[from]), hex(colours[(from + 1).min(last)]), at - from as f32)
}

/// Adds light.
pub fn add(colour: Colour, light: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|at| colour[at] + light[at] * share)
}

/// From 0 to 1 between two edges, without corners.
pub fn smooth(from: f32, to: f32, at: f32) -> f32 {
    let at = ((at - from) / (to - from)).clamp(0.0, 1.0);
    at * at * (3.0 - 2.0 * at)
}

/// A number from 0 to 1 that looks as if by chance, the same for the same place.
pub fn chance(x: i32, y: i32, seed: u32) -> f32 {
    let mut hash = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    for _ in 0..2 {
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
        hash = (hash ^ (hash >> 12)).wrapping_mul(0x297A_2D39);
    }
    ((hash ^ (hash >> 15)) >> 8) as f32 / (1 << 24) as f32
}

/// Hills from 0 to 1 that are one unit wide.
pub fn hills(x: f32, y: f32, seed: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right, down) = (smooth(0.0, 1.0, x - left), smooth(0.0, 1.0, y - top));
    let corner = |dx, dy| chance(left as i32 + dx, top as i32 + dy, seed);
    let between = |from: f32, to: f32, share: f32| from + (to - from) * share;
    between(between(corner(0, 0), corner(1, 0), right), between(corner(0, 1), corner(1, 1), right), down)
}

/// Hills with smaller hills on them, `octaves` times.
pub fn rough(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        sum += weight * hills(x * scale, y * scale, seed + octave * 101);
        weight /= 2.0;
        scale *= 2.0;
    }
    sum
}
