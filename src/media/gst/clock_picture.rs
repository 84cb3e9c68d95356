//! The test picture: what a camera without a camera shows.
//!
//! Over a calm background a coloured block goes to and fro, large digits show the
//! time of day (UTC) and one row of blocks carries the wall clock for machines, so that anybody who
//! decodes the picture can tell how old it is. Pure drawing into I420 planes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The width that the places below are for; other pictures have them in proportion.
const WIDTH: usize = 1280;
/// Edge of one clock block, pixels: a multiple of every codec's block size, so
/// that black and white stay crisp.
pub const BLOCK: usize = 32;
/// How many blocks: one bit each, most significant first.
pub const BLOCKS: usize = 24;
/// Left edge of the first block, pixels.
pub const BLOCKS_X: usize = 64;
/// Upper edge of the blocks, pixels.
pub const BLOCKS_Y: usize = 64;
/// The grey frame round the blocks, x, y, width and height: half a block wide, so
/// that nothing beside them blurs into them.
const BLOCKS_FRAME: (usize, usize, usize, usize) = (
    BLOCKS_X - BLOCK / 2,
    BLOCKS_Y - BLOCK / 2,
    (BLOCKS + 1) * BLOCK,
    2 * BLOCK,
);

/// Luma of black, white and of the grey between (video range).
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const GREY: u8 = 126;
/// Chroma without colour.
const NEUTRAL: u8 = 128;
/// Edge of one dot of a digit, pixels.
const DOT: usize = 16;

/// The numbers 0 to 9 and the colon, 3 dots wide and 5 high, a row in 3 bits.
const GLYPHS: [[u8; 5]; 11] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b001, 0b001, 0b001],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
    [0b000, 0b010, 0b000, 0b010, 0b000],
];

/// The value of the blocks at `now`: milliseconds since the epoch, modulo 2^24
/// (it wraps every 4 h 39 min).
pub fn clock_value(now: SystemTime) -> u32 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (since.as_millis() & 0xff_ffff) as u32
}

/// One writable plane of a picture.
pub(super) struct Plane<'a> {
    pub(super) data: &'a mut [u8],
    pub(super) stride: usize,
}

impl Plane<'_> {
    /// Fills a rectangle; what lies outside of the plane is left out.
    pub(super) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, value: u8) {
        for row in self.data.chunks_mut(self.stride).skip(y).take(height) {
            let end = (x + width).min(row.len());
            if x < end {
                row[x..end].fill(value);
            }
        }
    }
}

/// Draws the test picture of one size.
#[derive(Debug)]
pub(super) struct ClockPicture {
    width: usize,
    height: usize,
    /// Luma of each row of the background.
    background: Vec<u8>,
}

impl ClockPicture {
    /// For pictures of `width` x `height` pixels.
    pub(super) fn new(width: usize, height: usize) -> Self {
        // From 40 to 110: dusk, and far enough from black to tell it from a
        // picture that is not there.
        let background = (0..height)
            .map(|row| (40 + 70 * row / height.max(1)) as u8)
            .collect();
        Self {
            width,
            height,
            background,
        }
    }

    /// Draws the picture of this moment; `count` moves the coloured block. The blocks
    /// show when they are drawn, after all the rest.
    pub(super) fn draw(
        &self,
        mut luma: Plane<'_>,
        chroma: [Plane<'_>; 2],
        count: u64,
        now: impl Fn() -> SystemTime,
    ) {
        self.draw_background(&mut luma);
        self.draw_digits(&mut luma, now());
        let (x, y) = self.mover_at(count);
        let block = self.scaled(BLOCK);
        luma.fill(x, y, 4 * block, 2 * block, 190);
        for (mut plane, (dusk, colour)) in chroma.into_iter().zip([(142, 100), (122, 170)]) {
            let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
            plane.fill(0, 0, width, height, dusk);
            plane.fill(x / 2, y / 2, 2 * block, block, colour);
            let (x, y, width, height) = self.blocks_frame();
            plane.fill(x / 2, y / 2, width / 2, height / 2, NEUTRAL);
        }
        // Last, so that nothing lies over it.
        self.draw_blocks(&mut luma, clock_value(now()));
    }

    /// As many pixels as `pixels` are in a picture of [`WIDTH`]; even, for colour has
    /// half of the resolution.
    fn scaled(&self, pixels: usize) -> usize {
        (pixels * self.width / WIDTH).max(2) & !1
    }

    fn blocks_frame(&self) -> (usize, usize, usize, usize) {
        let (x, y, width, height) = BLOCKS_FRAME;
        (
            self.scaled(x),
            self.scaled(y),
            self.scaled(width),
            self.scaled(height),
        )
    }

    fn draw_background(&self, luma: &mut Plane<'_>) {
        let rows = luma.data.chunks_mut(luma.stride);
        for (row, value) in rows.zip(&self.background) {
            let end = self.width.min(row.len());
            row[..end].fill(*value);
        }
    }

    fn draw_blocks(&self, luma: &mut Plane<'_>, value: u32) {
        let (x, y, width, height) = self.blocks_frame();
        let (left, top, block) = (
            self.scaled(BLOCKS_X),
            self.scaled(BLOCKS_Y),
            self.scaled(BLOCK),
        );
        luma.fill(x, y, width, height, GREY);
        for bit in 0..BLOCKS {
            let lit = value >> (BLOCKS - 1 - bit) & 1 == 1;
            let colour = if lit { WHITE } else { BLACK };
            luma.fill(left + bit * block, top, block, block, colour);
        }
    }

    fn draw_digits(&self, luma: &mut Plane<'_>, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let seconds = since.as_secs() as usize % 86_400;
        let pairs = [seconds / 3600, seconds / 60 % 60, seconds % 60];
        let mut glyphs = [10; 8];
        for (place, pair) in pairs.into_iter().enumerate() {
            glyphs[3 * place] = pair / 10;
            glyphs[3 * place + 1] = pair % 10;
        }
        let dot = self.scaled(DOT);
        let left = self.width.saturating_sub(glyphs.len() * 4 * dot) / 2;
        let top = self.height / 2 - (5 * dot / 2).min(self.height / 2);
        for (place, glyph) in glyphs.into_iter().enumerate() {
            for (row, bits) in GLYPHS[glyph].into_iter().enumerate() {
                for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                    let x = left + (4 * place + column) * dot;
                    luma.fill(x, top + row * dot, dot, dot, WHITE);
                }
            }
        }
    }

    /// The coloured block goes to and fro along the bottom, 8 pixels a picture.
    fn mover_at(&self, count: u64) -> (usize, usize) {
        let block = self.scaled(BLOCK);
        let way = self.width.saturating_sub(4 * block).max(1);
        let place = (count as usize).wrapping_mul(8) % (2 * way);
        let x = if place < way { place } else { 2 * way - place };
        // Even, so that the colour lies exactly over the light.
        (x & !1, self.height.saturating_sub(4 * block) & !1)
    }
}

/// Reads the clock blocks back from a luma plane 1280 wide; `None` where a block is
/// neither black nor white.
///
/// It is the inverse of what the test picture draws, for tests and benches that
/// decode it.
pub fn read_clock(luma: &[u8], stride: usize) -> Option<u32> {
    let mut value = 0;
    for bit in 0..BLOCKS {
        // The middle of the block: edges blur.
        let x = BLOCKS_X + bit * BLOCK + BLOCK / 2;
        let y = BLOCKS_Y + BLOCK / 2;
        let mut sum = 0;
        for row in y - 4..y + 4 {
            let line = luma.get(row * stride + x - 4..row * stride + x + 4)?;
            sum += line.iter().map(|value| u32::from(*value)).sum::<u32>();
        }
        value = value << 1
            | match sum / 64 {
                0..=80 => 0,
                170..=255 => 1,
                _ => return None,
            };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(now: SystemTime, count: u64) -> Vec<u8> {
        let mut luma = vec![0; 1280 * 720];
        let (mut u, mut v) = (vec![0; 640 * 360], vec![0; 640 * 360]);
        ClockPicture::new(1280, 720).draw(
            Plane {
                data: &mut luma,
                stride: 1280,
            },
            [
                Plane {
                    data: &mut u,
                    stride: 640,
                },
                Plane {
                    data: &mut v,
                    stride: 640,
                },
            ],
            count,
            || now,
        );
        luma
    }

    #[test]
    fn the_blocks_say_the_time_to_the_millisecond() {
        for ms in [0, 1, 0xff_ffff, 1_795_000_000_123] {
            let now = UNIX_EPOCH + Duration::from_millis(ms);
            assert_eq!(
                read_clock(&drawn(now, ms), 1280),
                Some((ms & 0xff_ffff) as u32)
            );
        }
    }

    #[test]
    fn the_clock_counts_milliseconds() {
        let at = |ms| clock_value(UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(0x1_0000_0000 + 42), 42);
    }

    #[test]
    fn the_picture_moves_although_the_time_stands() {
        assert_ne!(drawn(UNIX_EPOCH, 0), drawn(UNIX_EPOCH, 1));
    }

    #[test]
    fn a_grey_picture_has_no_clock() {
        assert_eq!(read_clock(&vec![GREY; 1280 * 720], 1280), None);
        assert_eq!(read_clock(&[], 1280), None);
    }

    #[test]
    fn a_small_picture_is_drawn_without_a_panic() {
        let mut luma = [0; 64 * 32];
        let (mut u, mut v) = ([0; 32 * 16], [0; 32 * 16]);
        let [data, u, v] = [&mut luma[..], &mut u[..], &mut v[..]];
        let plane = |data, stride| Plane { data, stride };
        ClockPicture::new(64, 32).draw(plane(data, 64), [plane(u, 32), plane(v, 32)], 7, || {
            UNIX_EPOCH
        });
    }
}
