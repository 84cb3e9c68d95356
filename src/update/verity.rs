//! Whether every block of a bundle is what was signed.
//!
//! RAUC's signature is over the root of a tree of hashes (dm-verity, version 1, SHA-256,
//! blocks of 4096 bytes), and the kernel looks at a block when it is read: a flipped bit is
//! found when half of a slot is written. Here the whole tree is made anew before that.

use std::io::{self, Read, Seek, SeekFrom};

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// Bytes of a block, of data and of hashes.
pub(super) const BLOCK: u64 = 4096;

/// How the blocks of a bundle are proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Hashed before each block.
    pub salt: Vec<u8>,
    /// The hash of the topmost block.
    pub root: Vec<u8>,
    /// Bytes of the tree, which lies behind the data.
    pub size: u64,
}

impl Tree {
    /// Whether `blocks` blocks of data at the beginning of `from`, and the tree behind them, are those
    /// that the root stands for. Takes 8 MB of memory for each GB.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn proves(&self, from: &mut (impl Read + Seek), blocks: u64) -> io::Result<bool> {
        if blocks < 2 {
            // RAUC makes no such bundle.
            return Ok(false);
        }
        from.seek(SeekFrom::Start(0))?;
        let mut levels = vec![self.hashes(from, blocks)?];
        while let Some(below) = levels.last()
            && below.len() as u64 > BLOCK
        {
            let blocks = below.len() as u64 / BLOCK;
            let above = self.hashes(&mut below.as_slice(), blocks)?;
            levels.push(above);
        }
        // The topmost comes first.
        let made = levels.iter().rev().map(|level| level.len() as u64);
        if made.sum::<u64>() != self.size {
            return Ok(false);
        }
        let root = levels.last().map(|top| self.hash(top));
        if root.as_deref() != Some(self.root.as_slice()) {
            return Ok(false);
        }
        for level in levels.iter().rev() {
            let mut written = vec![0; level.len()];
            from.read_exact(&mut written)?;
            if written != *level {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The hashes of the next blocks, filled up to whole blocks.
    fn hashes(&self, from: &mut impl Read, blocks: u64) -> io::Result<Vec<u8>> {
        let mut hashes = Vec::new();
        let mut block = [0; BLOCK as usize];
        for _ in 0..blocks {
            from.read_exact(&mut block)?;
            hashes.extend_from_slice(&self.hash(&block));
        }
        hashes.resize(hashes.len().next_multiple_of(BLOCK as usize), 0);
        Ok(hashes)
    }

    fn hash(&self, block: &[u8]) -> Vec<u8> {
        let mut context = Context::new(&SHA256);
        context.update(&self.salt);
        context.update(block);
        let mut hash = Vec::with_capacity(SHA256_OUTPUT_LEN);
        hash.extend_from_slice(context.finish().as_ref());
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// 200 blocks: two blocks of hashes and one above them.
    fn data() -> Vec<u8> {
        (0..200 * BLOCK).map(|at| (at / 7 % 251) as u8).collect()
    }

    /// Data with its tree behind it, made by hand as the kernel's documents describe it.
    fn bundle() -> (Vec<u8>, Tree) {
        let mut tree = Tree {
            salt: vec![5; 32],
            root: Vec::new(),
            size: 3 * BLOCK,
        };
        let mut all = data();
        let below = tree.hashes(&mut all.as_slice(), 200).unwrap();
        assert_eq!(below.len() as u64, 2 * BLOCK);
        let top = tree.hashes(&mut below.as_slice(), 2).unwrap();
        tree.root = tree.hash(&top);
        all.extend(top);
        all.extend(below);
        (all, tree)
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let (all, tree) = bundle();
        assert!(tree.proves(&mut Cursor::new(&all), 200).unwrap());
        let everywhere = [0, 4095, 123_456, all.len() - 1, 200 * 4096, 201 * 4096 + 5];
        for at in everywhere {
            let mut flipped = all.clone();
            *flipped.get_mut(at).unwrap() ^= 0x10;
            assert!(
                !tree.proves(&mut Cursor::new(&flipped), 200).unwrap(),
                "at {at}"
            );
        }
    }

    #[test]
    fn another_salt_root_or_size_proves_nothing() {
        let (all, tree) = bundle();
        let proves = |tree: Tree, blocks| tree.proves(&mut Cursor::new(&all), blocks).unwrap();
        assert!(!proves(
            Tree {
                salt: vec![6; 32],
                ..tree.clone()
            },
            200
        ));
        assert!(!proves(
            Tree {
                root: vec![0; 32],
                ..tree.clone()
            },
            200
        ));
        assert!(!proves(
            Tree {
                size: 2 * BLOCK,
                ..tree.clone()
            },
            200
        ));
        assert!(!proves(tree.clone(), 199));
        assert!(!proves(tree, 1));
    }

    #[test]
    fn what_ends_early_is_an_error() {
        let (all, tree) = bundle();
        let short = &all[..all.len() - 1];
        assert!(tree.proves(&mut Cursor::new(short), 200).is_err());
    }
}
