//! One C file for each class of change, compiled before and after it as kernel
//! code is, then differenced and written as a delta.
//!
//! A case is `units/NAME.c`, or `units/NAME/*.c` if it has several units. The
//! change is `#ifdef POST`; `kernel.h` is always included and stands for what
//! the kernel's own headers would emit. The first comment says what must come
//! out, a line for each fact (see [`expect`]): what is not said must be empty.
//!
//! ```text
//! /*
//!  * A sentence about the case.
//!  *
//!  * outcome: replace
//!  * replaced: f g
//!  */
//! ```
//!
//! Run one: `cargo nextest run -p resplice-objdiff --test cases NAME`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test

mod compiler;
mod delta;
mod expect;

use std::path::{Path, PathBuf};

use expect::{Expected, Found};
use libtest_mimic::{Arguments, Failed, Trial};
use resplice_objdiff::delta::{Identity, UnitInput, write_delta};
use resplice_objdiff::linked::check_module;
use resplice_objdiff::symvers::Symvers;

/// The id of all cases' updates.
const ID: &str = "rsp_case";
/// What the kernel of all cases exports; `exports:` adds to it, `NAME@MODULE` what
/// a module exports.
const EXPORTS: [&str; 7] = [
    "__fentry__",
    "__x86_return_thunk",
    "__x86_indirect_thunk_rax",
    "__stack_chk_fail",
    "take",
    "sink",
    "_printk",
];

fn main() {
    let arguments = Arguments::from_args();
    let units = Path::new("tests/cases/units");
    let trials = files(units)
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Trial::test(name, move || run(&path))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// A directory's entries by name.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

struct Objects {
    name: String,
    reference: Vec<u8>,
    pre: Vec<u8>,
    post: Vec<u8>,
}

fn run(path: &Path) -> Result<(), Failed> {
    let sources = if path.is_dir() {
        files(path)
    } else {
        vec![path.to_owned()]
    };
    let text = std::fs::read_to_string(&sources[0])?;
    let expected = Expected::parse(&text)?;
    let mut objects = Vec::new();
    for source in &sources {
        let name = source.file_name().unwrap().to_string_lossy().into_owned();
        let build = |flags: &[&str]| compiler::compile(source, flags, &expected.flags);
        objects.push(Objects {
            reference: build(&[])?,
            pre: build(&compiler::SPLIT)?,
            post: build(&[&compiler::SPLIT[..], &["-DPOST"]].concat())?,
            name,
        });
    }
    compare(&expected, &objects)
}

fn compare(expected: &Expected, objects: &[Objects]) -> Result<(), Failed> {
    let inputs: Vec<UnitInput<'_>> = objects
        .iter()
        .map(|o| UnitInput {
            name: &o.name,
            reference: &o.reference,
            pre: &o.pre,
            post: &o.post,
            touched: expected.touched.as_ref(),
            declared: &expected.declared,
        })
        .collect();
    let symvers = symvers(expected);
    let delta = match write_delta(ID, &expected.object, &inputs, &symvers) {
        Ok(delta) => delta,
        Err(error) => return expected.check(&Found::error(&error.to_string())),
    };
    expected.check(&Found::new(&delta)?)?;
    // Differencing and the check of its result must agree, linked or not.
    if let Some(bytes) = &delta.bytes {
        for module in [bytes.clone(), compiler::link(bytes)?] {
            check_module(&module, &Identity::new(ID)?, &delta.plan, &inputs, &symvers)?;
        }
    }
    Ok(())
}

fn symvers(expected: &Expected) -> Symvers {
    let mut text = String::new();
    let more = expected.exports.iter().map(String::as_str);
    for name in EXPORTS.into_iter().chain(more) {
        let (name, object) = name.split_once('@').unwrap_or((name, "vmlinux"));
        text.push_str(&format!("0x1\t{name}\t{object}\tEXPORT_SYMBOL\t\n"));
    }
    Symvers::parse(&text).unwrap()
}
