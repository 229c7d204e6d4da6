//! The instructions of replaced functions before and after, for reviewers.
//!
//! AT&T syntax, as in the kernel's own messages. What a relocation refers to is
//! named: symbols without the compiler's counters, strings by what they say.

mod text;

use crate::elf::{ElfError, Object, Symbol};
use crate::names;
use crate::plan::UnitPlan;
use serde::Serialize;

/// Most instructions of one function on one side.
const MAX_FUNCTION_LINES: usize = 2_000;
/// Most instructions of a listing.
const MAX_LINES: usize = 12_000;
/// Most functions of a listing, cold parts counted as functions.
const MAX_FUNCTIONS: usize = 256;

/// The code of replaced functions, as far as the limits go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// In the order of the plan; a cold part follows its function.
    pub functions: Vec<FunctionListing>,
    /// Functions that are left out because the listing is full.
    pub left_out: usize,
}

/// A function, or the cold part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionListing {
    /// Its symbol in the running kernel.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The kernel object that it is in.
    pub object: String,
    /// What runs now; empty where it has no such part.
    pub pre: Side,
    /// What replaces it.
    pub post: Side,
}

/// One version of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its instructions, ascending.
    pub lines: Vec<Line>,
    /// Bytes behind the last line, which is one of too many.
    pub cut_bytes: u64,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Bytes from the function's start.
    pub offset: u64,
    /// In hex; fields of relocations are zero.
    pub bytes: String,
    /// The instruction, without the target of a branch within the function.
    pub text: String,
    /// Where such a branch leads to, in bytes from the function's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u64>,
}

/// A unit whose functions are replaced.
#[derive(Clone, Copy, Debug)]
pub struct UnitInput<'a> {
    /// The kernel object that it is in.
    pub object: &'a str,
    /// What differencing found.
    pub plan: &'a UnitPlan,
    /// The object before the change.
    pub pre: &'a [u8],
    /// And after it.
    pub post: &'a [u8],
}

/// Lists the functions that the plans replace.
///
/// # Errors
/// If an object can't be read.
pub fn listing(units: &[UnitInput<'_>]) -> Result<Listing, ElfError> {
    let mut found = Listing::default();
    let mut left = MAX_LINES;
    for unit in units.iter().filter(|unit| !unit.plan.replaced.is_empty()) {
        let (pre, post) = (Object::parse(unit.pre)?, Object::parse(unit.post)?);
        for function in &unit.plan.replaced {
            let cold = format!("{}.cold", function.name);
            for name in [&function.name, &cold] {
                let symbols = (symbol(&pre, name), symbol(&post, name));
                if symbols.0.is_none() && symbols.1.is_none() {
                    continue;
                }
                if left == 0 || found.functions.len() == MAX_FUNCTIONS {
                    found.left_out += 1;
                    continue;
                }
                found.functions.push(FunctionListing {
                    name: name.clone(),
                    unit: unit.plan.name.clone(),
                    object: unit.object.to_owned(),
                    pre: side(&pre, symbols.0, &mut left),
                    post: side(&post, symbols.1, &mut left),
                });
            }
        }
    }
    Ok(found)
}

/// The function of that name, or the only one that is so called without counters.
fn symbol<'o>(object: &'o Object, name: &str) -> Option<&'o Symbol> {
    let mut functions = object.symbols.iter().filter(|s| s.is_function());
    if let Some(found) = functions.find(|s| s.name == name) {
        return Some(found);
    }
    let wanted = names::normalise(name);
    let alike = |s: &&Symbol| s.is_function() && names::normalise(&s.name) == wanted;
    let mut found = object.symbols.iter().filter(alike);
    found.next().filter(|_| found.next().is_none())
}

fn side(object: &Object, symbol: Option<&Symbol>, left: &mut usize) -> Side {
    let most = MAX_FUNCTION_LINES.min(*left);
    let side = symbol.map_or_else(Side::default, |symbol| text::read(object, symbol, most));
    *left = left.saturating_sub(side.lines.len());
    side
}

#[cfg(test)]
mod tests;
