//! Which translation units a patch changes.
//!
//! The index says which units may contain a touched file. A unit whose own
//! source is touched is compiled. Of the others, thousands for some headers, those
//! that do contain one ([`opened`](super::opened)) are preprocessed before and
//! after, and only those are compiled whose code can differ
//! ([`difference`](super::difference)).

use super::{Index, Unit, difference, opened::opening, replay::preprocess};
use crate::{
    Error,
    build::{Build, blocking},
    patch::Patch,
    sandbox::Bind,
    workspace::{IN, INCLUDE, OBJECTS},
};
use std::{collections::BTreeSet, fmt::Write};

/// Most units that are compiled for one patch.
pub const MAX_UNITS: usize = 400;
/// Most units that are looked at for one patch, for up to 0.4 s of CPU time each.
/// Debian's amd64 kernel has 13,700.
pub const MAX_REACHED: usize = 20_000;
/// Units that are preprocessed in one go: some 2 MB of text each.
const BATCH: usize = 48;
/// Runs once, before there is a kernel; its memory is gone.
const BOOT_ONLY: [&str; 2] = ["arch/x86/boot/", "drivers/firmware/efi/libstub/"];

/// The units of this kernel that the patch can change, sorted. What it leaves
/// alone is named in the log.
///
/// # Errors
/// [`Error::Nothing`] if it changes no unit of this kernel; [`Error::Refused`]
/// if it changes assembly, a program that the kernel carries, or more than
/// [`MAX_UNITS`] units, or may reach more than [`MAX_REACHED`].
pub async fn units(
    build: &Build<'_>,
    patch: &Patch,
    patched: &[Bind],
) -> Result<Vec<String>, Error> {
    let index = Index::load(build).await?;
    let mut reached: Vec<&Unit> = Vec::new();
    // What a new file reaches: no unit has opened it yet.
    let mut renamed: BTreeSet<&str> = BTreeSet::new();
    for file in patch.sources() {
        let new: &[String] = if patch.added().contains(file) {
            std::slice::from_ref(file)
        } else {
            &[]
        };
        let units = index.reached(std::slice::from_ref(file), new);
        if units.is_empty() {
            build
                .log
                .line(&format!("{file} is in no object of this kernel"));
        }
        if !new.is_empty() {
            renamed.extend(units.iter().map(|unit| unit.object.as_str()));
        }
        reached.extend(units);
    }
    reached.sort_by_key(|unit| &unit.object);
    reached.dedup_by_key(|unit| &unit.object);
    let touched = |unit: &&Unit| {
        unit.source.ends_with(".c")
            && !unit.links.is_empty()
            && patch.files().binary_search(&unit.source).is_ok()
    };
    let (direct, others): (Vec<&Unit>, Vec<&Unit>) = reached.into_iter().partition(touched);
    let including = including(build, &index, patch, &others, &renamed).await?;
    let changed = changed(build, &index, patched, &including).await?;
    let mut units: BTreeSet<String> = direct.iter().map(|unit| unit.source.clone()).collect();
    for unit in changed {
        if linked(build, unit)? {
            units.insert(unit.source.clone());
        }
    }
    if units.is_empty() {
        return Err(Error::Nothing(
            "the patch changes nothing that this kernel's configuration builds".to_owned(),
        ));
    }
    if units.len() > MAX_UNITS {
        return Err(Error::Refused(format!(
            "too-many-units: the patch changes {} units, the limit is {MAX_UNITS}",
            units.len()
        )));
    }
    Ok(units.into_iter().collect())
}

/// Whether a changed unit's code is the kernel's or a module's.
fn linked(build: &Build<'_>, unit: &Unit) -> Result<bool, Error> {
    if BOOT_ONLY.iter().any(|path| unit.object.starts_with(path)) {
        build.log.line(&format!(
            "{} changes, but runs only before the kernel",
            unit.object
        ));
        return Ok(false);
    }
    if unit.links.is_empty() {
        return Err(Error::Refused(format!(
            "not-linked: the patch changes {}, which becomes data of the kernel and not its code \
             (the vDSO, start code of processors, offsets for assembly and the like)",
            unit.object
        )));
    }
    if !unit.source.ends_with(".c") {
        return Err(Error::Refused(format!(
            "assembly: the patch changes {}, whose code is not divided into functions",
            unit.source
        )));
    }
    Ok(true)
}

/// Those of the units that include what the patch touches, or may. `renamed`
/// are the objects of those that a new file's name can reach.
async fn including<'a>(
    build: &Build<'_>,
    index: &Index,
    patch: &Patch,
    units: &[&'a Unit],
    renamed: &BTreeSet<&str>,
) -> Result<Vec<&'a Unit>, Error> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    if units.len() > MAX_REACHED {
        return Err(Error::Refused(format!(
            "too-many-units: {} units may include what the patch touches, the limit is {MAX_REACHED}",
            units.len()
        )));
    }
    let (mut including, others): (Vec<&'a Unit>, Vec<&'a Unit>) = units
        .iter()
        .copied()
        .partition(|unit| renamed.contains(unit.object.as_str()));
    let files: BTreeSet<&str> = patch.sources().map(String::as_str).collect();
    including.extend(opening(build, index, &files, &others).await?);
    including.sort_by_key(|unit| &unit.object);
    build.log.line(&format!(
        "{} units may include what the patch touches, {} of them do",
        units.len(),
        including.len()
    ));
    Ok(including)
}

/// Preprocesses units after and before, and gives those that can differ.
async fn changed<'a>(
    build: &Build<'_>,
    index: &Index,
    patched: &[Bind],
    units: &[&'a Unit],
) -> Result<Vec<&'a Unit>, Error> {
    let mut changed = Vec::new();
    let mut done = 0;
    for batch in units.chunks(BATCH) {
        let posts = texts(build, index, batch, Some(patched)).await?;
        let pres = texts(build, index, batch, None).await?;
        let assembly: Vec<bool> = batch
            .iter()
            .map(|unit| !unit.source.ends_with(".c"))
            .collect();
        let differ = blocking("compare preprocessed units", move || {
            Ok(compare(pres, posts, assembly))
        })
        .await?;
        let before = changed.len();
        let differing = batch.iter().zip(differ).filter(|(_, differs)| *differs);
        changed.extend(differing.map(|(unit, _)| *unit));
        done += batch.len();
        build.log.line(&format!(
            "{done} of {}: {} can change",
            units.len(),
            changed.len() - before
        ));
        for unit in changed.get(before..).unwrap_or_default() {
            build.log.line(&format!("  can change {}", unit.object));
        }
    }
    Ok(changed)
}

/// Whether each unit can differ, as many at a time as there are processors.
fn compare(pres: Vec<Text>, posts: Vec<Text>, assembly: Vec<bool>) -> Vec<bool> {
    let pairs: Vec<(Text, Text, bool)> = pres
        .into_iter()
        .zip(posts)
        .zip(assembly)
        .map(|((pre, post), assembly)| (pre, post, assembly))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let parts: Vec<_> = pairs
            .chunks(pairs.len().div_ceil(threads).max(1))
            .map(|part| {
                let part_of = || part.iter().map(differs).collect::<Vec<bool>>();
                (part.len(), scope.spawn(part_of))
            })
            .collect();
        parts
            .into_iter()
            // A unit that could not be compared is compiled.
            .flat_map(|(len, part)| part.join().unwrap_or_else(|_| vec![true; len]))
            .collect()
    })
}

fn differs((pre, post, assembly): &(Text, Text, bool)) -> bool {
    match (pre, post) {
        (Some(pre), Some(post)) if *assembly => difference::differ(pre, post),
        (Some(pre), Some(post)) => difference::affected(pre, post),
        // What can't be told here, the compiler will tell.
        _ => true,
    }
}

/// What preprocessing gave; nothing if it failed.
type Text = Option<Vec<u8>>;

async fn texts(
    build: &Build<'_>,
    index: &Index,
    units: &[&Unit],
    patched: Option<&[Bind]>,
) -> Result<Vec<Text>, Error> {
    let name = if patched.is_some() {
        "cpp-post"
    } else {
        "cpp-pre"
    };
    let all: Vec<String> = (0..units.len()).map(|index| index.to_string()).collect();
    let mut makefile = format!("all: {0}\n.PHONY: all {0}\n", all.join(" "));
    for (number, unit) in units.iter().enumerate() {
        let command = index.command(unit);
        let compiler = command.split(|word| word == ";").next().unwrap_or_default();
        let flags: &[&str] = if patched.is_some() {
            &["-I/resplice/include"]
        } else {
            &[]
        };
        let output = format!("{OBJECTS}/{number}.i");
        let cpp = preprocess(compiler, &unit.object, &output, flags)
            .map_err(|error| Error::internal(format!("preprocess {}", unit.source), error))?;
        let script = format!("{cpp} 2> /dev/null || rm -f {output}\n");
        build
            .workspace
            .write(&format!("in/{name}/{number}.sh"), script.as_bytes())?;
        let _ = writeln!(makefile, "{number}:\n\t@sh {IN}/{name}/{number}.sh");
    }
    build
        .workspace
        .write(&format!("in/{name}.mk"), makefile.as_bytes())?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let words = ["make", "--no-print-directory", "-r", "-k", "-O"].map(str::to_owned);
    let rest = [
        format!("-j{jobs}"),
        "-f".to_owned(),
        format!("{IN}/{name}.mk"),
    ];
    let argv: Vec<String> = words.into_iter().chain(rest).collect();
    let mut step = build.workspace.object_step(name, argv)?;
    if let Some(patched) = patched {
        step.binds.extend(patched.iter().cloned());
        let headers = build.workspace.path("include");
        step.binds.push(Bind::read_only(headers, INCLUDE));
    }
    build.run(&step, "the units can't be preprocessed").await?;
    (0..units.len())
        .map(|number| {
            let name = format!("{number}.i");
            if !build.workspace.has_object(&name) {
                return Ok(None);
            }
            build.workspace.read("objects", &name).map(Some)
        })
        .collect()
}
