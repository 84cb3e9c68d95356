//! The way of the speaker's blocks from its thread to the microphone's.

use std::sync::{Mutex, PoisonError};

use super::super::BLOCK;

/// Blocks that wait: 320 ms, more than a capture thread is ever late in a call. When
/// full the oldest is dropped: the canceller then sees a jump of the delay and
/// follows it.
const LIMIT: usize = 32;

/// Blocks that the speaker's card really took, in order.
///
/// The lock is held for the copy of one block (2 kB) on either side.
#[derive(Debug)]
pub struct Reference {
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    blocks: Box<[[f32; BLOCK]; LIMIT]>,
    first: usize,
    held: usize,
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            ring: Mutex::new(Ring {
                blocks: Box::new([[0.0; BLOCK]; LIMIT]),
                first: 0,
                held: 0,
            }),
        }
    }
}

impl Reference {
    /// The card took `block`.
    pub fn push(&self, block: &[f32; BLOCK]) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (ring.first + ring.held) % LIMIT;
        ring.blocks[place].copy_from_slice(block);
        if ring.held == LIMIT {
            ring.first = (ring.first + 1) % LIMIT;
        } else {
            ring.held += 1;
        }
    }

    /// The oldest block that was not taken yet, into `block`; `false` without one.
    pub fn pop(&self, block: &mut [f32; BLOCK]) -> bool {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.held == 0 {
            return false;
        }
        block.copy_from_slice(&ring.blocks[ring.first]);
        ring.first = (ring.first + 1) % LIMIT;
        ring.held -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_order_and_the_oldest_are_dropped() {
        let reference = Reference::default();
        let mut block = [0.0; BLOCK];
        assert!(!reference.pop(&mut block));
        for number in 0..LIMIT + 3 {
            reference.push(&[number as f32; BLOCK]);
        }
        for number in 3..LIMIT + 3 {
            assert!(reference.pop(&mut block));
            assert_eq!(block, [number as f32; BLOCK]);
        }
        assert!(!reference.pop(&mut block));
    }
}
