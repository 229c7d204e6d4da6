#![allow(clippy::unwrap_used)]
//! Headers and units, as the compiler's own preprocessor takes them.

use crate::{
    compile::difference::{affected, affected_in_both},
    patch::{LineChange, both},
};
use std::{fs, path::Path, process::Command};

const GUARD: &str = "#ifndef H\n#define H\n";
const END: &str = "#endif\n";

struct Case {
    what: &'static str,
    old: &'static str,
    new: &'static str,
    /// The unit; `H` stands for the line that includes the header.
    unit: &'static str,
    /// Whether code can change; nothing if that may be left to the compiler.
    changes: Option<bool>,
    /// Whether one text with both versions has to be enough.
    at_once: bool,
}

const CASES: &[Case] = &[
    Case {
        what: "an inline function that nobody calls",
        old: "static inline int g(void) { return 1; }\n",
        new: "static inline int g(void) { return 2; }\n",
        unit: "H\nint f(void) { return 0; }\n",
        changes: Some(false),
        at_once: true,
    },
    Case {
        what: "a call whose name is pasted together",
        old: "static inline int get_one(void) { return 1; }\n",
        new: "static inline int get_one(void) { return 2; }\n",
        unit: "#define GET(x) get_##x()\nH\nint f(void) { return GET(one); }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "a name pasted together by way of another macro",
        old: "static inline int get_one(void)\n{\n\treturn 1;\n}\n",
        new: "static inline int get_one(void)\n{\n\tint two = 2;\n\treturn two;\n}\n",
        unit: "#define P(a, b) a##b\n#define Q(a, b) P(a, b)\n#define PART ne\n\
               H\nint f(void) { return Q(get_o, PART)(); }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "the changed function is made by a macro of the unit",
        old: "MAKE(x, 1);\nint a;\n",
        new: "MAKE(x, 2);\nint a;\n",
        unit: "#define MAKE(n, v) static inline int make_##n(void) { return v; } struct t_##n\n\
               H\nint f(void) { return make_x(); }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "the unit's macro turns a quiet declaration into code",
        old: "static inline int g(void) NOTE { return 1; }\n",
        new: "static inline int g(void) NOTE { return 2; }\n",
        unit: "#define NOTE __attribute__((__used__))\nH\nint f(void) { return 0; }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "the header is named by a macro",
        old: "static inline int g(void) { return 1; }\n",
        new: "static inline int g(void) { return 2; }\n",
        unit: "#define NAME \"h.h\"\n#include NAME\nint f(void) { return g(); }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "an included file's name comes out of the header",
        old: "#define NAME \"one.h\"\n",
        new: "#define NAME \"two.h\"\n",
        unit: "H\n#include NAME\nint f(void) { return g(); }\n",
        changes: Some(true),
        at_once: false,
    },
    Case {
        what: "a condition of the unit asks for a name of the header",
        old: "int a;\n",
        new: "#define HAS_A 1\nint a;\n",
        unit: "H\n#if HAS_A\nint f(void) { return 0; }\n#endif\n",
        changes: Some(true),
        at_once: false,
    },
    Case {
        what: "the change is left out by a condition",
        old: "#ifdef CONFIG_X\nstatic inline int g(void) { return 1; }\n#endif\nint a(void);\n",
        new: "#ifdef CONFIG_X\nstatic inline int g(void) { return 2; }\n#endif\nint a(void);\n",
        unit: "H\nint f(void) { return 0; }\n",
        changes: Some(false),
        at_once: true,
    },
    Case {
        what: "the unit's own definition lets the change in",
        old: "#ifdef CONFIG_X\nstatic inline int g(void) { return 1; }\n#endif\nint a(void);\n",
        new: "#ifdef CONFIG_X\nstatic inline int g(void) { return 2; }\n#endif\nint a(void);\n",
        unit: "#define CONFIG_X 1\nH\nint f(void) { return g(); }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "members that the unit puts into a structure of its own",
        old: "int a;\nint b;\nint c;\n",
        new: "int a;\nlong b;\nint c;\n",
        unit: "struct s {\nH\n};\nint f(struct s *s) { return s->c; }\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "a list that is included once for each use",
        old: "X(a, 1);\nX(b, 2);\nX(c, 3);\n",
        new: "X(a, 1);\nX(b, 3);\nX(c, 3);\n",
        unit: "#define X(n, v) int n##_f(void)\nH\n#undef X\n#undef H\n\
               #define X(n, v) int n##_v = v\nH\n",
        changes: Some(true),
        at_once: true,
    },
    Case {
        what: "a macro makes a string of the change",
        old: "TEXT(a;\nb;\nc;)\nint x;\n",
        new: "TEXT(a;\nd;\nc;)\nint x;\n",
        unit: "#define TEXT(x) const char *t = #x;\nH\n",
        changes: Some(true),
        at_once: false,
    },
    Case {
        what: "a macro opens the parenthesis in which the change lies",
        old: "BEGIN\n1;\nFINISH\nint x;\n",
        new: "BEGIN\n2;\nFINISH\nint x;\n",
        unit: "#define T(x) const char *t = #x;\n#define BEGIN T LEFT\n#define LEFT (\n#define FINISH )\n\
               #define DO(x) x\nH\n",
        changes: None,
        at_once: false,
    },
    Case {
        what: "a number that the preprocessor counts",
        old: "static inline int g(void) { return 1; }\n",
        new: "static inline int g(void) { return __COUNTER__; }\n",
        unit: "H\nint v = __COUNTER__;\n",
        changes: None,
        at_once: false,
    },
    Case {
        what: "a line number behind the change",
        old: "static inline int g(void)\n{\n\treturn 1;\n}\n\
              static inline int h(void) { return __LINE__; }\n",
        new: "static inline int g(void)\n{\n\tint a = 1;\n\treturn a;\n}\n\
              static inline int h(void) { return __LINE__; }\n",
        unit: "H\nint f(void) { return h(); }\n",
        changes: Some(false),
        at_once: true,
    },
];

/// What diff says if one run of lines differs.
fn change(old: &str, new: &str) -> LineChange {
    let (before, after): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let ends = before.iter().rev().zip(after.iter().rev());
    let alike = ends.take_while(|(a, b)| a == b).count();
    LineChange {
        old_next: before.len() - alike + 1,
        new_next: after.len() - alike + 1,
        shifts: before.len() != after.len(),
    }
}

fn preprocessed(directory: &Path, header: &[u8]) -> Option<Vec<u8>> {
    fs::write(directory.join("h.h"), header).unwrap();
    let output = Command::new("gcc-12")
        .args(["-E", "-P", "u.c"])
        .current_dir(directory)
        .output()
        .unwrap();
    output.status.success().then_some(output.stdout)
}

#[test]
fn both_versions_at_once_never_hide_a_change() {
    for case in CASES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let unit = case.unit.replace("H\n", "#include \"h.h\"\n");
        // The guard is undone where the header is wanted again.
        fs::write(
            path.join("u.c"),
            unit.replace("#undef #include \"h.h\"", "#undef H"),
        )
        .unwrap();
        for (file, value) in [("one.h", 1), ("two.h", 2)] {
            let text = format!("static inline int g(void) {{ return {value}; }}\n");
            fs::write(path.join(file), text).unwrap();
        }
        let [old, new] = [case.old, case.new].map(|text| format!("{GUARD}{text}{END}"));
        let change = change(&old, &new);
        let posted = crate::patch::with_line_directives(new.as_bytes(), &[change]);
        let pre = preprocessed(path, old.as_bytes()).unwrap();
        let post = preprocessed(path, &posted).unwrap();
        let twice = affected(&pre, &post);
        let once = both(old.as_bytes(), new.as_bytes(), &[change])
            .and_then(|text| preprocessed(path, &text))
            .and_then(|text| affected_in_both(&text));
        if let Some(changes) = case.changes {
            assert_eq!(twice, changes, "{}", case.what);
        }
        match once {
            Some(once) => assert_eq!(once, twice, "{}", case.what),
            None => assert!(!case.at_once, "{}", case.what),
        }
    }
}

#[test]
fn the_compiler_lists_what_a_condition_or_a_macro_includes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("h.h"), "int a;\n").unwrap();
    for (unit, opens) in [
        ("#include \"h.h\"\n", true),
        ("#ifdef CONFIG_X\n#include \"h.h\"\n#endif\n", false),
        (
            "#define CONFIG_X\n#ifdef CONFIG_X\n#include \"h.h\"\n#endif\n",
            true,
        ),
        ("#define NAME \"h.h\"\n#include NAME\n", true),
        (
            "#define S(x) #x\n#define T(x) S(x)\n#define PART h.h\n#include T(PART)\n",
            true,
        ),
    ] {
        fs::write(path.join("u.c"), unit).unwrap();
        let output = Command::new("gcc-12")
            .args(["-E", "-ftrack-macro-expansion=0", "-M", "-o", "u.d", "u.c"])
            .current_dir(path)
            .output()
            .unwrap();
        assert!(output.status.success());
        let rule = fs::read_to_string(path.join("u.d")).unwrap();
        assert_eq!(rule.contains("h.h"), opens, "{unit}");
    }
}
