#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

fn diff(old: &str, new: &str) -> String {
    format!("--- {old}\n+++ {new}\n@@ -1,2 +1,3 @@ int f(void)\n a\n+b\n c\n")
}

fn code(text: &str) -> &'static str {
    match Patch::parse(text) {
        Err(PatchError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_patch_names_its_files_whatever_stands_around_the_diffs() {
    let text = format!(
        "From: someone\n\nrename of nothing\n--- \nnew file mode in prose\n\n\
         diff --git a/net/b.c b/net/b.c\nindex 1..2 100644\n{}-- \n2.39\n{}",
        diff("a/net/b.c", "b/net/b.c"),
        diff("a/mm/a.c\t2026-01-01", "b/mm/a.c\t2026-01-02"),
    );
    assert_eq!(Patch::parse(&text).unwrap().files(), ["mm/a.c", "net/b.c"]);
}

#[test]
fn what_makes_no_object_code_is_refused_by_name() {
    for (path, expected) in [
        ("drivers/of/a.dts", "device-tree"),
        ("net/Makefile", "build-system"),
        ("net/Kconfig", "build-system"),
        ("net/Kconfig.debug", "build-system"),
        ("Kbuild", "build-system"),
        ("net/table.bin", "not-c"),
        ("scripts/a.sh", "build-system"),
    ] {
        let text = diff(&format!("a/{path}"), &format!("b/{path}"));
        assert_eq!(code(&text), expected, "{path}");
    }
}

#[test]
fn new_deleted_and_renamed_files_are_told_apart() {
    let text = diff("/dev/null", "b/net/a.h")
        + &diff("a/net/b.h", "/dev/null")
        + "diff --git a/net/c.h b/net/d.h\nsimilarity index 90%\nrename from net/c.h\n\
           rename to net/d.h\n"
        + &diff("a/net/c.h", "b/net/d.h")
        + "diff --git a/net/e.h b/net/f.h\nsimilarity index 100%\nrename from net/e.h\n\
           rename to net/f.h\n";
    let patch = Patch::parse(&text).unwrap();
    let added: Vec<&String> = patch.added().iter().collect();
    let deleted: Vec<&String> = patch.deleted().iter().collect();
    assert_eq!(added, ["net/a.h", "net/d.h", "net/f.h"]);
    assert_eq!(deleted, ["net/b.h", "net/c.h", "net/e.h"]);
    assert_eq!(patch.files().len(), 6);
}

#[test]
fn what_can_not_be_followed_is_refused_by_name() {
    assert_eq!(code(&diff("a/net/a.c", "b/net/b.c")), "renamed-file");
    let git = |line: &str| format!("diff --git a/net/a.c b/net/a.c\n{line}\n");
    assert_eq!(code(&git("copy from net/a.c")), "copied-file");
    assert_eq!(code(&git("old mode 100644")), "file-mode");
    assert_eq!(code(&git("GIT binary patch")), "binary");
    assert_eq!(code(&git("rename from net/Makefile")), "build-system");
    let outside = Patch::parse(&git("rename from ../../etc/passwd.c"));
    assert!(matches!(outside, Err(PatchError::Path { .. })));
}

#[test]
fn a_path_can_not_leave_the_source() {
    for path in [
        "/etc/passwd.c",
        "a/../b.c",
        "a/./b.c",
        "a//b.c",
        "b.c",
        "a/.git/x.c",
        "a/b c.c",
    ] {
        assert!(
            matches!(
                Patch::parse(&diff(path, path)),
                Err(PatchError::Path { .. })
            ),
            "{path}"
        );
    }
}

#[test]
fn a_hunk_has_the_lines_that_its_header_says() {
    let cut = "--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,3 @@\n a\n+b\n";
    assert!(matches!(
        Patch::parse(cut),
        Err(PatchError::Malformed { line: 5, .. })
    ));
    let junk = "--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,3 @@\n a\nb\n c\n";
    assert!(matches!(
        Patch::parse(junk),
        Err(PatchError::Malformed { line: 5, .. })
    ));
    let header = "--- a/a.c\n+++ b/a.c\n@@ hello @@\n";
    assert!(matches!(
        Patch::parse(header),
        Err(PatchError::Malformed { line: 3, .. })
    ));
}

#[test]
fn a_removed_line_that_looks_like_a_header_is_a_line() {
    let text = "--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,2 @@\n--- a/evil.h\n+++ b/evil.h\n x\n";
    assert_eq!(Patch::parse(text).unwrap().files(), ["a.c"]);
}

#[test]
fn text_without_a_diff_and_too_much_text_are_turned_down() {
    assert_eq!(Patch::parse("hello\n"), Err(PatchError::Empty));
    assert_eq!(Patch::parse(""), Err(PatchError::Empty));
    let long = "x".repeat(MAX_PATCH_BYTES + 1);
    assert!(matches!(
        Patch::parse(&long),
        Err(PatchError::TooLarge { .. })
    ));
}

#[test]
fn what_is_in_no_x86_kernel_may_change_along_but_is_no_source() {
    let idle = ["Documentation/Makefile", "tools/testing/a.c"];
    let mut text = String::new();
    for path in idle {
        text += &diff(&format!("a/{path}"), &format!("b/{path}"));
    }
    text += &diff("a/mm/a.c", "b/mm/a.c");
    let patch = Patch::parse(&text).unwrap();
    assert_eq!(patch.files().len(), idle.len() + 1);
    assert_eq!(patch.sources().collect::<Vec<_>>(), ["mm/a.c"]);
}

#[test]
fn what_the_description_declares_is_read_and_anything_like_it_an_error() {
    let declared = |line: &str| {
        let text = format!("Fix a\n\n{line}\n---\n{}", diff("a/mm/a.c", "b/mm/a.c"));
        Patch::parse(&text).map(|patch| patch.declared().to_vec())
    };
    let found = declared("Resplice-Declare: data-set mm/a.c:limit (nobody sets it)").unwrap();
    assert_eq!(
        (found[0].what.as_str(), found[0].name.as_str()),
        ("data-set", "limit")
    );
    assert_eq!(declared("Resplices nothing").unwrap(), []);
    assert!(matches!(
        declared("Resplice-Declare: data-set mm/a.c:limit"),
        Err(PatchError::Malformed { line: 3, .. })
    ));
}
