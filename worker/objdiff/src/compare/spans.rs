//! Where two data objects of one size differ.

use std::ops::Range;

use crate::atoms::{AtomId, Link};

use super::Comparer;

/// Differences closer than this, with nothing but plain bytes between them,
/// are one.
const GAP_BYTES: usize = 32;

/// What a byte is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    /// Not a reference, the same in both.
    Plain,
    Different,
    /// A reference that is the same in both.
    SameReference,
}

impl Comparer<'_> {
    /// The spans, ascending, in which an atom of post has other contents than
    /// one of pre of the same size. A reference is in a span as a whole or not
    /// at all, and none that is the same in both; plain bytes around a
    /// difference, up to the next word's border, are part of its span.
    pub fn spans(&self, a: AtomId, b: AtomId) -> Vec<Range<u64>> {
        let (pre, post) = (self.pre.bytes_of(a), self.post.bytes_of(b));
        let mut bytes: Vec<Byte> = pre
            .iter()
            .zip(post)
            .map(|(p, q)| if p == q { Byte::Plain } else { Byte::Different })
            .collect();
        let (before, after) = (&self.pre.atoms[a].links, &self.post.atoms[b].links);
        for (own, others) in [(before, after), (after, before)] {
            for link in own {
                let other = others.iter().find(|o| o.offset == link.offset);
                let same = other.is_some_and(|other| {
                    let (l, m) = if std::ptr::eq(own, before) {
                        (link, other)
                    } else {
                        (other, link)
                    };
                    self.same_link(l, m, 0)
                });
                mark(&mut bytes, link, same);
            }
        }
        to_word_borders(&mut bytes);
        join(&bytes)
    }
}

fn mark(bytes: &mut [Byte], link: &Link, same: bool) {
    let start = usize::try_from(link.offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(link.kind.width() as usize);
    if let Some(field) = bytes.get_mut(start..end) {
        field.fill(if same {
            Byte::SameReference
        } else {
            Byte::Different
        });
    }
}

/// A word that is read as one is written as one.
fn to_word_borders(bytes: &mut [Byte]) {
    for word in bytes.chunks_mut(8) {
        if word.contains(&Byte::Different) {
            for byte in word.iter_mut().filter(|b| **b == Byte::Plain) {
                *byte = Byte::Different;
            }
        }
    }
}

fn join(bytes: &[Byte]) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (at, _) in bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == Byte::Different)
    {
        match spans.last_mut() {
            Some(last)
                if at - last.end < GAP_BYTES
                    && !bytes[last.end..at].contains(&Byte::SameReference) =>
            {
                last.end = at + 1;
            }
            _ => spans.push(at..at + 1),
        }
    }
    let wide = |span: Range<usize>| span.start as u64..span.end as u64;
    spans.into_iter().map(wide).collect()
}
