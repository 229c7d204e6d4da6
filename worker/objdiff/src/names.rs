//! Names that the compiler made up.
//!
//! GCC numbers static locals, clones and constants by counters that any edit
//! shifts, so that a number identifies nothing. What is left without it, does.
//! And the kinds of names that an update makes up.

/// A name without the compiler's counters: `count.12` → `count`,
/// `f.isra.0.cold` → `f.isra.cold`, `__UNIQUE_ID_ddebug405.3` → `__UNIQUE_ID_ddebug#`.
pub fn normalise(name: &str) -> String {
    let mut parts = name.split('.');
    let head = parts.next().unwrap_or_default();
    let mut out = if COUNTED_PREFIXES.iter().any(|p| head.starts_with(p)) {
        without_digits(head)
    } else if head.starts_with(BTF_ID) {
        // Only what is counted: other digits tell functions from each other.
        format!("{}#", head.trim_end_matches(|c: char| c.is_ascii_digit()))
    } else {
        head.to_owned()
    };
    for part in parts {
        if !is_number(part) {
            out.push('.');
            out.push_str(part);
        }
    }
    if out.is_empty() { name.to_owned() } else { out }
}

/// Whether the name contains a counter, and so identifies nothing by itself.
pub fn is_numbered(name: &str) -> bool {
    normalise(name) != name
}

/// The function in the source that a symbol's code came from:
/// `f.constprop.0.cold` → `f`.
pub fn source_function(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// For `F.cold` the name `F`.
pub fn cold_parent(name: &str) -> Option<&str> {
    if let Some(parent) = name.strip_suffix(".cold") {
        return Some(parent);
    }
    let (rest, number) = name.rsplit_once('.')?;
    rest.strip_suffix(".cold").filter(|_| is_number(number))
}

/// What a replacement's name has that the running function's does not.
const REPLACEMENT: &str = ".rsp";

/// The name of a function's replacement in the update: `f` → `f.rsp`, `f.cold` →
/// `f.rsp.cold`. Under the old name kprobes and tracers keep finding one function,
/// the old one, through whose entry each call still goes.
pub fn replacement(name: &str) -> String {
    let body = cold_parent(name).unwrap_or(name);
    format!("{body}{REPLACEMENT}{}", &name[body.len()..])
}

/// Whose replacement a name is, if it is one.
pub fn replaced(name: &str) -> Option<String> {
    let body = cold_parent(name).unwrap_or(name);
    let old = body.strip_suffix(REPLACEMENT)?;
    Some(format!("{old}{}", &name[body.len()..]))
}

/// Read-only objects that the compiler made and whose address means nothing.
pub fn is_constant(name: &str) -> bool {
    const MADE: [&str; 4] = ["__func__", "__FUNCTION__", "__PRETTY_FUNCTION__", "CSWTCH"];
    let head = source_function(name);
    name.starts_with(".L") || MADE.contains(&head) || (head == "C" && is_numbered(name))
}

/// State of macros that may start afresh without harm: flags of `*_once`
/// messages, rate limits, lock classes, dynamic debug descriptors.
pub fn may_start_afresh(name: &str) -> bool {
    const HARMLESS: [&str; 6] = [
        "__already_done",
        "__warned",
        "__print_once",
        "__key",
        "_rs",
        "descriptor",
    ];
    HARMLESS.contains(&source_function(name)) || name.starts_with("__UNIQUE_ID_ddebug")
}

/// `__BTF_ID__func__NAME__` with counter and line behind (linux/btf_ids.h).
const BTF_ID: &str = "__BTF_ID__";
const COUNTED_PREFIXES: [&str; 2] = ["__UNIQUE_ID_", "__initcall__"];

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

fn without_digits(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

/// The name by which the other parts of an update know a function.
#[must_use]
pub fn offered_name(id: &str, function: &str) -> String {
    format!("{id}__{function}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_dropped_and_words_kept() {
        for (name, want) in [
            ("count.12", "count"),
            ("f", "f"),
            ("f.isra.0.cold", "f.isra.cold"),
            ("f.part.1", "f.part"),
            ("__UNIQUE_ID_ddebug405.3", "__UNIQUE_ID_ddebug#"),
            (
                "__initcall__kmod_seg6__405_520_seg6_init6",
                "__initcall__kmod_seg#__#_#_seg#_init#",
            ),
            (".LC3", ".LC3"),
        ] {
            assert_eq!(normalise(name), want);
        }
    }

    #[test]
    fn a_cold_part_names_its_function() {
        assert_eq!(cold_parent("f.isra.0.cold"), Some("f.isra.0"));
        assert_eq!(cold_parent("f.cold.3"), Some("f"));
        assert_eq!(cold_parent("f.isra.0"), None);
        assert_eq!(cold_parent("cold"), None);
    }

    #[test]
    fn a_replacement_has_a_name_of_its_own_and_its_function_is_known_by_it() {
        for (name, new) in [
            ("f", "f.rsp"),
            ("f.cold", "f.rsp.cold"),
            ("f.isra.0.cold.3", "f.isra.0.rsp.cold.3"),
        ] {
            assert_eq!(replacement(name), new);
            assert_eq!(replaced(new).as_deref(), Some(name));
            assert_eq!(replaced(name), None);
        }
    }

    #[test]
    fn a_once_key_of_a_random_secret_may_not_start_afresh() {
        assert!(may_start_afresh("__already_done.7"));
        assert!(!may_start_afresh("___done.7"));
        assert!(!may_start_afresh("___once_key.2"));
    }
}
