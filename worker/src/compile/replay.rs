//! A unit's compiler and objtool commands, taken from what kbuild saved, to be
//! run again with other output and a few flags more.
//!
//! `make X.o` costs 1.3 s of make around each compiler; replaying costs nothing.

/// Each function and variable gets a section of its own. Debug information,
/// for the semantic report, changes no loaded section.
const EXTRA_FLAGS: [&str; 4] = [
    "-ffunction-sections",
    "-fdata-sections",
    "-g",
    "-fdiagnostics-color=always",
];
/// Largest command that is read, in bytes.
const MAX_COMMAND_BYTES: usize = 1 << 20;

/// The kernel object that a unit is linked into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelObject {
    /// The kernel itself.
    Vmlinux,
    /// A module, as the kernel lists it: `nf_tables`.
    Module(String),
}

impl KernelObject {
    /// `vmlinux` or the module's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Vmlinux => "vmlinux",
            Self::Module(name) => name,
        }
    }
}

/// How a unit was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    object: String,
    compiler: Vec<String>,
    /// What ran after the compiler, on the same object: objtool.
    after: Vec<Vec<String>>,
    kernel_objects: Vec<KernelObject>,
}

/// A saved command that is not what this worker knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the command that kbuild saved for {object} is not understood: {reason}")]
pub struct ReplayError {
    /// The object file.
    object: String,
    /// What is wrong.
    reason: String,
}

impl Replay {
    /// Reads a `.X.o.cmd` file for the object `X.o`.
    ///
    /// # Errors
    /// If it is not one compiler command and at most objtool after it.
    pub fn parse(text: &str, object: &str) -> Result<Self, ReplayError> {
        let error = |reason: &str| ReplayError {
            object: object.to_owned(),
            reason: reason.to_owned(),
        };
        if text.len() > MAX_COMMAND_BYTES {
            return Err(error("it is too long"));
        }
        let saved = ["savedcmd_", "cmd_"]
            .iter()
            .find_map(|kind| {
                text.lines()
                    .find_map(|line| line.strip_prefix(&format!("{kind}{object} := ")))
            })
            .ok_or_else(|| error("there is none"))?;
        let words =
            shlex::split(&shell_spelling(saved)).ok_or_else(|| error("its quotes do not match"))?;
        Self::from_words(&words, object)
    }

    /// Reads the words of a saved command for `object`.
    ///
    /// # Errors
    /// If it is not one compiler command and at most objtool after it.
    pub fn from_words(words: &[String], object: &str) -> Result<Self, ReplayError> {
        let error = |reason: &str| ReplayError {
            object: object.to_owned(),
            reason: reason.to_owned(),
        };
        let mut commands = words
            .split(|word| word == ";")
            .filter(|words| !words.is_empty());
        let compiler = commands.next().unwrap_or_default().to_vec();
        let output = ["-c", "-o", object];
        if !compiler.first().is_some_and(|program| {
            let plain = program.strip_prefix("x86_64-linux-gnu-");
            plain.unwrap_or(program).starts_with("gcc")
        }) || !compiler.windows(3).any(|words| words == output)
        {
            return Err(error("it does not begin with gcc ... -c -o"));
        }
        let after: Vec<Vec<String>> = commands.map(<[String]>::to_vec).collect();
        let objtool = |command: &Vec<String>| {
            command
                .first()
                .is_some_and(|program| program.ends_with("/objtool"))
                && command.last().is_some_and(|last| last == object)
        };
        if after.len() > 1 || !after.iter().all(objtool) {
            return Err(error("something other than objtool follows the compiler"));
        }
        let kernel_objects =
            kernel_objects(&compiler).ok_or_else(|| error("it does not name its module"))?;
        Ok(Self {
            object: object.to_owned(),
            compiler,
            after,
            kernel_objects,
        })
    }

    /// The object file, relative to the build tree.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The kernel objects that the unit is compiled for: vmlinux, or modules.
    #[must_use]
    pub fn kernel_objects(&self) -> &[KernelObject] {
        &self.kernel_objects
    }

    /// A shell script that compiles the unit to `output`, each function and
    /// variable in a section of its own; `include` is searched for headers
    /// after all directories of the kernel's own.
    ///
    /// # Errors
    /// If a word can't be quoted.
    pub fn script(&self, output: &str, include: Option<&str>) -> Result<String, ReplayError> {
        let include = include.map(|directory| format!("-I{directory}"));
        let flags: Vec<&str> = EXTRA_FLAGS.into_iter().chain(include.as_deref()).collect();
        self.commands(output, &flags)
    }

    /// A shell script that compiles the unit to `output` as it was shipped.
    ///
    /// # Errors
    /// If a word can't be quoted.
    pub fn shipped(&self, output: &str) -> Result<String, ReplayError> {
        self.commands(output, &["-fdiagnostics-color=always"])
    }

    fn commands(&self, output: &str, flags: &[&str]) -> Result<String, ReplayError> {
        let moved = |word: &String| match word {
            word if *word == self.object => output.to_owned(),
            // The list of headers is kbuild's; nobody reads it here.
            word if word.starts_with("-Wp,-MMD,") => format!("-Wp,-MMD,{output}.d"),
            word => word.clone(),
        };
        let mut compiler: Vec<String> = self.compiler.iter().map(moved).collect();
        let at = compiler
            .iter()
            .position(|word| word == "-c")
            .unwrap_or(compiler.len());
        compiler.splice(at..at, flags.iter().map(|flag| (*flag).to_owned()));
        let mut script = String::new();
        let after = self
            .after
            .iter()
            .map(|words| words.iter().map(moved).collect());
        for words in std::iter::once(compiler).chain(after) {
            let line =
                shlex::try_join(words.iter().map(String::as_str)).map_err(|error| ReplayError {
                    object: self.object.clone(),
                    reason: error.to_string(),
                })?;
            script.push_str(&line);
            script.push('\n');
        }
        Ok(script)
    }
}

/// The command line of a compiler, turned into one that only preprocesses.
/// `-c` or `-S` and the list of headers are left out.
///
/// # Errors
/// If a word can't be quoted.
pub fn preprocess(
    compiler: &[String],
    object: &str,
    output: &str,
    flags: &[&str],
) -> Result<String, ReplayError> {
    let mut words: Vec<&str> = compiler
        .iter()
        .map(String::as_str)
        .filter(|word| !matches!(*word, "-c" | "-S") && !word.starts_with("-Wp,-MMD,"))
        .map(|word| if word == object { output } else { word })
        .collect();
    // Where a macro came from is for messages that nobody reads; it takes a third of the time.
    words.extend(["-E", "-ftrack-macro-expansion=0"]);
    words.extend(flags);
    shlex::try_join(words).map_err(|error| ReplayError {
        object: object.to_owned(),
        reason: error.to_string(),
    })
}

/// kbuild saves commands in make's spelling.
pub(super) fn shell_spelling(saved: &str) -> String {
    saved.replace("$(pound)", "#").replace("$$", "$")
}

/// Modular units are compiled with `-DMODULE` and know the module's name. One
/// that is linked into several modules has all their names, with colons between.
fn kernel_objects(compiler: &[String]) -> Option<Vec<KernelObject>> {
    if !compiler.iter().any(|word| word == "-DMODULE") {
        return Some(vec![KernelObject::Vmlinux]);
    }
    let name = compiler
        .iter()
        .find_map(|word| word.strip_prefix("-DKBUILD_MODNAME=\"")?.strip_suffix('"'))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.split(':')
        .map(|name| {
            let good = !name.is_empty() && name.bytes().all(plain);
            good.then(|| KernelObject::Module(name.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SAVED: &str = "cmd_net/a.o := gcc-12 -Wp,-MMD,net/.a.o.d -DMODULE -DX='a b' \
        -DKBUILD_MODNAME='\"my_mod\"' -DH='\"$(pound)\"' -D'Y=$$z' -c -o net/a.o /resplice/source/net/a.c   ; \
        ./tools/objtool/objtool --orc --module net/a.o\n\nsource_net/a.o := x\n";

    #[test]
    fn a_saved_command_is_repeated_with_other_output() {
        let script = Replay::parse(SAVED, "net/a.o")
            .unwrap()
            .script("/out/0.o", Some("/headers"))
            .unwrap();
        let lines: Vec<Vec<String>> = script
            .lines()
            .map(|line| shlex::split(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            [
                "gcc-12",
                "-Wp,-MMD,/out/0.o.d",
                "-DMODULE",
                "-DX=a b",
                "-DKBUILD_MODNAME=\"my_mod\"",
                "-DH=\"#\"",
                "-DY=$z",
                "-ffunction-sections",
                "-fdata-sections",
                "-g",
                "-fdiagnostics-color=always",
                "-I/headers",
                "-c",
                "-o",
                "/out/0.o",
                "/resplice/source/net/a.c",
            ]
        );
        assert_eq!(
            lines[1],
            ["./tools/objtool/objtool", "--orc", "--module", "/out/0.o"]
        );
    }

    #[test]
    fn a_unit_knows_the_object_that_it_is_part_of() {
        let replay = Replay::parse(SAVED, "net/a.o").unwrap();
        let expected = KernelObject::Module("my_mod".to_owned());
        assert_eq!(replay.kernel_objects(), [expected]);
        let builtin = SAVED.replace("-DMODULE ", "");
        let replay = Replay::parse(&builtin, "net/a.o").unwrap();
        assert_eq!(replay.kernel_objects(), [KernelObject::Vmlinux]);
    }

    #[test]
    fn a_unit_of_several_modules_knows_them_all() {
        let shared = SAVED.replace("my_mod", "a:b_2");
        let replay = Replay::parse(&shared, "net/a.o").unwrap();
        let expected = ["a", "b_2"].map(|name| KernelObject::Module(name.to_owned()));
        assert_eq!(replay.kernel_objects(), expected);
    }

    #[test]
    fn a_command_of_another_kind_is_an_error() {
        for text in [
            "",
            "cmd_net/a.o := gcc-12 -c x.c",
            "cmd_net/a.o := as -c -o net/a.o",
            "cmd_net/a.o := gcc-12 -c -o net/a.o x.c ; rm -rf net/a.o",
            "cmd_net/a.o := gcc-12 -c -o net/a.o 'x.c",
            "cmd_net/a.o := gcc-12 -DMODULE -DKBUILD_MODNAME='\"a::b\"' -c -o net/a.o x.c",
        ] {
            assert!(Replay::parse(text, "net/a.o").is_err(), "{text}");
        }
    }
}
