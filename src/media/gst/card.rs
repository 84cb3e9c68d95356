//! The card that stands for the picture while there is no camera: a frame that is
//! crossed out, and "NO PICTURE" below it. Pure drawing into I420 planes; every
//! dot is ours.

use super::clock_picture::Plane;

/// Pictures a second: a far end that asks for one waits 200 ms at most, and
/// encoding costs next to nothing.
pub(super) const FPS: u32 = 5;

/// Luma of the ground and of what is drawn on it (video range). The ground is neither
/// black nor white, so that no machine reads a clock from it.
const GROUND: u8 = 104;
const INK: u8 = 235;
/// Chroma without colour.
const NEUTRAL: u8 = 128;

/// Size of the crossed-out frame, dots.
const SIGN: (usize, usize) = (20, 12);
/// Between sign and words, dots.
const GAP: usize = 3;
/// Size of a letter without the space after it, dots.
const LETTER: (usize, usize) = (5, 7);

/// "NO PICTURE", a row of each letter in 5 bits.
const WORDS: [[u8; 7]; 10] = [
    [0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11],
    [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
    [0; 7],
    [0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10],
    [0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e],
    [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e],
    [0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04],
    [0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
    [0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11],
    [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f],
];

/// Draws the card for pictures of `width` x `height` pixels.
pub(super) fn draw(width: usize, height: usize, mut luma: Plane<'_>, chroma: [Plane<'_>; 2]) {
    luma.fill(0, 0, width, height, GROUND);
    for mut plane in chroma {
        plane.fill(0, 0, width.div_ceil(2), height.div_ceil(2), NEUTRAL);
    }
    // The words take three quarters of the width.
    let dot = (width / 80).max(1);
    let rows = SIGN.1 + GAP + LETTER.1;
    let top = height.saturating_sub(rows * dot) / 2;
    let words = WORDS.len() * (LETTER.0 + 1) - 1;
    let left = |columns: usize| width.saturating_sub(columns * dot) / 2;
    let mut dots = |left: usize, row: usize, lit: &dyn Fn(usize) -> bool, columns: usize| {
        for column in (0..columns).filter(|column| lit(*column)) {
            luma.fill(left + column * dot, top + row * dot, dot, dot, INK);
        }
    };
    for row in 0..SIGN.1 {
        dots(left(SIGN.0), row, &|column| in_sign(column, row), SIGN.0);
    }
    for row in 0..LETTER.1 {
        let lit = |column| in_words(column, row);
        dots(left(words), SIGN.1 + GAP + row, &lit, words);
    }
}

/// The words, a column of space between two letters.
fn in_words(column: usize, row: usize) -> bool {
    let (letter, bit) = (column / (LETTER.0 + 1), column % (LETTER.0 + 1));
    bit < LETTER.0 && WORDS[letter][row] >> (LETTER.0 - 1 - bit) & 1 == 1
}

/// A frame, and a bar from its lower left to its upper right that stands free of it.
fn in_sign(column: usize, row: usize) -> bool {
    let (right, bottom) = (SIGN.0 - 1, SIGN.1 - 1);
    // How far from the diagonal, in parts of a dot's height (`right` of them).
    let off = ((bottom - row) * right).abs_diff(bottom * column);
    if off <= right {
        return off <= right / 2 + 1;
    }
    let frame = column == 0 || column == right || row == 1 || row == bottom - 1;
    frame && off > 2 * right && (1..bottom).contains(&row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize, height: usize) -> (Vec<u8>, Vec<u8>) {
        let mut luma = vec![0; width * height];
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut u = vec![0; half_width * half_height];
        let mut v = u.clone();
        let plane = |data, stride| Plane { data, stride };
        draw(
            width,
            height,
            plane(&mut luma, width),
            [plane(&mut u, half_width), plane(&mut v, half_width)],
        );
        (luma, u)
    }

    #[test]
    fn the_card_says_no_picture() {
        let (luma, u) = drawn(1280, 720);
        assert!(u.iter().all(|value| *value == NEUTRAL));
        // Read back as dots: 80 in a row, from the top of the sign on.
        let top = (720 - 22 * 16) / 2;
        let text: Vec<String> = (0..22)
            .map(|row| {
                let at = |column: usize| luma[(top + row * 16 + 8) * 1280 + column * 16 + 8];
                let dot = |column| if at(column) == INK { '#' } else { '.' };
                (0..80).map(dot).collect()
            })
            .collect();
        println!("{}", text.join("\n"));
        // The left edge of the words is half a dot off the grid of 80.
        assert!(
            text[15].contains("#...#.") && text[15].contains("..#####.."),
            "{}",
            text[15]
        );
        assert!(text[0].contains('#'), "the bar stands out above the frame");
        let lit = luma.iter().filter(|value| **value == INK).count();
        let all = luma.iter().filter(|v| [INK, GROUND].contains(v)).count();
        assert_eq!(all, luma.len());
        assert!((20_000..200_000).contains(&lit), "{lit}");
    }

    #[test]
    fn the_smallest_picture_has_room_for_it() {
        let (luma, _) = drawn(160, 120);
        assert!(luma.contains(&INK));
        let edge = luma
            .chunks(160)
            .all(|row| row[0] == GROUND && row[159] == GROUND);
        assert!(edge, "nothing is cut off");
        // Smaller than any camera: cut, but no panic.
        drawn(8, 4);
    }
}
