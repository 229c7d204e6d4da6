//! Which files a unit opens under this configuration, as the preprocessor says.
//!
//! The index follows every `#include` line, whatever conditions stand around
//! it: some headers have twice as many units that way as do open them. `gcc -M`
//! tells, for a quarter of what it costs to preprocess before and after a
//! patch, and depends on the target alone; what it said is kept.
//!
//! Why a unit that opens none of the touched files can't change: preprocessing
//! is a function of the command and of the bytes of the files that are opened.
//! After the patch it reads the same up to the first file that the patch has
//! changed or removed, and that one it also opened before. A file that the
//! patch *adds* may be found where another one was, or nothing: what that
//! reaches is not asked about here.

use super::{Index, Unit, includes::name_of, index, objects::Objects, replay::preprocess};
use crate::{
    Error,
    build::{Build, blocking},
    workspace::{IN, OBJECTS},
};
use resplice_target::SANDBOX_SOURCE;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

/// Version of the list and of how it is made.
const RECIPE: &str = "resplice-opened-v1";
/// Units that are asked about in one go: some 40 s of CPU time.
const BATCH: usize = 480;

/// What the units of a target open, as far as somebody has asked.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Files of the source tree, each once.
    files: Vec<String>,
    /// By object, what its unit opens: places in `files`.
    units: BTreeMap<String, Vec<u32>>,
}

impl Opened {
    fn kept(objects: &Objects) -> Self {
        let bytes = objects.get(&key());
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Takes in what units open.
    fn extend(&mut self, units: impl IntoIterator<Item = (String, BTreeSet<String>)>) {
        let files = std::mem::take(&mut self.files);
        let mut places: HashMap<String, u32> = HashMap::new();
        let mut place = |file: String| {
            // The kernel has 70,000 files.
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
            *places.entry(file).or_insert(next)
        };
        for file in files {
            place(file);
        }
        for (object, opened) in units {
            let opened = opened.into_iter().map(&mut place).collect();
            self.units.insert(object, opened);
        }
        self.files = vec![String::new(); places.len()];
        for (file, place) in places {
            if let Some(slot) = self.files.get_mut(place as usize) {
                *slot = file;
            }
        }
    }

    /// The places of some files; those that nobody opens have none.
    fn places(&self, files: &BTreeSet<&str>) -> BTreeSet<u32> {
        (0..)
            .zip(&self.files)
            .filter(|(_, file)| files.contains(file.as_str()))
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether a unit opens one of the files at these places. One of which
    /// nothing is known may.
    fn may_open(&self, object: &str, places: &BTreeSet<u32>) -> bool {
        self.units
            .get(object)
            .is_none_or(|opened| opened.iter().any(|place| places.contains(place)))
    }
}

/// Those of the units that open one of these files, or about which the
/// preprocessor has nothing to say: they may include what only a build generates.
///
/// # Errors
/// If the sandbox fails, or the list can't be kept.
pub async fn opening<'a>(
    build: &Build<'_>,
    index: &Index,
    files: &BTreeSet<&str>,
    units: &[&'a Unit],
) -> Result<Vec<&'a Unit>, Error> {
    if units.is_empty() || files.is_empty() {
        return Ok(Vec::new());
    }
    let objects = Objects::of(build.target);
    let mut opened = Opened::kept(&objects);
    let unknown: Vec<&Unit> = units
        .iter()
        .copied()
        .filter(|unit| !opened.units.contains_key(&unit.object))
        .collect();
    if !unknown.is_empty() {
        build.log.line(&format!(
            "asking the preprocessor what {} units include (once for each kernel)",
            unknown.len()
        ));
    }
    for batch in unknown.chunks(BATCH) {
        let asked = ask(build, index, batch).await?;
        let objects = objects.clone();
        // Each of several workers adds what it has found out.
        let add = move || {
            let _lock = objects.lock()?;
            let mut opened = Opened::kept(&objects);
            opened.extend(asked);
            let bytes = serde_json::to_vec(&opened)
                .map_err(|error| Error::internal("write what units include", error))?;
            objects.put(&key(), &bytes)?;
            Ok(opened)
        };
        opened = blocking("keep what units include", add).await?;
    }
    let places = opened.places(files);
    let may_open = |unit: &&Unit| opened.may_open(&unit.object, &places);
    Ok(units.iter().copied().filter(may_open).collect())
}

/// The commands come from the index.
fn key() -> String {
    format!("{RECIPE} {}", index::RECIPE)
}

/// Has the preprocessor list what units open. Missing are those where it fails.
async fn ask(
    build: &Build<'_>,
    index: &Index,
    units: &[&Unit],
) -> Result<Vec<(String, BTreeSet<String>)>, Error> {
    let all: Vec<String> = (0..units.len()).map(|number| number.to_string()).collect();
    let mut makefile = format!("all: {0}\n.PHONY: all {0}\n", all.join(" "));
    for (number, unit) in units.iter().enumerate() {
        let command = index.command(unit);
        let compiler = command.split(|word| word == ";").next().unwrap_or_default();
        let output = format!("{OBJECTS}/{number}.d");
        let list = preprocess(compiler, &unit.object, &output, &["-M"])
            .map_err(|error| Error::internal(format!("list includes of {}", unit.source), error))?;
        let script = format!("{list} 2> /dev/null || rm -f {output}\n");
        build
            .workspace
            .write(&format!("in/opened/{number}.sh"), script.as_bytes())?;
        // Writing to a string can't fail.
        let _ = writeln!(makefile, "{number}:\n\t@sh {IN}/opened/{number}.sh");
    }
    build.workspace.write("in/opened.mk", makefile.as_bytes())?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    // A file may have several names, by links among directories.
    let script = format!(
        "make --no-print-directory -r -k -j{jobs} -f {IN}/opened.mk\n\
         find {OBJECTS} -name '*.d' -exec cat {{}} + | tr -s ' \\\\' '\\n\\n' |\n\
         sed -e '/:$/d' -e '/^$/d' | sort -u > {OBJECTS}/names\n\
         xargs -r -d '\\n' realpath -m -- < {OBJECTS}/names > {OBJECTS}/real\n"
    );
    build.workspace.write("in/opened.sh", script.as_bytes())?;
    let argv = ["sh", "-e", &format!("{IN}/opened.sh")].map(str::to_owned);
    let step = build.workspace.object_step("includes", argv.to_vec())?;
    build
        .run(&step, "the units' includes can't be listed")
        .await?;
    let text = |name: &str| -> Result<String, Error> {
        let bytes = build.workspace.read("objects", name)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (names, real) = (text("names")?, text("real")?);
    let real: HashMap<&str, &str> = names.lines().zip(real.lines()).collect();
    let mut asked = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        let name = format!("{number}.d");
        if build.workspace.has_object(&name)
            && let Some(files) = sources(&text(&name)?, &real)
        {
            asked.push((unit.object.clone(), files));
        }
    }
    Ok(asked)
}

/// The files of the source tree in make's rule `x.o: a.c b.h \`; nothing if it
/// is not understood.
fn sources(rule: &str, real: &HashMap<&str, &str>) -> Option<BTreeSet<String>> {
    let (_, files) = rule.split_once(": ")?;
    let mut sources = BTreeSet::new();
    for file in files.split_whitespace().filter(|word| *word != "\\") {
        // A name that make would read differently is spelled with these.
        if file.contains(['\\', '$', ':']) {
            return None;
        }
        let path = real.get(file)?;
        if path
            .strip_prefix(SANDBOX_SOURCE)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            sources.insert(name_of(path, SANDBOX_SOURCE));
        }
    }
    (!sources.is_empty()).then_some(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: [(&str, &str); 4] = [
        ("/resplice/source/a/u.c", "/resplice/source/a/u.c"),
        ("/resplice/source/a/../i/h.h", "/resplice/source/i/h.h"),
        ("include/g.h", "/resplice/build/include/g.h"),
        ("/resplice/source/link/h.h", "/resplice/source/i/h.h"),
    ];

    fn files(rule: &str) -> Option<BTreeSet<String>> {
        sources(rule, &REAL.into())
    }

    #[test]
    fn files_go_by_their_real_names() {
        let expected = ["a/u.c", "i/h.h"].map(str::to_owned).into();
        let plain = "u.o: /resplice/source/a/u.c \\\n /resplice/source/a/../i/h.h include/g.h\n";
        assert_eq!(files(plain), Some(expected));
        let linked = "u.o: /resplice/source/a/u.c /resplice/source/link/h.h\n";
        assert_eq!(files(linked), files(plain));
    }

    #[test]
    fn a_rule_that_is_not_understood_says_nothing() {
        for rule in [
            "",
            "u.o:",
            "u.o: \\\n",
            "u.o: include/g.h",
            "u.o: /resplice/source/a/u.c /resplice/source/a/b\\ c.h",
            "u.o: /resplice/source/a/u.c unheard-of.h",
            "u.o: /resplice/source/a/u.c\n\nother: include/g.h",
        ] {
            assert_eq!(files(rule), None, "{rule}");
        }
    }

    #[test]
    fn what_is_not_known_may_open_anything() {
        let mut opened = Opened::default();
        let set = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect();
        opened.extend([("a.o".to_owned(), set(&["a.c", "x.h"]))]);
        opened.extend([("b.o".to_owned(), set(&["b.c", "y.h"]))]);
        let may_open = |object, files: &[&str]| {
            let files = files.iter().copied().collect();
            opened.may_open(object, &opened.places(&files))
        };
        assert!(may_open("a.o", &["x.h", "z.h"]));
        assert!(!may_open("b.o", &["x.h", "z.h"]));
        assert!(may_open("b.o", &["y.h"]));
        assert!(may_open("c.o", &["z.h"]));
    }
}
