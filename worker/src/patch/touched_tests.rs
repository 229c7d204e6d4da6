#![allow(clippy::unwrap_used)]
use super::*;

const FILE: &str = "#define STEP(x) do { \\\n\t(x)++; \\\n} while (0)\n\n\
    /* The rest {\n * of it.\n */\n\
    static struct ops table = {\n\t.open = f,\n};\n\n\
    static int f(int a)\n{\n\treturn a; /* { */\n}\n\n\
    static int __init start(struct thing *t,\n\t\t\tint b)\n{\n\tint c = '{';\n\n\tif (b) {\n\t\tSTEP(c);\n\t}\n\treturn c;\n}\n\
    module_init(start);\n";

fn names(old: &str, new: &str) -> Option<BTreeSet<String>> {
    assert!(FILE.contains(old), "{old:?}");
    touched_functions(FILE, &FILE.replace(old, new))
}

#[test]
fn a_function_whose_body_changes_is_touched_and_no_other() {
    let touched = names("\treturn a;", "\treturn a + 1;").unwrap();
    assert!(touched.contains("f") && !touched.contains("start"));
    let touched = names("\treturn c;", "\treturn -c;").unwrap();
    assert!(touched.contains("start") && !touched.contains("f"));
}

#[test]
fn a_declaration_that_changes_touches_its_function() {
    assert!(names("int b)", "long b)").unwrap().contains("start"));
}

#[test]
fn new_and_old_functions_are_touched() {
    let more = "static int __init more(void)\n{\n\treturn 0;\n}\n\nstatic int f(";
    assert!(names("static int f(", more).unwrap().contains("more"));
    let whole = "static int f(int a)\n{\n\treturn a; /* { */\n}\n\n";
    assert!(names(whole, "").unwrap().contains("f"));
}

#[test]
fn what_functions_use_does_not_touch_them() {
    for (old, new) in [
        ("(x)++", "(x) += 2"),
        (".open = f", ".open = g"),
        ("The rest", "Another rest"),
        ("\n\tif (b)", "\n#line 20\n\tif (b)"),
    ] {
        assert_eq!(names(old, new), Some(BTreeSet::new()), "{new}");
    }
}

#[test]
fn a_macro_that_may_define_functions_leaves_all_open() {
    let known = names(
        "module_init(start);",
        "module_init(start);\nEXPORT_SYMBOL(f);",
    );
    assert_eq!(known, Some(BTreeSet::new()));
    let unknown = names("module_init(start);", "module_pci_driver(driver);");
    assert_eq!(unknown, None);
}

#[test]
fn a_directive_inside_a_function_belongs_to_it() {
    let changed = names("\tif (b) {", "#ifdef X\n\tif (b) {\n#endif").unwrap();
    assert!(changed.contains("start"));
}
