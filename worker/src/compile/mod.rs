//! Compiling translation units: as the kernel was shipped, before and after.

mod replay;
mod units;

pub use replay::{KernelObject, Replay, ReplayError};
pub use units::units_of;

use crate::{
    Error,
    build::Build,
    sandbox::Bind,
    workspace::{IN, INCLUDE, OUT},
};
use std::fmt::Write;

/// A unit, compiled just as the kernel was.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The source file, relative to the source tree.
    pub unit: String,
    /// The kernel object that the unit is linked into.
    pub kernel_object: KernelObject,
    /// The object file's bytes.
    pub object: Vec<u8>,
    /// How it was compiled.
    pub replay: Replay,
}

/// Which source a unit is compiled from again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The untouched source.
    Pre,
    /// The patched source.
    Post,
}

impl Side {
    /// `pre` or `post`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
        }
    }

    /// Where the headers for patch authors are, if the source may use them.
    fn include(self) -> Option<&'static str> {
        match self {
            Self::Pre => None,
            Self::Post => Some(INCLUDE),
        }
    }
}

/// Compiles units with the kernel's own makefiles and flags.
///
/// # Errors
/// If one does not compile, or is compiled in a way that can't be repeated.
pub async fn reference(build: &Build<'_>, units: &[String]) -> Result<Vec<Reference>, Error> {
    let objects: Vec<String> = units.iter().map(|unit| object_of(unit)).collect();
    let targets: Vec<&str> = objects.iter().map(String::as_str).collect();
    let mut argv = build.target.unit_build(&targets).argv;
    argv.extend(["--no-print-directory", "-O"].map(str::to_owned));
    let mut script = format!("{} || exit $?\n", quote(&argv)?);
    for (index, object) in objects.iter().enumerate() {
        let command = command_file(object);
        let files = quote(&[object.clone(), command])?;
        let (object, command) = files.split_once(' ').unwrap_or((&files, ""));
        // Writing to a string can't fail.
        let _ = writeln!(
            script,
            "cp {object} {OUT}/{index}.ref.o && cp {command} {OUT}/{index}.cmd || exit 98"
        );
    }
    build.workspace.write("in/ref.sh", script.as_bytes())?;
    let step = build
        .workspace
        .step("ref", vec!["sh".to_owned(), format!("{IN}/ref.sh")]);
    build
        .run(&step, "the kernel's own source does not compile here")
        .await?;
    units
        .iter()
        .enumerate()
        .map(|(index, unit)| {
            let object = build.workspace.read("out", &format!("{index}.ref.o"))?;
            let command = build.workspace.read("out", &format!("{index}.cmd"))?;
            let replay = Replay::parse(&String::from_utf8_lossy(&command), &object_of(unit))
                .map_err(|error| Error::internal(format!("read how {unit} was compiled"), error))?;
            Ok(Reference {
                unit: unit.clone(),
                kernel_object: replay.kernel_object().clone(),
                object,
                replay,
            })
        })
        .collect()
}

/// Compiles units again, each function and each variable in a section of its
/// own. `patched` lies on top of the source.
///
/// # Errors
/// If one does not compile; the compiler's words are in the log.
pub async fn again(
    build: &Build<'_>,
    side: Side,
    references: &[Reference],
    patched: &[Bind],
) -> Result<Vec<Vec<u8>>, Error> {
    let name = side.as_str();
    let all: Vec<String> = (0..references.len())
        .map(|index| index.to_string())
        .collect();
    let mut makefile = format!("all: {0}\n.PHONY: all {0}\n", all.join(" "));
    for (index, reference) in references.iter().enumerate() {
        let script = reference
            .replay
            .script(&format!("{OUT}/{index}.{name}.o"), side.include())
            .map_err(|error| Error::internal(format!("compile {} again", reference.unit), error))?;
        let said = format!("  CC {name:<4} {}", reference.unit);
        let script = format!("echo {}\n{script}", quote(&[said])?);
        build
            .workspace
            .write(&format!("in/{name}/{index}.sh"), script.as_bytes())?;
        let _ = writeln!(makefile, "{index}:\n\t@sh -e {IN}/{name}/{index}.sh");
    }
    build
        .workspace
        .write(&format!("in/{name}.mk"), makefile.as_bytes())?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let argv = ["make", "--no-print-directory", "-r", "-k", "-O"]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!("-j{jobs}"),
            "-f".to_owned(),
            format!("{IN}/{name}.mk"),
        ]);
    let mut step = build.workspace.step(name, argv.collect());
    step.binds.extend(patched.iter().cloned());
    if side.include().is_some() {
        let headers = build.workspace.path("include");
        step.binds.push(Bind::read_only(headers, INCLUDE));
    }
    let failure = match side {
        Side::Pre => "the kernel's own source does not compile with function sections",
        Side::Post => "the patched source does not compile",
    };
    build.run(&step, failure).await?;
    (0..references.len())
        .map(|index| build.workspace.read("out", &format!("{index}.{name}.o")))
        .collect()
}

/// `net/ipv6/seg6.c` is compiled to `net/ipv6/seg6.o`.
fn object_of(unit: &str) -> String {
    format!("{}.o", unit.strip_suffix(".c").unwrap_or(unit))
}

/// kbuild keeps the command beside the object: `net/ipv6/.seg6.o.cmd`.
fn command_file(object: &str) -> String {
    match object.rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/.{name}.cmd"),
        None => format!(".{object}.cmd"),
    }
}

fn quote(words: &[String]) -> Result<String, Error> {
    shlex::try_join(words.iter().map(String::as_str))
        .map_err(|error| Error::internal("quote a command", error))
}
