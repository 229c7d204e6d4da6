//! Tiles (C2SP tlog-tiles): the hashes of every eighth level, 256 at a time.

use crate::{Error, Hash, tree::node_hash};
use std::collections::{BTreeMap, BTreeSet};

/// Hashes of a full tile, and entries of a full bundle.
pub const WIDTH: u64 = 256;
/// Levels of the tree in a tile.
const HEIGHT: u32 = 8;
/// Largest entry in bytes: its length is two bytes in a bundle.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// 0 for hashes of entries, 1 for those of full tiles of level 0, and so on.
    pub level: u32,
    /// From the left.
    pub index: u64,
}

/// Tiles of one tree; some may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tiles(BTreeMap<Place, Vec<Hash>>);

impl Tiles {
    /// Puts a tile there.
    pub fn insert(&mut self, place: Place, hashes: Vec<Hash>) {
        self.0.insert(place, hashes);
    }

    /// A tile.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&[Hash]> {
        self.0.get(&place).map(Vec::as_slice)
    }

    /// All of them, by level and index.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &[Hash])> {
        self.0
            .iter()
            .map(|(place, hashes)| (*place, hashes.as_slice()))
    }

    /// These alone.
    #[must_use]
    pub fn only(&self, places: &BTreeSet<Place>) -> Self {
        let wanted = self.0.iter().filter(|(place, _)| places.contains(place));
        Self(
            wanted
                .map(|(place, hashes)| (*place, hashes.clone()))
                .collect(),
        )
    }

    /// Appends the hash of entry `index`, and those of the tiles that it fills.
    /// Returns the tiles that have changed.
    ///
    /// # Errors
    /// [`Error::Missing`] if a tile at the right edge is not there or not as long
    /// as it must be.
    pub fn push(&mut self, index: u64, leaf: Hash) -> Result<Vec<Place>, Error> {
        let mut changed = Vec::new();
        let (mut level, mut index, mut hash) = (0, index, leaf);
        loop {
            let place = Place {
                level,
                index: index / WIDTH,
            };
            let tile = self.0.entry(place).or_default();
            if tile.len() as u64 != index % WIDTH {
                return Err(Error::Missing { level, index });
            }
            tile.push(hash);
            changed.push(place);
            if tile.len() as u64 != WIDTH {
                return Ok(changed);
            }
            hash = subtree(tile);
            level += 1;
            index /= WIDTH;
        }
    }

    /// The root of the perfect subtree `index` of height `height`.
    pub(crate) fn node(&self, height: u32, index: u64) -> Result<Hash, Error> {
        let level = height / HEIGHT;
        let count = 1 << (height % HEIGHT);
        let first = index * count;
        let missing = Error::Missing {
            level,
            index: first,
        };
        let place = Place {
            level,
            index: first / WIDTH,
        };
        // Both are smaller than a tile.
        let within = (first % WIDTH) as usize;
        let hashes = self
            .get(place)
            .and_then(|tile| tile.get(within..within + count as usize));
        hashes.map(subtree).ok_or(missing)
    }
}

/// The root over a power of two of hashes.
fn subtree(hashes: &[Hash]) -> Hash {
    match hashes {
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

/// The tiles that proofs about these entries need in a tree of `size`: those on
/// their ways to the root, and those on the way of the last entry.
#[must_use]
pub fn needed(entries: &[u64], size: u64) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    let Some(last) = size.checked_sub(1) else {
        return places;
    };
    for entry in entries.iter().copied().chain([last]) {
        let mut level = 0;
        let (mut index, mut count) = (entry.min(last), size);
        while count > 0 {
            for index in [index, count - 1] {
                if index < count {
                    let index = index / WIDTH;
                    places.insert(Place { level, index });
                }
            }
            level += 1;
            index /= WIDTH;
            count /= WIDTH;
        }
    }
    places
}

/// The number of a tile in a path: `1234567` is `x001/x234/567`.
#[must_use]
pub fn number(index: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// Reads the number of a tile, and of a partial one its width: `x001/234.p/5`.
#[must_use]
pub fn parse_number(text: &str) -> Option<(u64, Option<u64>)> {
    let (path, width) = match text.split_once(".p/") {
        Some((path, width)) => {
            let width: u64 = width.parse().ok()?;
            (path, Some(width).filter(|w| (1..WIDTH).contains(w))?.into())
        }
        None => (text, None),
    };
    let digits = path.replace(['x', '/'], "");
    let index = digits.parse().ok()?;
    // There is one way to write it.
    let exact = match width {
        Some(width) => format!("{}.p/{width}", number(index)),
        None => number(index),
    };
    (exact == text).then_some((index, width))
}

/// A bundle of entries: each after its length in two bytes.
#[must_use]
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiles_number_is_written_in_one_way() {
        for (index, text) in [
            (0, "000"),
            (999, "999"),
            (1000, "x001/000"),
            (1_234_067, "x001/x234/067"),
        ] {
            assert_eq!(number(index), text);
            assert_eq!(parse_number(text), Some((index, None)));
            let partial = format!("{text}.p/7");
            assert_eq!(parse_number(&partial), Some((index, Some(7))));
        }
        for bad in [
            "",
            "0",
            "0000",
            "x000/001",
            "001/000",
            "000.p/0",
            "000.p/256",
            "000.p/07",
            "+00",
        ] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bundle_has_each_entry_after_its_length() {
        let bytes = bundle([b"ab".as_slice(), b""]);
        assert_eq!(bytes.as_deref(), Some([0, 2, b'a', b'b', 0, 0].as_slice()));
        assert_eq!(bundle([vec![0; 65_536].as_slice()]), None);
    }
}
