//! One encoder, several far ends: how many bits the pictures of a codec may have.
//!
//! The least that a live far end can take decides. More would end that call, while
//! the others lose some sharpness and nothing else; and mostly there is one far
//! end, or several that ring on one network. A far end whose way is cut does not
//! count: its pictures are lost whatever their size.

use std::collections::BTreeMap;

/// The far ends of one codec's pictures, by what each can take, bits a second.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    next: u64,
    shares: BTreeMap<u64, Option<u32>>,
}

impl Budget {
    /// A new far end, of which nothing is known.
    pub(crate) fn join(&mut self) -> u64 {
        self.next += 1;
        self.shares.insert(self.next, None);
        self.next
    }

    /// The far end `id` can take this much; `None`: it does not count.
    pub(crate) fn afford(&mut self, id: u64, bits: Option<u32>) {
        if let Some(share) = self.shares.get_mut(&id) {
            *share = bits;
        }
    }

    /// The far end has gone.
    pub(crate) fn leave(&mut self, id: u64) {
        self.shares.remove(&id);
    }

    /// How many far ends there are.
    pub(crate) fn followers(&self) -> usize {
        self.shares.len()
    }

    /// What the pictures may have; `None` while nobody has said anything.
    pub(crate) fn bits(&self) -> Option<u32> {
        self.shares.values().copied().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_live_far_end_decides() {
        let mut budget = Budget::default();
        let (a, b) = (budget.join(), budget.join());
        assert_eq!((budget.followers(), budget.bits()), (2, None));
        budget.afford(a, Some(2_000_000));
        assert_eq!(budget.bits(), Some(2_000_000));
        budget.afford(b, Some(300_000));
        assert_eq!(budget.bits(), Some(300_000));
        // Its way is cut.
        budget.afford(b, None);
        assert_eq!(budget.bits(), Some(2_000_000));
        budget.afford(b, Some(400_000));
        budget.leave(b);
        budget.afford(b, Some(1));
        assert_eq!((budget.followers(), budget.bits()), (1, Some(2_000_000)));
    }
}
