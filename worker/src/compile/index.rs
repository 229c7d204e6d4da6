//! What a target's configuration builds: how each unit is compiled, what it
//! becomes part of, and what it includes.
//!
//! Made once per target, on first need, and kept in the cache: 12 s of CPU time
//! for the 4,800 objects of a cloud kernel, most of it in `make -n`.

use super::{
    includes::{BUILD, Includes, Trees, name_of, search_paths},
    kbuild::{self, Planned},
    objects::Objects,
    quote,
    replay::{Replay, ReplayError},
};
use crate::{
    Error,
    build::{Build, blocking},
    workspace::{IN, OUT},
};
use resplice_target::SANDBOX_SOURCE;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// Version of the index and of how it is made.
pub(super) const RECIPE: &str = "resplice-index-v2";

/// What a target's configuration builds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Index {
    /// Each word of the commands, once.
    words: Vec<String>,
    units: Vec<Unit>,
    includes: Includes,
}

/// One object that the configuration builds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unit {
    /// The object file, relative to the build tree.
    pub object: String,
    /// The source file, relative to the source tree; one that the build itself
    /// makes begins with `@build/`.
    pub source: String,
    /// `vmlinux` or `module NAME` for each kernel object that it is linked into.
    pub links: Vec<String>,
    command: Vec<u32>,
}

impl Index {
    /// Takes the index from the cache, or makes it.
    ///
    /// # Errors
    /// If kbuild's dry run is not understood.
    pub async fn load(build: &Build<'_>) -> Result<Self, Error> {
        let objects = Objects::of(build.target);
        if let Some(index) = Self::kept(&objects) {
            return Ok(index);
        }
        // Of several workers, one makes it and the others wait.
        let locked = objects.clone();
        let _lock = blocking("wait for the index of units", move || locked.lock()).await?;
        if let Some(index) = Self::kept(&objects) {
            return Ok(index);
        }
        let index = Self::make(build).await?;
        let bytes = serde_json::to_vec(&index)
            .map_err(|error| Error::internal("write the index of units", error))?;
        objects.put(RECIPE, &bytes)?;
        Ok(index)
    }

    fn kept(objects: &Objects) -> Option<Self> {
        serde_json::from_slice(&objects.get(RECIPE)?).ok()
    }

    async fn make(build: &Build<'_>) -> Result<Self, Error> {
        build
            .log
            .line("listing what this configuration builds (once for each kernel)");
        let planned = dry_run(build).await?;
        let trees = scan(build, &planned).await?;
        let index = blocking("index the units", move || Ok(Self::new(planned, &trees))).await?;
        build.log.line(&format!(
            "{} objects, {} of them in modules",
            index.units.len(),
            index
                .units
                .iter()
                .filter(|unit| unit.links.iter().any(|link| link != "vmlinux"))
                .count()
        ));
        Ok(index)
    }

    fn new(planned: Vec<Planned>, trees: &Trees) -> Self {
        let (mut words, mut numbers) = (Vec::new(), HashMap::new());
        let mut dirs = BTreeSet::new();
        let (mut units, mut first) = (Vec::new(), Vec::new());
        for planned in planned {
            let source = source_of(&planned);
            let (searched, included) = search_paths(&planned.command, SANDBOX_SOURCE);
            dirs.extend(searched);
            first.extend(included.into_iter().map(|file| (source.clone(), file)));
            let command = planned.command.into_iter().map(|word| {
                // There are a few thousand words.
                let next = u32::try_from(words.len()).unwrap_or(u32::MAX);
                *numbers.entry(word).or_insert_with_key(|word| {
                    words.push(word.clone());
                    next
                })
            });
            units.push(Unit {
                command: command.collect(),
                object: planned.object,
                source,
                links: planned.links.into_iter().collect(),
            });
        }
        let roots = units.iter().map(|unit| unit.source.clone());
        let forced = first.iter().map(|(_, file)| file.clone());
        let mut includes = Includes::follow(trees, roots.chain(forced), &dirs);
        let edges: BTreeSet<(String, String)> = first.into_iter().collect();
        includes.add_all(edges);
        Self {
            words,
            units,
            includes,
        }
    }

    /// All that is built from a source file, linked or not.
    pub fn of_source<'a>(&'a self, source: &'a str) -> impl Iterator<Item = &'a Unit> {
        self.units.iter().filter(move |unit| unit.source == source)
    }

    /// The units that contain any of these files, sorted by object. `new` are
    /// files that do not exist before the patch: all that include another by
    /// their name are reached.
    #[must_use]
    pub fn reached(&self, files: &[String], new: &[String]) -> Vec<&Unit> {
        let mut start: Vec<&str> = files.iter().map(String::as_str).collect();
        for file in new {
            let name = file.rsplit('/').next().unwrap_or(file);
            start.extend(self.includes.named(name));
        }
        let reached = self.includes.reached(start);
        self.units
            .iter()
            .filter(|unit| reached.contains(unit.source.as_str()))
            .collect()
    }

    /// A unit's command in words.
    #[must_use]
    pub fn command(&self, unit: &Unit) -> Vec<String> {
        let word = |number: &u32| self.words.get(*number as usize).cloned();
        unit.command.iter().filter_map(word).collect()
    }

    /// How a unit is compiled.
    ///
    /// # Errors
    /// If it is compiled in a way that can't be repeated.
    pub fn replay(&self, unit: &Unit) -> Result<Replay, ReplayError> {
        Replay::from_words(&self.command(unit), &unit.object)
    }
}

/// The last word of the compiler's part of the command.
fn source_of(planned: &Planned) -> String {
    let compiler = planned.command.split(|word| word == ";").next();
    let last = compiler.and_then(<[String]>::last);
    last.map_or_else(String::new, |path| name_of(path, SANDBOX_SOURCE))
}

async fn dry_run(build: &Build<'_>) -> Result<Vec<Planned>, Error> {
    let workspace = &build.workspace;
    let make = quote(&build.target.dry_run().argv)?;
    workspace.write("in/plan.sed", kbuild::SED.as_bytes())?;
    // make wants to see a key that only exists where the distribution signs.
    let script = format!(
        "key=$(sed -n 's/^CONFIG_MODULE_SIG_KEY=\"\\([^\"]*\\)\"$/\\1/p' .config)\n\
         case $key in /*|'') ;; *) mkdir -p \"$(dirname \"$key\")\" && touch \"$key\";; esac\n\
         {make} 2> {OUT}/plan.errors | sed -n -f {IN}/plan.sed > {OUT}/plan\n"
    );
    workspace.write("in/plan.sh", script.as_bytes())?;
    let argv = vec!["sh".to_owned(), format!("{IN}/plan.sh")];
    let step = workspace.kbuild_step("index", argv)?;
    build
        .run(&step, "kbuild does not say what it would do")
        .await?;
    let errors = workspace.read("out", "plan.errors")?;
    let errors = String::from_utf8_lossy(&errors).into_owned();
    if let Some(complaint) = kbuild::complaint(&errors) {
        return Err(Error::internal("list what kbuild would do", complaint));
    }
    let text = workspace.read("out", "plan")?;
    blocking("read kbuild's dry run", move || {
        let plan = kbuild::plan(&String::from_utf8_lossy(&text))
            .map_err(|line| Error::internal("read kbuild's dry run", line))?;
        if plan.is_empty() {
            return Err(Error::internal("read kbuild's dry run", "it is empty"));
        }
        Ok(plan)
    })
    .await
}

/// Reads the `#include` lines below the directories that units come from.
async fn scan(build: &Build<'_>, planned: &[Planned]) -> Result<Trees, Error> {
    let mut directories: BTreeSet<String> = ["include".to_owned()].into();
    for planned in planned {
        let source = source_of(planned);
        if source.starts_with(BUILD) || source.starts_with('/') {
            continue;
        }
        let parts: Vec<&str> = source.split('/').collect();
        directories.extend(match parts.as_slice() {
            ["arch", arch, _, ..] => Some(format!("arch/{arch}")),
            [top, _, ..] => Some((*top).to_owned()),
            _ => None,
        });
    }
    let directories = quote(&directories.into_iter().collect::<Vec<_>>())?;
    let grep =
        "grep -rIE --include='*.[chS]' --include='*.inc' '^[[:space:]]*#[[:space:]]*include'";
    let script = format!(
        "cd {SANDBOX_SOURCE} || exit 99\n\
         find {directories} -type f > {OUT}/files || exit 98\n\
         {grep} {directories} > {OUT}/includes || exit 97\n\
         cd {} || exit 99\n\
         find . -type f -name '*.h' > {OUT}/build.files || exit 98\n\
         {grep} . > {OUT}/build.includes || [ $? -eq 1 ] || exit 97\n",
        resplice_target::SANDBOX_BUILD
    );
    let workspace = &build.workspace;
    workspace.write("in/scan.sh", script.as_bytes())?;
    let argv = vec!["sh".to_owned(), format!("{IN}/scan.sh")];
    build
        .run(
            &workspace.step("scan", argv),
            "the source can't be searched",
        )
        .await?;
    let text = |name: &str| -> Result<String, Error> {
        let bytes = workspace.read("out", name)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut trees = Trees::default();
    trees.add_files(&text("files")?, "");
    trees.add_lines(&text("includes")?, "");
    trees.add_files(&text("build.files")?, BUILD);
    trees.add_lines(&text("build.includes")?, BUILD);
    Ok(trees)
}
