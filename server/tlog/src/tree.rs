//! The Merkle tree (RFC 6962, section 2.1): hashes, roots and proofs.

use crate::{Error, tile::Tiles};
use sha2::{Digest, Sha256};

/// A hash of the tree.
pub type Hash = [u8; 32];

/// The hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(entry);
    hash.finalize().into()
}

/// The hash of a node above two others.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// The root of a tree without entries.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// What is needed to go on appending: the perfect subtrees that a tree of this
/// size is made of, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry's hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            hash = node_hash(&left, &hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.subtrees.iter().rev();
        let Some(last) = from_right.next() else {
            return empty_root();
        };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Largest power of two that is smaller than `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The root of the entries from `start` up to and without `end`, where `start`
/// is where a subtree of the tree begins.
fn range(tiles: &Tiles, start: u64, end: u64) -> Result<Hash, Error> {
    let size = end - start;
    if size.is_power_of_two() && start.is_multiple_of(size) {
        return tiles.node(size.trailing_zeros(), start / size);
    }
    let middle = start + split(size);
    let left = range(tiles, start, middle)?;
    Ok(node_hash(&left, &range(tiles, middle, end)?))
}

/// The root of the first `size` entries.
///
/// # Errors
/// [`Error::Missing`] without the tiles at the right edge.
pub fn root(tiles: &Tiles, size: u64) -> Result<Hash, Error> {
    match size {
        0 => Ok(empty_root()),
        _ => range(tiles, 0, size),
    }
}

/// The inclusion proof of an entry in the tree of `size` (RFC 6962, section 2.1.1).
///
/// # Errors
/// [`Error::Missing`] without the tiles on the ways of the entry and of the right
/// edge; [`Error::Proof`] if there is no such entry.
pub fn inclusion_proof(tiles: &Tiles, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if index >= size {
        return Err(Error::Proof("inclusion"));
    }
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range(tiles, middle, end)?);
            end = middle;
        } else {
            proof.push(range(tiles, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The consistency proof between two sizes (RFC 6962, section 2.1.2).
///
/// # Errors
/// [`Error::Missing`] without the tiles on the ways of both right edges;
/// [`Error::Proof`] if the first is empty or larger.
pub fn consistency_proof(tiles: &Tiles, first: u64, second: u64) -> Result<Vec<Hash>, Error> {
    if first == 0 || first > second {
        return Err(Error::Proof("consistency"));
    }
    let (mut start, mut end, mut is_whole) = (0, second, true);
    let mut proof = Vec::new();
    while first != end {
        let middle = start + split(end - start);
        if first <= middle {
            proof.push(range(tiles, middle, end)?);
            end = middle;
        } else {
            proof.push(range(tiles, start, middle)?);
            start = middle;
            is_whole = false;
        }
    }
    if !is_whole {
        proof.push(range(tiles, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that an entry is the one at `index` of the tree (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`Error::Proof`] if it is not proved.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    proof: &[Hash],
    size: u64,
    root: &Hash,
) -> Result<(), Error> {
    let refused = || Error::Proof("inclusion");
    if index >= size {
        return Err(refused());
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(refused());
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root {
        Ok(())
    } else {
        Err(refused())
    }
}

/// Checks that the second tree begins with the first one (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// [`Error::Proof`] if it is not proved.
pub fn verify_consistency(
    (first, first_root): (u64, &Hash),
    (second, second_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), Error> {
    let refused = || Error::Proof("consistency");
    if first == 0 || first > second {
        return Err(refused());
    }
    if first == second {
        let same = proof.is_empty() && first_root == second_root;
        return if same { Ok(()) } else { Err(refused()) };
    }
    let mut steps = proof.iter();
    let begin = match first.is_power_of_two() {
        true => *first_root,
        false => *steps.next().ok_or_else(refused)?,
    };
    let (mut at, mut last) = (first - 1, second - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (begin, begin);
    for step in steps {
        if last == 0 {
            return Err(refused());
        }
        if at & 1 == 1 || at == last {
            old = node_hash(step, &old);
            new = node_hash(step, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, step);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && old == *first_root && new == *second_root {
        Ok(())
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The definition itself, to compare with.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let (left, right) =
                    many.split_at(usize::try_from(split(many.len() as u64)).unwrap());
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    fn tiles(leaves: &[Hash]) -> Tiles {
        let mut tiles = Tiles::default();
        for (index, leaf) in leaves.iter().enumerate() {
            tiles.push(index as u64, *leaf).unwrap();
        }
        tiles
    }

    #[test]
    fn known_roots_of_the_standards_test_vectors() {
        assert_eq!(
            hex::encode(empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex::encode(leaf_hash(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn roots_and_proofs_of_every_size_are_those_of_the_definition() {
        let all = leaves(70);
        let tiles = tiles(&all);
        let mut frontier = Frontier::default();
        for (index, leaf) in all.iter().enumerate() {
            frontier.push(*leaf);
            let size = index as u64 + 1;
            let root = defined(&all[..=index]);
            assert_eq!(frontier.root(), root);
            assert_eq!(super::root(&tiles, size).unwrap(), root);
            for entry in 0..size {
                let proof = inclusion_proof(&tiles, entry, size).unwrap();
                let leaf = &all[usize::try_from(entry).unwrap()];
                verify_inclusion(leaf, entry, &proof, size, &root).unwrap();
                for other in 0..size {
                    let fits = verify_inclusion(leaf, other, &proof, size, &root).is_ok();
                    assert_eq!(fits, other == entry);
                }
                let wrong = leaf_hash(b"other");
                assert!(verify_inclusion(&wrong, entry, &proof, size, &root).is_err());
            }
            for first in 1..=size {
                let old = defined(&all[..usize::try_from(first).unwrap()]);
                let proof = consistency_proof(&tiles, first, size).unwrap();
                verify_consistency((first, &old), (size, &root), &proof).unwrap();
                let other = leaf_hash(b"other");
                assert!(verify_consistency((first, &other), (size, &root), &proof).is_err());
                assert!(verify_consistency((first, &old), (size, &other), &proof).is_err());
                if let Some((_, short)) = proof.split_last() {
                    assert!(verify_consistency((first, &old), (size, &root), short).is_err());
                }
                let long = [proof.as_slice(), &[other]].concat();
                assert!(verify_consistency((first, &old), (size, &root), &long).is_err());
            }
        }
    }

    #[test]
    fn a_tree_over_several_levels_of_tiles_has_the_same_roots() {
        let all = leaves(256 * 256 + 700);
        let tiles = tiles(&all);
        let root = defined(&all);
        let size = all.len() as u64;
        assert_eq!(super::root(&tiles, size).unwrap(), root);
        for entry in [0, 255, 256, 65_535, 65_536, size - 1] {
            let proof = inclusion_proof(&tiles, entry, size).unwrap();
            let leaf = &all[usize::try_from(entry).unwrap()];
            verify_inclusion(leaf, entry, &proof, size, &root).unwrap();
            // What a holder of few tiles needs is on the two ways.
            let few = tiles.only(&crate::tile::needed(&[entry], size));
            assert_eq!(inclusion_proof(&few, entry, size).unwrap(), proof);
        }
        for first in [1, 255, 256, 257, 65_536, 65_537, size] {
            let proof = consistency_proof(&tiles, first, size).unwrap();
            let old = super::root(&tiles, first).unwrap();
            verify_consistency((first, &old), (size, &root), &proof).unwrap();
            let few = tiles.only(&crate::tile::needed(&[first - 1], size));
            assert_eq!(consistency_proof(&few, first, size).unwrap(), proof);
        }
    }
}
