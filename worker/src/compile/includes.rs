//! Which files include which, by reading their `#include` lines.
//!
//! Conditions are not evaluated, so there are more edges than the preprocessor
//! would follow, and none less. `#include "x"` means the file beside the
//! includer if there is one, else all that any unit's `-I` could mean. A
//! computed include (`#include TRACE_INCLUDE(...)`) is not followed: those of
//! the kernel name the very header that brought them in.

use super::kbuild::normal;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the names of files in the build tree begin with.
pub const BUILD: &str = "@build/";
/// What the names of files begin with that do not exist: they may be generated
/// during a build, or a patch may add them.
pub const MISSING: &str = "?";

/// Files by number, and who includes each.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Includes {
    files: Vec<String>,
    /// The files that include the file with that number.
    includers: Vec<Vec<u32>>,
}

/// What the trees hold.
#[derive(Debug, Default)]
pub struct Trees {
    /// All files by their last component.
    by_name: HashMap<String, Vec<String>>,
    /// Each file's includes: whether in quotes, and the name.
    lines: HashMap<String, Vec<(bool, String)>>,
}

impl Trees {
    /// Takes in a list of files, each below `prefix`.
    pub fn add_files(&mut self, list: &str, prefix: &str) {
        for file in list.lines() {
            let path = format!("{prefix}{}", normal(file));
            let name = base(&path).to_owned();
            self.by_name.entry(name).or_default().push(path);
        }
    }

    /// Takes in lines of grep, `FILE:#include <NAME>`, each below `prefix`.
    pub fn add_lines(&mut self, lines: &str, prefix: &str) {
        for line in lines.lines() {
            let Some((file, text)) = line.split_once(':') else {
                continue;
            };
            if let Some(include) = include(text) {
                let path = format!("{prefix}{}", normal(file));
                self.lines.entry(path).or_default().push(include);
            }
        }
    }

    fn resolve(
        &self,
        from: &str,
        (quoted, name): &(bool, String),
        dirs: &BTreeSet<String>,
    ) -> Vec<String> {
        let named = self.by_name.get(base(name)).map_or(&[][..], Vec::as_slice);
        if *quoted {
            let beside = from.rsplit_once('/').map_or("", |(directory, _)| directory);
            let path = join(beside, name);
            if named.contains(&path) {
                return vec![path];
            }
        }
        let found: Vec<String> = named
            .iter()
            .filter(|path| {
                let below = if name.starts_with('.') {
                    None
                } else {
                    path.strip_suffix(name.as_str())
                };
                match below.and_then(|rest| rest.strip_suffix('/')) {
                    Some(directory) => dirs.contains(directory),
                    // A name with `..` in it has to be tried on each directory.
                    None => {
                        name.starts_with('.') && dirs.iter().any(|dir| join(dir, name) == **path)
                    }
                }
            })
            .cloned()
            .collect();
        if found.is_empty() {
            return vec![format!("{MISSING}{}", base(name))];
        }
        found
    }
}

impl Includes {
    /// Follows the includes from some files on. `dirs` are the directories
    /// that compilers search.
    #[must_use]
    pub fn follow(
        trees: &Trees,
        roots: impl IntoIterator<Item = String>,
        dirs: &BTreeSet<String>,
    ) -> Self {
        let mut all = Self::default();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut queue: Vec<u32> = Vec::new();
        for root in roots {
            all.number(&mut numbers, &mut queue, root);
        }
        // The same name in angle brackets means the same everywhere.
        let mut known: HashMap<String, Vec<String>> = HashMap::new();
        while let Some(number) = queue.pop() {
            let file = all.name(number).to_owned();
            for include in trees.lines.get(&file).map_or(&[][..], Vec::as_slice) {
                let found = if include.0 {
                    trees.resolve(&file, include, dirs)
                } else if let Some(found) = known.get(&include.1) {
                    found.clone()
                } else {
                    let found = trees.resolve(&file, include, dirs);
                    known.insert(include.1.clone(), found.clone());
                    found
                };
                for path in found {
                    let included = all.number(&mut numbers, &mut queue, path);
                    all.edge(number, included);
                }
            }
        }
        for includers in &mut all.includers {
            includers.sort_unstable();
            includers.dedup();
        }
        all
    }

    /// Adds edges from includers to what they include; both must be known.
    pub fn add_all(&mut self, edges: impl IntoIterator<Item = (String, String)>) {
        let numbers: HashMap<&str, usize> = self
            .files
            .iter()
            .enumerate()
            .map(|(number, file)| (file.as_str(), number))
            .collect();
        let number = |file: &str| u32::try_from(*numbers.get(file)?).ok();
        let known: Vec<(u32, u32)> = edges
            .into_iter()
            .filter_map(|(from, to)| Some((number(&from)?, number(&to)?)))
            .collect();
        for (from, to) in known {
            self.edge(from, to);
        }
    }

    /// The files that contain any of these, directly or by others, themselves
    /// among them.
    #[must_use]
    pub fn reached<'a>(&'a self, files: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let numbers: BTreeMap<&str, usize> = self
            .files
            .iter()
            .enumerate()
            .map(|(number, file)| (file.as_str(), number))
            .collect();
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut queue: Vec<&str> = files.into_iter().collect();
        while let Some(file) = queue.pop() {
            if !reached.insert(file) {
                continue;
            }
            let includers = numbers
                .get(file)
                .and_then(|number| self.includers.get(*number));
            queue.extend(includers.into_iter().flatten().map(|from| self.name(*from)));
        }
        reached
    }

    /// The files with that last component, the missing one among them.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let missing = format!("{MISSING}{name}");
        self.files
            .iter()
            .filter(move |file| base(file) == name || **file == missing)
            .map(String::as_str)
    }

    fn number(
        &mut self,
        numbers: &mut HashMap<String, u32>,
        queue: &mut Vec<u32>,
        path: String,
    ) -> u32 {
        if let Some(number) = numbers.get(&path) {
            return *number;
        }
        // The kernel has 70,000 files.
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(path.clone());
        self.includers.push(Vec::new());
        numbers.insert(path, number);
        queue.push(number);
        number
    }

    fn edge(&mut self, includer: u32, included: u32) {
        if let Some(includers) = self.includers.get_mut(included as usize) {
            includers.push(includer);
        }
    }

    fn name(&self, number: u32) -> &str {
        self.files.get(number as usize).map_or("", String::as_str)
    }
}

/// The directories that a compiler command searches, and the files that it
/// includes before all others.
#[must_use]
pub fn search_paths(command: &[String], source: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut dirs, mut files) = (BTreeSet::new(), BTreeSet::new());
    let mut words = command.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-I" | "-iquote" | "-isystem" | "-idirafter" => {
                dirs.extend(words.next().map(|path| name_of(path, source)));
            }
            "-include" => files.extend(words.next().map(|path| name_of(path, source))),
            _ => dirs.extend(word.strip_prefix("-I").map(|path| name_of(path, source))),
        }
    }
    (dirs, files)
}

/// A path as compilers have it, seen from the source tree or as [`BUILD`].
#[must_use]
pub fn name_of(path: &str, source: &str) -> String {
    match path.strip_prefix(source) {
        Some(rest) => normal(rest.trim_start_matches('/')),
        None if path.starts_with('/') => path.to_owned(),
        None => format!("{BUILD}{}", normal(path)),
    }
}

/// `# include <x>`: whether in quotes, and the name.
fn include(line: &str) -> Option<(bool, String)> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start();
    let rest = rest.strip_prefix("include")?.trim_start();
    let (quoted, close) = match rest.chars().next()? {
        '"' => (true, '"'),
        '<' => (false, '>'),
        _ => return None,
    };
    let name = rest.get(1..)?.split(close).next()?;
    Some((quoted, name.to_owned()))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn join(directory: &str, name: &str) -> String {
    match directory.strip_prefix(BUILD) {
        Some(rest) => format!("{BUILD}{}", normal(&format!("{rest}/{name}"))),
        None if directory.is_empty() => normal(name),
        None => normal(&format!("{directory}/{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes() -> Includes {
        let mut trees = Trees::default();
        trees.add_files(
            "net/a.c\nnet/own.h\nfs/own.h\nfs/b.c\ninclude/linux/x.h\nmm/c.c\nmm/inc.c\n",
            "",
        );
        trees.add_files("./include/generated/g.h\n", BUILD);
        trees.add_lines(
            "net/a.c:#include \"own.h\"\nfs/b.c:#\tinclude <linux/x.h> /* y */\n\
             net/own.h:#include <linux/x.h>\nfs/b.c:#include \"../mm/inc.c\"\n\
             mm/c.c:#include <generated/g.h>\nmm/c.c:#include <asm/later.h>\n\
             mm/c.c:#include MACRO\n",
            "",
        );
        let dirs = ["include".to_owned(), format!("{BUILD}include")].into();
        let roots = ["net/a.c", "fs/b.c", "mm/c.c"].map(str::to_owned);
        Includes::follow(&trees, roots, &dirs)
    }

    fn reached(file: &str) -> Vec<String> {
        let includes = includes();
        let reached = includes.reached([file]);
        let units = reached.into_iter().filter(|file| file.ends_with(".c"));
        units.map(str::to_owned).collect()
    }

    #[test]
    fn a_header_reaches_what_includes_it_by_others_too() {
        assert_eq!(reached("include/linux/x.h"), ["fs/b.c", "net/a.c"]);
        assert_eq!(
            reached(&format!("{BUILD}include/generated/g.h")),
            ["mm/c.c"]
        );
    }

    #[test]
    fn quotes_mean_the_file_beside() {
        assert_eq!(reached("net/own.h"), ["net/a.c"]);
        assert_eq!(reached("fs/own.h"), Vec::<String>::new());
        assert_eq!(reached("mm/inc.c"), ["fs/b.c", "mm/inc.c"]);
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_known_by_its_name() {
        let includes = includes();
        let missing: Vec<&str> = includes.named("later.h").collect();
        assert_eq!(missing, ["?later.h"]);
        assert!(includes.reached(missing).contains("mm/c.c"));
    }

    #[test]
    fn a_compiler_says_where_it_looks() {
        let words = [
            "gcc-12",
            "-I/s/include",
            "-I",
            "./net",
            "-include",
            "/s/include/k.h",
        ];
        let (dirs, files) = search_paths(&words.map(str::to_owned), "/s");
        assert_eq!(dirs, ["@build/net".to_owned(), "include".to_owned()].into());
        assert_eq!(files, ["include/k.h".to_owned()].into());
    }
}
