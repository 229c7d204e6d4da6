//! Debug information from an enemy.

use super::*;
use crate::semantic::{SemanticError, read};

const SOURCE: &str = "
struct s { int a : 3; long b; struct s *next; union { char c[4]; int d; }; };
enum e { A, B };
static int count;
static inline int inner(struct s *s, enum e e) { static int hidden; return s->a + e + hidden++; }
int f(struct s *s, int (*g)(int, ...)) { return g(count++, s) + inner(s, B); }
";

#[test]
fn both_versions_are_read() {
    for dwarf in ["-gdwarf-4", "-gdwarf-5"] {
        let summary = read(&debug(SOURCE, dwarf)).unwrap();
        assert!(summary.types > 10, "{summary:?}");
        assert!(summary.functions >= 2, "{summary:?}");
        assert!(summary.variables >= 2, "{summary:?}");
    }
}

#[test]
fn an_object_without_debug_information_is_an_error() {
    let bytes = compile(SOURCE, &["-g0"]);
    assert!(matches!(read(&bytes), Err(SemanticError::Missing)));
    assert!(read(b"").is_err());
    assert!(read(b"\x7fELF").is_err());
}

#[test]
fn compressed_debug_information_is_refused_by_name() {
    let bytes = compile(SOURCE, &["-g", "-gz=zlib"]);
    match read(&bytes) {
        Err(SemanticError::Unsupported(what)) => assert!(what.contains("compressed"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_object_that_is_cut_short_is_no_panic() {
    let bytes = debug(SOURCE, "-gdwarf-5");
    for length in (0..bytes.len()).step_by(7) {
        let _ = read(&bytes[..length]);
    }
}

/// Bytes are changed by a fixed sequence; what is read must be compared, too.
#[test]
fn flipped_bytes_are_no_panic() {
    let plan = UnitPlan {
        name: NAME.to_owned(),
        added: vec!["f".to_owned()],
        ..UnitPlan::default()
    };
    for dwarf in ["-gdwarf-4", "-gdwarf-5"] {
        let good = debug(SOURCE, dwarf);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..500 {
            let mut bad = good.clone();
            for _ in 0..=next() % 4 {
                let at = usize::try_from(next()).unwrap() % bad.len();
                bad[at] = next().to_le_bytes()[0];
            }
            let (before, post) = match next() % 2 {
                0 => (&bad, &good),
                _ => (&good, &bad),
            };
            let input = UnitInput {
                plan: &plan,
                before,
                pre: &good,
                post,
                touched: &[],
            };
            let _ = report(&[input]);
            let _ = read(&bad);
        }
    }
}

/// A type that refers to itself where C can't: `typedef` of itself, a struct
/// that holds itself, an array of itself.
#[test]
fn a_type_that_contains_itself_is_no_panic() {
    let good = debug(
        "typedef int t; struct s { t a; t b[2]; }; int f(struct s *s) { return s->a; }",
        "-gdwarf-5",
    );
    let plan = UnitPlan {
        name: NAME.to_owned(),
        added: vec!["f".to_owned()],
        ..UnitPlan::default()
    };
    // Every reference form is four bytes: each is set to each small offset.
    let object = crate::elf::Object::parse(&good).unwrap();
    assert!(object.section_named(".debug_info").is_some());
    let start = find_debug_info(&good);
    for at in start + 12..start + 140 {
        for offset in (0..140_u32).step_by(3) {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            let input = UnitInput {
                plan: &plan,
                before: &bad,
                pre: &good,
                post: &good,
                touched: &[],
            };
            let _ = report(&[input]);
        }
    }
}

/// Where the section lies in the file.
fn find_debug_info(bytes: &[u8]) -> usize {
    use object::{Object, ObjectSection};
    let file = object::File::parse(bytes).unwrap();
    let section = file.section_by_name(".debug_info").unwrap();
    usize::try_from(section.file_range().unwrap().0).unwrap()
}
