//! Which translation units a patch changes.
//!
//! The index says which units may contain a touched file. A unit whose own
//! source is touched is compiled. Of the others, thousands for some headers, those
//! that do contain one ([`opened`](super::opened)) are preprocessed with and
//! without the patch, at once if that can be ([`both`](crate::patch::both)), and
//! only those are compiled whose code can differ ([`difference`](super::difference)).

use super::{Index, Unit, difference, opened::opening, replay::preprocess};
use crate::{
    Error,
    build::{Build, blocking},
    patch::{Patch, both_versions},
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
    let changed = changed(build, &index, patch, patched, &including).await?;
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
) -> Result<Including<'a>, Error> {
    if units.len() > MAX_REACHED {
        return Err(Error::Refused(format!(
            "too-many-units: {} units may include what the patch touches, the limit is {MAX_REACHED}",
            units.len()
        )));
    }
    let files: BTreeSet<&str> = patch.sources().map(String::as_str).collect();
    let (renamed, others) = split(units, |unit| renamed.contains(unit.object.as_str()));
    let mut including = Including::default();
    if !others.is_empty() {
        including.known = opening(build, index, &files, &others).await?;
    }
    including.renamed = renamed;
    if units.is_empty() {
        return Ok(including);
    }
    build.log.line(&format!(
        "{} units may include what the patch touches, {} of them do",
        units.len(),
        including.known.len() + including.renamed.len()
    ));
    Ok(including)
}

/// Units that include what a patch touches.
#[derive(Default)]
struct Including<'a> {
    /// The preprocessor says so.
    known: Vec<&'a Unit>,
    /// They may include what the patch adds.
    renamed: Vec<&'a Unit>,
}

/// Preprocesses units with and without the patch, and gives those that can differ.
async fn changed<'a>(
    build: &Build<'_>,
    index: &Index,
    patch: &Patch,
    patched: &[Bind],
    including: &Including<'a>,
) -> Result<Vec<&'a Unit>, Error> {
    let (both, without) = both_versions(build, patch)?;
    let without: BTreeSet<&str> = without.iter().map(String::as_str).collect();
    let mut twice = including.renamed.clone();
    twice.extend(opening(build, index, &without, &including.known).await?);
    let objects: BTreeSet<&str> = twice.iter().map(|unit| unit.object.as_str()).collect();
    // Lines of assembly are compared as they stand.
    let (once, assembly) = split(&including.known, |unit| {
        unit.source.ends_with(".c") && !objects.contains(unit.object.as_str())
    });
    let assembly = assembly.into_iter();
    twice.extend(assembly.filter(|unit| !objects.contains(unit.object.as_str())));
    let mut changed = Vec::new();
    let mut done = 0;
    for batch in once.chunks(BATCH) {
        let texts = texts(build, index, batch, &Version::Both(&both)).await?;
        let affected = each(texts, |text| {
            text.as_deref().and_then(difference::affected_in_both)
        })
        .await?;
        let before = changed.len();
        for (unit, affected) in batch.iter().zip(affected) {
            match affected {
                Some(true) => changed.push(*unit),
                Some(false) => {}
                None => twice.push(unit),
            }
        }
        done += batch.len();
        say(
            build,
            done,
            once.len(),
            changed.get(before..).unwrap_or_default(),
        );
    }
    done = 0;
    for batch in twice.chunks(BATCH) {
        let posts = texts(build, index, batch, &Version::Post(patched)).await?;
        let pres = texts(build, index, batch, &Version::Pre).await?;
        let assembly = batch.iter().map(|unit| !unit.source.ends_with(".c"));
        let pairs = pres.into_iter().zip(posts).zip(assembly).collect();
        let differ = each(pairs, differs).await?;
        let before = changed.len();
        let differing = batch.iter().zip(differ).filter(|(_, differs)| *differs);
        changed.extend(differing.map(|(unit, _)| *unit));
        done += batch.len();
        say(
            build,
            done,
            twice.len(),
            changed.get(before..).unwrap_or_default(),
        );
    }
    Ok(changed)
}

fn say(build: &Build<'_>, done: usize, all: usize, changed: &[&Unit]) {
    build
        .log
        .line(&format!("{done} of {all}: {} can change", changed.len()));
    for unit in changed {
        build.log.line(&format!("  can change {}", unit.object));
    }
}

fn split<'a>(units: &[&'a Unit], first: impl Fn(&Unit) -> bool) -> (Vec<&'a Unit>, Vec<&'a Unit>) {
    units.iter().copied().partition(|unit| first(unit))
}

fn differs(((pre, post), assembly): &((Text, Text), bool)) -> bool {
    match (pre, post) {
        (Some(pre), Some(post)) if *assembly => difference::differ(pre, post),
        (Some(pre), Some(post)) => difference::affected(pre, post),
        // What can't be told here, the compiler will tell.
        _ => true,
    }
}

/// Looks at each, as many at a time as there are processors.
async fn each<T, R>(list: Vec<T>, look: fn(&T) -> R) -> Result<Vec<R>, Error>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let work = move || {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let size = list.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = list
                .chunks(size)
                .map(|part| scope.spawn(move || part.iter().map(look).collect::<Vec<R>>()))
                .collect();
            let mut all = Vec::with_capacity(list.len());
            for part in parts {
                let part = part.join().map_err(|_| {
                    Error::internal("compare preprocessed units", "a thread panicked")
                })?;
                all.extend(part);
            }
            Ok(all)
        })
    };
    blocking("compare preprocessed units", work).await
}

/// What preprocessing gave; nothing if it failed.
type Text = Option<Vec<u8>>;

/// Which source is preprocessed.
enum Version<'a> {
    Pre,
    Post(&'a [Bind]),
    /// With both versions of each place that changes.
    Both(&'a [Bind]),
}

async fn texts(
    build: &Build<'_>,
    index: &Index,
    units: &[&Unit],
    version: &Version<'_>,
) -> Result<Vec<Text>, Error> {
    let headers = format!("-I{INCLUDE}");
    let (name, binds, flags): (_, &[Bind], &[&str]) = match version {
        Version::Pre => ("cpp-pre", &[], &[]),
        Version::Post(binds) => ("cpp-post", binds, &[&headers]),
        // Where a line came from is of no interest, and takes a sixth of the time.
        Version::Both(binds) => ("cpp-both", binds, &["-P", &headers]),
    };
    let all: Vec<String> = (0..units.len()).map(|index| index.to_string()).collect();
    let mut makefile = format!("all: {0}\n.PHONY: all {0}\n", all.join(" "));
    for (number, unit) in units.iter().enumerate() {
        let command = index.command(unit);
        let compiler = command.split(|word| word == ";").next().unwrap_or_default();
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
    step.binds.extend(binds.iter().cloned());
    if !matches!(version, Version::Pre) {
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

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
