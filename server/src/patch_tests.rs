#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

const GOOD: &str = "\
From 0123 Mon Sep 17 00:00:00 2001
Subject: [PATCH] seg6: check the length

--- is how a line of a message may begin
---
 net/ipv6/seg6.c | 3 ++-
diff --git a/net/ipv6/seg6.c b/net/ipv6/seg6.c
index 1234..5678 100644
--- a/net/ipv6/seg6.c
+++ b/net/ipv6/seg6.c
@@ -10,4 +10,5 @@ static int f(void)
 a
-b
+c
+d

 e
diff --git a/new.c b/new.c
new file mode 100644
--- /dev/null
+++ b/new.c
@@ -0,0 +1 @@
+x
\\ No newline at end of file
diff --git a/old.c b/old.c
deleted file mode 100644
--- a/old.c
+++ /dev/null
@@ -1 +0,0 @@
--- y
-- 
2.39.5
";

#[test]
fn a_formatted_patch_gives_its_files() {
    let patch = check(GOOD).unwrap();
    assert_eq!(patch.files, ["net/ipv6/seg6.c", "new.c", "old.c"]);
    assert_eq!(patch.parts.len(), 3);
}

#[test]
fn a_plain_diff_with_times_and_carriage_returns_is_accepted() {
    let plain =
        "--- linux/a.c\t2026-01-01\r\n+++ linux/a.c\t2026-01-02\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n";
    assert_eq!(check(plain).unwrap().files, ["a.c"]);
}

fn one(old: &str, new: &str, hunk: &str) -> String {
    format!("--- {old}\n+++ {new}\n{hunk}")
}

#[test]
fn what_is_no_patch_is_refused_with_its_line() {
    let hunk = "@@ -1 +1 @@\n-a\n+b\n";
    let cases: Vec<(String, u64, &str)> = vec![
        (String::new(), 1, "no unified diff"),
        ("hello\nworld\n".to_owned(), 2, "no unified diff"),
        (one("/etc/passwd", "/etc/passwd", hunk), 1, "absolute"),
        (one("a/x.c", "/etc/passwd", hunk), 2, "absolute"),
        (one("a/../../x.c", "b/x.c", hunk), 5, "leaves"),
        (one("../x.c", "b/x.c", hunk), 1, "leading component"),
        (one("a//x.c", "b/x.c", hunk), 5, "leaves"),
        (one("a/.git/config", "b/.git/config", hunk), 5, "leaves"),
        (one("x.c", "x.c", hunk), 1, "leading component"),
        (one("a/$(id).c", "b/x.c", hunk), 5, "character"),
        (one("\"a/x.c\"", "b/x.c", hunk), 1, "quoted"),
        (one("/dev/null", "/dev/null", hunk), 2, "/dev/null"),
        (one("/dev/null", "b/x.c", hunk), 3, "/dev/null"),
        (one("a/x.c", "b/x.c", ""), 2, "missing"),
        (one("a/x.c", "b/x.c", "@@ -1 +x @@\n-a\n+b\n"), 3, "header"),
        (
            one("a/x.c", "b/x.c", "@@ -1,2 +1,2 @@\n-a\n+b\n"),
            5,
            "lacks 1 old and 1 new",
        ),
        (
            one("a/x.c", "b/x.c", "@@ -1 +1 @@\n-a\n-b\n"),
            5,
            "lacks 0 old and 1 new",
        ),
        (
            one("a/x.c", "b/x.c", "@@ -1,99999999999 +1 @@\n-a\n"),
            3,
            "header",
        ),
        (
            one("a/x.c", "b/x.c", "@@ -1 +1 @@\n-a\n+b\n+c\n"),
            6,
            "more lines",
        ),
        ("@@ -1 +1 @@\n-a\n+b\n".to_owned(), 1, "without"),
        (
            "diff --git a/x b/x\nGIT binary patch\nliteral 3\n".to_owned(),
            2,
            "binary",
        ),
        ("Binary files a/x and b/x differ\n".to_owned(), 1, "binary"),
        (
            "diff --git a/x b/x\nnew file mode 120000\n".to_owned(),
            2,
            "mode",
        ),
        (
            "diff --git a/x b/x\nrename from x\nrename to ../y\n".to_owned(),
            3,
            "leaves",
        ),
        ("*** a/x\n--- b/x\n".to_owned(), 1, "context diff"),
        (
            "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\0\n+b\n".to_owned(),
            4,
            "NUL",
        ),
    ];
    for (text, line, reason) in cases {
        let error = check(&text).unwrap_err();
        assert!(error.reason.contains(reason), "{text:?}: {error}");
        // An error of a file's paths is found behind its hunks.
        assert!(error.line.abs_diff(line) <= 1, "{text:?}: {error}");
    }
}

#[test]
fn no_cut_of_a_patch_is_a_panic() {
    for end in 0..GOOD.len() {
        let _ = check(&GOOD[..end]);
    }
}

#[test]
fn a_line_that_only_looks_like_a_declaration_is_turned_down_at_its_place() {
    let said = "Resplice-Declare: init-done net/ipv6/seg6.c:seg6_init (it ran)\n---\n";
    let good = GOOD.replacen("---\n net", &format!("{said} net"), 1);
    assert!(good.contains(said));
    assert_eq!(check(&good).unwrap(), check(GOOD).unwrap());
    let error = check(&good.replace(" (it ran)", "")).unwrap_err();
    assert_eq!(error.line, 5);
    assert!(error.reason.contains("Resplice-Declare: init-done"));
}
