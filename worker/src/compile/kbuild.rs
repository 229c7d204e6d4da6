//! What kbuild would do for the whole kernel, read from its own dry run.
//!
//! `make -n` prints every command. Kept are three kinds: what fixdep saves of
//! a compiler's command line, which objects `ar` puts into an archive
//! (`built-in.a` by xargs, `lib.a` directly), and which ones a module's `.mod`
//! file lists (scripts/Makefile.build, scripts/Makefile.lib).

use std::collections::{BTreeMap, BTreeSet};

/// Leaves of each line of `make -n` what [`plan`] reads: about a fifth of it.
pub const SED: &str = r"s/^.*kill -s PIPE \$\$' PIPE; *//
/; scripts\/basic\/fixdep /{
s/^.*; \(scripts\/basic\/fixdep \)/\1/p
b
}
/[|] xargs ar /p
/^rm -f [^ ]*lib[.]a; ar /p
/> [^ ]*[.]mod\( \|;\|$\)/p
";

/// What a dry run can't do, which stops nothing that is of interest: linking
/// needs the archives.
const HARMLESS: &str = "No rule to make target 'vmlinux.a'";

/// One object of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The object file, relative to the build tree.
    pub object: String,
    /// The command that kbuild saves, in words.
    pub command: Vec<String>,
    /// `vmlinux` or `module NAME`: what it is linked into.
    pub links: BTreeSet<String>,
}

/// Reads the lines that [`SED`] has left.
///
/// # Errors
/// The line that is not understood.
pub fn plan(text: &str) -> Result<Vec<Planned>, String> {
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("scripts/basic/fixdep ") {
            let (object, command) = saved(rest).ok_or_else(|| cut(line))?;
            // Programs of the build itself are not compiled for the kernel.
            if command.iter().any(|word| word == "-D__KERNEL__") {
                objects.insert(object, command);
            }
        } else if line.contains("| xargs ar ") {
            let Some((prefix, names, archive)) = archived(line) else {
                return Err(cut(line));
            };
            if in_vmlinux(archive) {
                let names = names.split_whitespace();
                let objects = names.map(|name| normal(&prefix.replace("%s", name)));
                link(&mut links, objects, "vmlinux");
            }
        } else if line.starts_with("rm -f ") {
            let (archive, names) = library(line).ok_or_else(|| cut(line))?;
            if in_vmlinux(archive) {
                let objects = names.split_whitespace().map(normal);
                link(&mut links, objects, "vmlinux");
            }
        } else if line.starts_with("printf '%s\\n' ") {
            let (directory, names, module) = listed(line).ok_or_else(|| cut(line))?;
            let names = names.split_whitespace();
            let objects = names.map(|name| normal(&format!("{directory}{name}")));
            link(&mut links, objects, &module);
        }
    }
    run_objtool_on_each(&mut objects);
    Ok(objects
        .into_iter()
        .map(|(object, command)| Planned {
            // kbuild names an object of another directory by way of its own.
            links: links.get(&normal(&object)).cloned().unwrap_or_default(),
            object,
            command,
        })
        .collect())
}

/// Kernels with X86_KERNEL_IBT run objtool on what is linked, and on single objects
/// that are modules. Its tables are wanted of each object: from these it is known how.
/// What only makes sense for what is linked, or where calls are counted, is left out:
/// seals, call sites, names for the padding before functions.
fn run_objtool_on_each(objects: &mut BTreeMap<String, Vec<String>>) {
    let whole = |word: &&String| {
        let word = word.as_str();
        matches!(word, "--link" | "--ibt" | "--hacks=skylake") || word.starts_with("--prefix=")
    };
    let Some(objtool) = objects.iter().find_map(|(object, command)| {
        let last = command.rsplit(|word| word == ";").next()?;
        let is_objtool = last.first()?.ends_with("/objtool") && last.last()? == object;
        let delayed = is_objtool && last.iter().any(|word| word == "--link");
        let words = last.get(..last.len() - 1)?.iter();
        delayed.then(|| {
            words
                .filter(|word| !whole(word))
                .cloned()
                .collect::<Vec<_>>()
        })
    }) else {
        return;
    };
    for (object, command) in objects {
        let is_module = command.iter().any(|word| word == "-DMODULE");
        let compiler = command.iter().position(|word| word == ";");
        command.truncate(compiler.unwrap_or(command.len()));
        if !command.iter().any(|word| word == "-c") {
            continue;
        }
        command.push(";".to_owned());
        let words = objtool
            .iter()
            .filter(|word| is_module || *word != "--module");
        command.extend(words.cloned());
        command.push(object.clone());
    }
}

fn link(
    links: &mut BTreeMap<String, BTreeSet<String>>,
    objects: impl Iterator<Item = String>,
    into: &str,
) {
    for object in objects {
        links.entry(object).or_default().insert(into.to_owned());
    }
}

/// The first complaint of a dry run that leaves something out.
#[must_use]
pub fn complaint(errors: &str) -> Option<&str> {
    errors
        .lines()
        .find(|line| line.contains("*** ") && !line.contains("*** [") && !line.contains(HARMLESS))
}

/// fixdep's arguments are the list of headers, the object, and the command in
/// make's spelling.
fn saved(arguments: &str) -> Option<(String, Vec<String>)> {
    let end = arguments.find("' > ").map_or(arguments.len(), |at| at + 1);
    let words = shlex::split(arguments.get(..end)?)?;
    let [_, object, command] = words.as_slice() else {
        return None;
    };
    let command = shlex::split(&super::replay::shell_spelling(command))?;
    Some((object.clone(), command))
}

/// `rm -f A; printf "DIR/%s " a.o b.o | xargs ar cDPrST A`
fn archived(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.split_once("printf \"")?.1;
    let (prefix, rest) = rest.split_once(" \" ")?;
    let (names, rest) = rest.split_once(" | xargs ar ")?;
    let archive = rest.split_whitespace().nth(1)?.trim_end_matches(';');
    Some((prefix, names, archive))
}

/// `rm -f A; ar cDPrsT A DIR/a.o DIR/b.o; …`
fn library(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("rm -f ")?.split_once("; ar ")?.1;
    let command = rest.split(';').next()?;
    let (_, rest) = command.split_once(' ')?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

/// Archives that are linked whole into the kernel; what others hold goes into
/// programs of their own, such as the EFI stub.
fn in_vmlinux(archive: &str) -> bool {
    archive.ends_with("built-in.a")
        || archive == "lib/lib.a"
        || archive.starts_with("arch/") && archive.ends_with("/lib/lib.a")
}

/// `printf '%s\n' a.o b.o | awk '... print("DIR/"$0) ...' > DIR/m.mod`
fn listed(line: &str) -> Option<(&str, &str, String)> {
    let rest = line.strip_prefix("printf '%s\\n' ")?;
    let (names, rest) = rest.split_once(" | awk ")?;
    let (directory, rest) = rest.split_once("print(\"")?.1.split_once("\"$0)")?;
    let file = rest.split_once("> ")?.1.split([';', ' ']).next()?;
    let name = file.strip_suffix(".mod")?.rsplit('/').next()?;
    Some((
        directory,
        names,
        format!("module {}", name.replace('-', "_")),
    ))
}

/// Takes `./` and `a/../` out of a path.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" if !parts.is_empty() || part == "." => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn cut(line: &str) -> String {
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PLAN: &str = r#"scripts/basic/fixdep a/.x.o.d a/x.o 'gcc-12 -D__KERNEL__ -DX='\''"a b"'\'' -DH=$(pound) -c -o a/x.o /resplice/source/a/x.c   ; ./tools/objtool/objtool --orc a/x.o' > a/.x.o.cmd; rm -f a/.x.o.d
scripts/basic/fixdep a/.y.o.d a/y.o 'gcc-12 -D__KERNEL__ -c -o a/y.o /resplice/source/a/y.c' > a/.y.o.cmd
scripts/basic/fixdep s/.h.o.d s/h.o 'gcc-12 -c -o s/h.o /resplice/source/s/h.c' > s/.h.o.cmd
scripts/basic/fixdep v/.z.o.d v/z.o 'gcc-12 -D__KERNEL__ -c -o v/z.o /resplice/source/v/z.c' > v/.z.o.cmd
scripts/basic/fixdep lib/.l.o.d lib/l.o 'gcc-12 -D__KERNEL__ -c -o lib/l.o /resplice/source/lib/l.c' > lib/.l.o.cmd
scripts/basic/fixdep a/../w/.w.o.d a/../w/w.o 'gcc-12 -D__KERNEL__ -c -o a/../w/w.o /resplice/source/w/w.c' > a/../w/.w.o.cmd
rm -f lib/lib.a; ar cDPrsT lib/lib.a lib/l.o; printf '%s\n' 'cmd_lib/lib.a := rm -f lib/lib.a; ar ...
rm -f a/built-in.a;  printf "a/%s " x.o ../w/w.o sub/built-in.a ../v/w.o | xargs ar cDPrST a/built-in.a; printf '%s\n' 'cmd_a/built-in.a := ...
rm -f v/lib.a;  printf "v/%s " z.o | xargs ar cDPrsT v/lib.a; x
printf '%s\n'   y.o | awk '!x[$0]++ { print("a/"$0) }' > a/my-mod.mod; printf '%s\n' 'cmd_a/my-mod.mod := ...
"#;

    #[test]
    fn where_objtool_runs_on_what_is_linked_it_is_run_on_each_object() {
        let linked = "scripts/basic/fixdep m/.s.o.d m/s.o 'gcc-12 -D__KERNEL__ -DMODULE -c -o m/s.o /resplice/source/m/s.c ; \
            ./tools/objtool/objtool --hacks=jump_label --hacks=skylake --ibt --orc --prefix=16 --link --module m/s.o' > m/.s.o.cmd\n";
        let text = PLAN.replace("   ; ./tools/objtool/objtool --orc a/x.o", "") + linked;
        let plan = super::plan(&text).unwrap();
        let after = |object: &str| {
            let planned = plan
                .iter()
                .find(|planned| planned.object == object)
                .unwrap();
            let at = planned.command.iter().position(|word| word == ";").unwrap();
            planned.command[at + 1..].join(" ")
        };
        let objtool = "./tools/objtool/objtool --hacks=jump_label --orc";
        assert_eq!(after("a/x.o"), format!("{objtool} a/x.o"));
        assert_eq!(after("m/s.o"), format!("{objtool} --module m/s.o"));
    }

    #[test]
    fn a_dry_run_tells_how_and_for_what_each_object_is_compiled() {
        let plan = plan(PLAN).unwrap();
        let links: Vec<(&str, Vec<&str>)> = plan
            .iter()
            .map(|planned| {
                let links = planned.links.iter().map(String::as_str).collect();
                (planned.object.as_str(), links)
            })
            .collect();
        let expected = [
            ("a/../w/w.o", vec!["vmlinux"]),
            ("a/x.o", vec!["vmlinux"]),
            ("a/y.o", vec!["module my_mod"]),
            ("lib/l.o", vec!["vmlinux"]),
            // Neither the kernel nor a module: a program of its own.
            ("v/z.o", vec![]),
        ];
        assert_eq!(links, expected);
        assert!(plan[1].command.iter().any(|word| word == "-DX=\"a b\""));
        assert!(plan[1].command.iter().any(|word| word == "-DH=#"));
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        assert!(plan("scripts/basic/fixdep a b 'c\n").is_err());
        assert!(plan("printf x | xargs ar c x.a\n").is_err());
        assert!(plan("rm -f lib/lib.a; ar\n").is_err());
        assert!(plan("printf '%s\\n' a.o > a.mod\n").is_err());
    }

    #[test]
    fn only_a_rule_that_is_missing_for_good_is_a_complaint() {
        let link = "make[2]: *** No rule to make target 'vmlinux.a', needed by 'vmlinux.o'.\n\
                    make: *** [Makefile:250: __sub-make] Error 2\n";
        assert_eq!(complaint(link), None);
        let other = "make[2]: *** No rule to make target 'net/x.o'.\n";
        assert!(complaint(other).is_some());
    }

    #[test]
    fn a_path_is_made_normal() {
        assert_eq!(normal("./a/./b/../c.h"), "a/c.h");
        assert_eq!(normal("../a"), "../a");
        assert_eq!(normal("/a//b"), "/a/b");
    }
}
