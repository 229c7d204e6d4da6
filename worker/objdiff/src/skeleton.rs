//! What is left for the author of a patch to write, where code can carry what
//! differencing alone can't: a fragment that compiles, as a patch to the unit.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::declare::DeclarationKind;
use crate::names;
use crate::plan::{Refusal, UnitPlan};

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// What an author's code can do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    Data,
    Init,
    Exit,
    Layout,
}

fn remedy(refusal: &Refusal) -> Option<Remedy> {
    match refusal.code.as_str() {
        "changed-data" => Some(Remedy::Data),
        "init-changed" => Some(Remedy::Init),
        "exit-changed" => Some(Remedy::Exit),
        "layout-changed" | "enum-renumbered" | "variable-type-changed" => Some(Remedy::Layout),
        _ => None,
    }
}

/// Whether code of the patch's author can lift a refusal: hooks, shadow
/// variables and declarations of `<resplice/hooks.h>`.
#[must_use]
pub fn needs_code(refusal: &Refusal) -> bool {
    remedy(refusal).is_some()
}

/// What the patch's description could say instead, a line for each refusal of a
/// unit that a declaration can lift; the author fills in why that is so.
#[must_use]
pub fn declarations(unit: &UnitPlan) -> Vec<String> {
    let line = |refusal: &Refusal| {
        let kind = match remedy(refusal)? {
            // Of data that grow it is refused as well: that takes code.
            Remedy::Data => DeclarationKind::DataSet,
            Remedy::Init => DeclarationKind::InitDone,
            Remedy::Exit => DeclarationKind::ExitKeep,
            Remedy::Layout => DeclarationKind::LayoutOk,
        };
        let name = names::source_function(&refusal.object);
        let name = name.rsplit(' ').next().unwrap_or(name);
        Some(format!(
            "Resplice-Declare: {} {}:{name} (…)",
            kind.word(),
            unit.name
        ))
    };
    unit.refused.iter().filter_map(line).collect()
}

/// The skeleton for a unit: a unified diff that goes on top of the author's
/// own patch. `source` is the unit's text with that patch. `None` if nothing
/// in the unit can be lifted by code.
#[must_use]
pub fn skeleton(unit: &UnitPlan, source: &str) -> Option<String> {
    let mut open: BTreeMap<Remedy, Vec<&Refusal>> = BTreeMap::new();
    for refusal in &unit.refused {
        if let Some(remedy) = remedy(refusal) {
            open.entry(remedy).or_default().push(refusal);
        }
    }
    if open.is_empty() {
        return None;
    }
    let lines: Vec<&str> = source.lines().collect();
    let mut headers = vec!["#include <resplice/hooks.h>"];
    if open.contains_key(&Remedy::Layout) {
        headers.push("#include <resplice/shadow.h>");
    }
    headers.retain(|header| !lines.contains(header));
    let fragment = fragment(&unit.name, &open);
    let mut out = format!("--- a/{0}\n+++ b/{0}\n", unit.name);
    let after = last_include(&lines);
    let added = if after == lines.len() {
        0
    } else {
        hunk(&mut out, &lines, after, 0, headers.iter().copied());
        headers.len()
    };
    let all: Vec<&str> = if added == 0 {
        headers.iter().copied().chain(fragment.lines()).collect()
    } else {
        fragment.lines().collect()
    };
    hunk(&mut out, &lines, lines.len(), added, all.into_iter());
    Some(out)
}

/// Writes a hunk that adds lines after line `after`; `shift` were added before.
fn hunk<'l>(
    out: &mut String,
    lines: &[&str],
    after: usize,
    shift: usize,
    added: impl ExactSizeIterator<Item = &'l str>,
) {
    if added.len() == 0 {
        return;
    }
    let start = after.saturating_sub(CONTEXT);
    let end = (after + CONTEXT).min(lines.len());
    let old = end - start;
    // Writing to a string can't fail.
    let _ = writeln!(
        out,
        "@@ -{},{old} +{},{} @@",
        start + usize::from(old > 0),
        start + shift + 1,
        old + added.len()
    );
    for line in &lines[start..after] {
        let _ = writeln!(out, " {line}");
    }
    for line in added {
        let _ = writeln!(out, "+{line}");
    }
    for line in &lines[after..end] {
        let _ = writeln!(out, " {line}");
    }
}

/// The number of lines up to the last `#include` that no `#if` depends on and
/// that stands before all code; the file's length if there is none.
fn last_include(lines: &[&str]) -> usize {
    let (mut depth, mut found) = (0_i32, None);
    for (index, line) in lines.iter().enumerate() {
        let directive = line.strip_prefix('#').map(str::trim_start);
        match directive {
            Some(rest) if rest.starts_with("if") => depth += 1,
            Some(rest) if rest.starts_with("endif") => depth -= 1,
            Some(rest) if rest.starts_with("include") && depth == 0 => found = Some(index + 1),
            _ if line.starts_with('{') => break,
            _ => {}
        }
    }
    found.unwrap_or(lines.len())
}

fn fragment(unit: &str, open: &BTreeMap<Remedy, Vec<&Refusal>>) -> String {
    let stem = unit.rsplit('/').next().unwrap_or(unit);
    let stem: String = stem
        .trim_end_matches(".c")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let mut out = String::from("\n/* For the live update; see <resplice/hooks.h>. */\n");
    for (remedy, refusals) in open {
        for refusal in refusals {
            declare(&mut out, *remedy, refusal);
        }
    }
    let has = |remedy| open.contains_key(&remedy);
    if has(Remedy::Data) {
        out.push_str(&stopped_hooks(&stem));
    }
    if has(Remedy::Init) || has(Remedy::Layout) {
        out.push_str(&sleeping_hooks(&stem));
    }
    out
}

/// The refusal in its own words, and the declaration that answers it.
fn declare(out: &mut String, remedy: Remedy, refusal: &Refusal) {
    let sentence = refusal.sentence.replace("*/", "* /");
    let name = names::source_function(&refusal.object);
    let _ = write!(out, "\n/*\n * {}: {sentence}.\n", refusal.code);
    let _ = match remedy {
        Remedy::Data => write!(
            out,
            " * The running value stays, unless a hook below changes it. To have the new\n \
             * contents put in its place as they are, write RESPLICE_DATA_SET instead.\n \
             */\nRESPLICE_DATA_KEEP({name});\n"
        ),
        Remedy::Init => write!(
            out,
            " * What it should have done otherwise at boot has to be made up for in a hook\n \
             * below, or say here why there is nothing to do.\n \
             */\nRESPLICE_INIT_DONE({name});\n"
        ),
        Remedy::Exit => write!(
            out,
            " * It can't run while the update is in effect, and then the old one does: that\n \
             * has to do, or a hook that runs on undo makes up for it.\n \
             */\nRESPLICE_EXIT_KEEP({name});\n"
        ),
        Remedy::Layout => {
            let tagged = ["struct ", "union ", "enum "];
            let is_variable = refusal.code == "variable-type-changed";
            let kind = if is_variable || tagged.iter().any(|t| refusal.object.starts_with(t)) {
                ""
            } else {
                "struct "
            };
            write!(
                out,
                " * Objects of the old layout live on. Leave the type as it was and keep a new\n \
                 * field beside each object: resplice_shadow_get_or_attach(object, ID, size,\n \
                 * gfp, NULL, NULL) to use it, resplice_shadow_detach(object, ID, NULL) where\n \
                 * the object is freed. Only if no object of the old layout can meet the new\n \
                 * code, declare so:\n \
                 *	RESPLICE_LAYOUT_OK({kind}{});\n \
                 */\n",
                refusal.object
            )
        }
    };
}

fn stopped_hooks(stem: &str) -> String {
    format!(
        "
static void {stem}_apply(const struct resplice_object *object)
{{
	/*
	 * The machine is stopped and the new code is in place: change running
	 * values here, if they are still what the old initialiser said.
	 */
}}
RESPLICE_APPLY({stem}_apply);

static void {stem}_reverse(const struct resplice_object *object)
{{
	/* The same the other way, for undo. */
}}
RESPLICE_REVERSE({stem}_reverse);
"
    )
}

fn sleeping_hooks(stem: &str) -> String {
    format!(
        "
static int {stem}_pre_apply(const struct resplice_object *object)
{{
	/* Before anything is changed: a negative errno refuses the update. */
	return 0;
}}
RESPLICE_PRE_APPLY({stem}_pre_apply);

static void {stem}_take_back(const struct resplice_object *object)
{{
	/* Undo what {stem}_pre_apply() did: the update failed, or is undone. */
}}
RESPLICE_FAIL_APPLY({stem}_take_back);
RESPLICE_POST_REVERSE({stem}_take_back);
"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn unit(refused: &[(&str, &str)]) -> UnitPlan {
        UnitPlan {
            name: "fs/a-b.c".to_owned(),
            refused: refused
                .iter()
                .map(|(code, object)| Refusal::new(code, *object, format!("{object} changed")))
                .collect(),
            ..UnitPlan::default()
        }
    }

    #[test]
    fn what_code_can_not_lift_has_no_skeleton() {
        assert_eq!(skeleton(&unit(&[("too-small", "f")]), "int f;\n"), None);
        assert!(!needs_code(&Refusal::new("entry-code", "f", "")));
    }

    #[test]
    fn the_header_goes_after_the_includes_and_the_code_to_the_end() {
        let source =
            "#include <a.h>\n#ifdef X\n#include <b.h>\n#endif\nint v = 1;\nint w;\nint x;\n";
        let text = skeleton(&unit(&[("changed-data", "v.3")]), source).unwrap();
        let expected = "--- a/fs/a-b.c\n+++ b/fs/a-b.c\n@@ -1,4 +1,5 @@\n #include <a.h>\n\
            +#include <resplice/hooks.h>\n #ifdef X\n #include <b.h>\n #endif\n@@ -5,3 +6,";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\n int x;\n+\n+/* For the live"), "{text}");
        assert!(text.contains("\n+RESPLICE_DATA_KEEP(v);\n"), "{text}");
        assert!(
            text.contains("\n+RESPLICE_REVERSE(a_b_reverse);\n"),
            "{text}"
        );
    }

    #[test]
    fn each_class_brings_its_own_hooks() {
        let text = skeleton(&unit(&[("init-changed", "start")]), "int v;\n").unwrap();
        assert!(text.contains("+RESPLICE_INIT_DONE(start);"), "{text}");
        assert!(
            text.contains("+RESPLICE_PRE_APPLY(a_b_pre_apply);"),
            "{text}"
        );
        assert!(!text.contains("RESPLICE_DATA_KEEP"), "{text}");
        let said = declarations(&unit(&[
            ("init-changed", "start"),
            ("too-small", "f"),
            ("layout-changed", "struct thing"),
        ]));
        assert_eq!(
            said,
            [
                "Resplice-Declare: init-done fs/a-b.c:start (…)",
                "Resplice-Declare: layout-ok fs/a-b.c:thing (…)"
            ]
        );
        let text = skeleton(&unit(&[("exit-changed", "stop")]), "int v;\n").unwrap();
        assert!(text.contains("+RESPLICE_EXIT_KEEP(stop);"), "{text}");
        let text = skeleton(&unit(&[("layout-changed", "struct thing")]), "int v;\n").unwrap();
        assert!(text.contains("+#include <resplice/shadow.h>"), "{text}");
        assert!(text.contains("RESPLICE_LAYOUT_OK(struct thing);"), "{text}");
    }
}
