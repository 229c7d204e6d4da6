//! Running the compilers of units in the sandbox.

use super::{Objects, Replay};
use crate::{
    Error,
    build::Build,
    sandbox::Bind,
    workspace::{IN, INCLUDE, OBJECTS},
};
use std::{collections::BTreeSet, fmt::Write, time::Duration};

/// Time that a unit may take on top of a step's own limit: kvm/x86.c needs 9 s
/// on an idle machine.
const UNIT_WALL: Duration = Duration::from_secs(10);

/// A unit's commands, to be run in the sandbox.
pub(super) struct Job<'a> {
    pub(super) unit: &'a str,
    pub(super) replay: &'a Replay,
}

impl Job<'_> {
    fn script(&self, shipped: bool, output: &str) -> Result<String, Error> {
        let script = if shipped {
            self.replay.shipped(output)
        } else {
            self.replay.script(output, None)
        };
        script.map_err(|error| Error::internal(format!("compile {}", self.unit), error))
    }

    /// What names its objects in the cache, whatever place they had in a job.
    fn key(&self, shipped: bool) -> Result<String, Error> {
        self.script(shipped, "unit.o")
    }

    /// The mark of a unit that includes what the build itself generates.
    fn generated(&self) -> Result<String, Error> {
        Ok(format!("generated {}", self.key(true)?))
    }
}

/// Objects of the patched source, which are never kept.
pub(super) async fn patched_objects(
    build: &Build<'_>,
    jobs: &[Job<'_>],
    patched: &[Bind],
) -> Result<Vec<Vec<u8>>, Error> {
    generate(build, jobs).await?;
    let mut scripts = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let script = job
            .replay
            .script(&format!("{OBJECTS}/{index}.o"), Some(INCLUDE))
            .map_err(|error| Error::internal(format!("compile {}", job.unit), error))?;
        scripts.push((job.unit.to_owned(), script));
    }
    let mut binds = patched.to_vec();
    let headers = build.workspace.path("include");
    binds.push(Bind::read_only(headers, INCLUDE));
    let made = run(build, "post", &scripts, &binds, true).await?;
    jobs.iter()
        .zip(made)
        .map(|(job, object)| object.ok_or_else(|| missing(job.unit)))
        .collect()
}

/// Objects of the untouched source: from the cache, or made and kept.
pub(super) async fn kept(
    build: &Build<'_>,
    jobs: &[Job<'_>],
    shipped: bool,
) -> Result<Vec<Vec<u8>>, Error> {
    let cache = Objects::of(build.target);
    let keys: Vec<String> = jobs
        .iter()
        .map(|job| job.key(shipped))
        .collect::<Result<_, _>>()?;
    let mut objects: Vec<Option<Vec<u8>>> = keys.iter().map(|key| cache.get(key)).collect();
    let wanted: Vec<usize> = (0..jobs.len())
        .filter(|index| objects.get(*index).is_some_and(Option::is_none))
        .collect();
    let name = if shipped { "ref" } else { "pre" };
    if wanted.len() < jobs.len() {
        build.log.line(&format!(
            "{name}: {} of {} objects are in the cache",
            jobs.len() - wanted.len(),
            jobs.len()
        ));
    }
    if !wanted.is_empty() {
        let jobs: Vec<Job<'_>> = wanted
            .iter()
            .filter_map(|index| jobs.get(*index))
            .map(|job| Job { ..*job })
            .collect();
        let made = untouched(build, name, &jobs, shipped).await?;
        for (index, object) in wanted.into_iter().zip(made) {
            if let (Some(key), Some(place)) = (keys.get(index), objects.get_mut(index)) {
                cache.put(key, &object)?;
                *place = Some(object);
            }
        }
        cache.sweep();
    }
    jobs.iter()
        .zip(objects)
        .map(|(job, object)| object.ok_or_else(|| missing(job.unit)))
        .collect()
}

/// Compiles untouched units. One that does not compile at once may include what
/// the build itself generates: kbuild makes that, in the job's own tree.
async fn untouched(
    build: &Build<'_>,
    name: &str,
    jobs: &[Job<'_>],
    shipped: bool,
) -> Result<Vec<Vec<u8>>, Error> {
    generate(build, jobs).await?;
    let scripts = scripts(jobs, shipped)?;
    let mut made = run(build, name, &scripts, &[], false).await?;
    let failed: Vec<usize> = (0..jobs.len())
        .filter(|index| made.get(*index).is_some_and(Option::is_none))
        .collect();
    if !failed.is_empty() {
        let cache = Objects::of(build.target);
        let pick = |index: &usize| jobs.get(*index).map(|job| Job { ..*job });
        let again: Vec<Job<'_>> = failed.iter().filter_map(pick).collect();
        for job in &again {
            cache.put(&job.generated()?, b"")?;
        }
        generate(build, &again).await?;
        let scripts = self::scripts(&again, shipped)?;
        for (index, object) in failed
            .into_iter()
            .zip(run(build, name, &scripts, &[], true).await?)
        {
            if let Some(place) = made.get_mut(index) {
                *place = object;
            }
        }
    }
    jobs.iter()
        .zip(made)
        .map(|(job, object)| object.ok_or_else(|| missing(job.unit)))
        .collect()
}

/// Lets kbuild make what units include that the source does not have.
async fn generate(build: &Build<'_>, jobs: &[Job<'_>]) -> Result<(), Error> {
    let cache = Objects::of(build.target);
    let mut wanted = BTreeSet::new();
    for job in jobs {
        let object = job.replay.object();
        let there = build.workspace.path("build").join(object).exists();
        if !there && cache.get(&job.generated()?).is_some() {
            wanted.insert(object);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let targets: Vec<&str> = wanted.into_iter().collect();
    let mut argv = build.target.unit_build(&targets).argv;
    argv.extend(["--no-print-directory", "-O"].map(str::to_owned));
    let step = build.workspace.kbuild_step("generate", argv)?;
    build
        .run(&step, "the kernel's own source does not compile here")
        .await
}

fn scripts(jobs: &[Job<'_>], shipped: bool) -> Result<Vec<(String, String)>, Error> {
    jobs.iter()
        .enumerate()
        .map(|(index, job)| {
            let output = format!("{OBJECTS}/{index}.o");
            Ok((job.unit.to_owned(), job.script(shipped, &output)?))
        })
        .collect()
}

/// Runs one script for each unit, as many at a time as there are processors,
/// and reads `N.o` of each. Unless it `must` work, the compilers are silent and
/// a failure only means that there is no object.
async fn run(
    build: &Build<'_>,
    name: &str,
    scripts: &[(String, String)],
    patched: &[Bind],
    must: bool,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let all: Vec<String> = (0..scripts.len()).map(|index| index.to_string()).collect();
    let mut makefile = format!("all: {0}\n.PHONY: all {0}\n", all.join(" "));
    let silent = if must { "" } else { " 2> /dev/null || true" };
    for (index, (unit, script)) in scripts.iter().enumerate() {
        let said = format!("  CC {name:<4} {unit}");
        let script = format!("echo {}\n{script}", quote(&[said])?);
        build
            .workspace
            .write(&format!("in/{name}/{index}.sh"), script.as_bytes())?;
        // Writing to a string can't fail.
        let _ = writeln!(
            makefile,
            "{index}:\n\t@sh -e {IN}/{name}/{index}.sh{silent}"
        );
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
    let mut step = build.workspace.object_step(name, argv.collect())?;
    step.binds.extend(patched.iter().cloned());
    let units = u32::try_from(scripts.len()).unwrap_or(u32::MAX);
    step.limits.wall = step.limits.wall.saturating_add(UNIT_WALL * units);
    let failure = match name {
        "ref" => "the kernel's own source does not compile here",
        "pre" => "the kernel's own source does not compile with function sections",
        _ => "the patched source does not compile",
    };
    build.run(&step, failure).await?;
    (0..scripts.len())
        .map(|index| {
            let name = format!("{index}.o");
            if build.workspace.has_object(&name) {
                build.workspace.read("objects", &name).map(Some)
            } else {
                Ok(None)
            }
        })
        .collect()
}

fn missing(unit: &str) -> Error {
    Error::internal(format!("compile {unit}"), "there is no object file")
}

pub(crate) fn quote(words: &[String]) -> Result<String, Error> {
    shlex::try_join(words.iter().map(String::as_str))
        .map_err(|error| Error::internal("quote a command", error))
}
