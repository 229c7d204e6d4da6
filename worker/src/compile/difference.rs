//! Whether a unit's code can differ, told from its preprocessed text.
//!
//! A header that thousands of units include is used by few of them. The text is
//! cut into declarations. One that emits nothing by itself (a prototype, a type,
//! a `static inline` function) matters only to those that mention its name; so
//! from the declarations that changed, names are followed until one is reached
//! that does emit something. Only then is the unit compiled. Whatever is not
//! recognised counts as emitting.

use super::{
    declarations::{Declaration, declarations},
    tokens::{is_marker, is_word, tokens},
};
use std::collections::{HashMap, HashSet};

/// Whether the difference of two preprocessed texts can change object code.
#[must_use]
pub fn affected(pre: &[u8], post: &[u8]) -> bool {
    let (pre, post) = (tokens(pre), tokens(post));
    if pre == post {
        return false;
    }
    let (pre, post) = (declarations(&pre), declarations(&post));
    let Some(changed) = changed(&pre, &post) else {
        return true;
    };
    let mut names = HashSet::new();
    for declaration in changed {
        if !declaration.is_quiet() {
            return true;
        }
        names.extend(declaration.names());
    }
    reaches_code(&post, names)
}

/// Whether texts of assembly differ in more than line markers and white space.
#[must_use]
pub fn differ(pre: &[u8], post: &[u8]) -> bool {
    let lines = |text| <[u8]>::split(text, |&byte| byte == b'\n').filter(|line| is_text(line));
    !lines(pre)
        .map(<[u8]>::trim_ascii)
        .eq(lines(post).map(<[u8]>::trim_ascii))
}

fn is_text(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    !line.is_empty() && !is_marker(line)
}

/// Follows names until code is reached or no name is new.
fn reaches_code<'a>(declarations: &[Declaration<'a>], names: HashSet<&'a [u8]>) -> bool {
    let mut mentions: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (place, declaration) in declarations.iter().enumerate() {
        for name in declaration.tokens.iter().filter(|token| is_word(token)) {
            let places = mentions.entry(name).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    let mut seen = vec![false; declarations.len()];
    let mut queue: Vec<&[u8]> = names.into_iter().collect();
    while let Some(name) = queue.pop() {
        // Each name leads to where it is mentioned once.
        for place in mentions.remove(name).unwrap_or_default() {
            let (Some(declaration), Some(seen)) = (declarations.get(place), seen.get_mut(place))
            else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            if !declaration.is_quiet() {
                return true;
            }
            queue.extend(declaration.names());
        }
    }
    false
}

/// What is left of two lists between what they begin with and end with alike.
fn between<'t, 'a>(
    pre: &'t [Declaration<'a>],
    post: &'t [Declaration<'a>],
) -> (&'t [Declaration<'a>], &'t [Declaration<'a>]) {
    let alike = |(pre, post): &(&Declaration<'_>, &Declaration<'_>)| pre.tokens == post.tokens;
    let head = pre.iter().zip(post).take_while(alike).count();
    let pre = pre.get(head..).unwrap_or_default();
    let post = post.get(head..).unwrap_or_default();
    let tail = pre.iter().rev().zip(post.iter().rev()).take_while(alike);
    let tail = tail.count();
    (
        pre.get(..pre.len() - tail).unwrap_or_default(),
        post.get(..post.len() - tail).unwrap_or_default(),
    )
}

/// The declarations that are in one list only; nothing if the others do not
/// come in the same order.
fn changed<'t, 'a>(
    pre: &'t [Declaration<'a>],
    post: &'t [Declaration<'a>],
) -> Option<Vec<&'t Declaration<'a>>> {
    let (pre, post) = between(pre, post);
    let mut counts: HashMap<&[&[u8]], isize> = HashMap::new();
    for declaration in pre {
        *counts.entry(declaration.tokens).or_default() += 1;
    }
    for declaration in post {
        *counts.entry(declaration.tokens).or_default() -= 1;
    }
    let differs = |declaration: &&'t Declaration<'a>| {
        counts
            .get(declaration.tokens)
            .is_none_or(|&count| count != 0)
    };
    let same = |list: &'t [Declaration<'a>]| -> Vec<&'t [&'a [u8]]> {
        list.iter()
            .filter(|declaration| !differs(declaration))
            .map(|declaration| declaration.tokens)
            .collect()
    };
    if same(pre) != same(post) {
        return None;
    }
    Some(pre.iter().chain(post).filter(differs).collect())
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
