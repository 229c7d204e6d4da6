//! Whether two objects load the same bytes.

use super::{Definition, ElfError, Object, Section, Symbol};

const SHF_ALLOC: u64 = 2;

/// Whether two objects differ in nothing that is loaded or linked: only in
/// debug information. Sections must come in the same order.
///
/// # Errors
/// If an object can't be read.
pub fn loads_alike(pre: &[u8], post: &[u8]) -> Result<bool, ElfError> {
    if pre == post {
        return Ok(true);
    }
    let (pre, post) = (Object::parse(pre)?, Object::parse(post)?);
    let (mut before, mut after) = (loaded(&pre), loaded(&post));
    let same_sections = loop {
        match (before.next(), after.next()) {
            (Some(a), Some(b)) if same_section(&pre, a, &post, b) => {}
            (None, None) => break true,
            _ => break false,
        }
    };
    Ok(same_sections && defined(&pre).eq(defined(&post)))
}

fn loaded(object: &Object) -> impl Iterator<Item = &Section> {
    let sections = object.sections.iter();
    sections.filter(|section| section.flags & SHF_ALLOC != 0)
}

fn same_section(pre: &Object, a: &Section, post: &Object, b: &Section) -> bool {
    let same = (&a.name, a.sh_type, a.flags, a.align, a.size, &a.bytes)
        == (&b.name, b.sh_type, b.flags, b.align, b.size, &b.bytes);
    same && a.relocs.len() == b.relocs.len()
        && a.relocs.iter().zip(&b.relocs).all(|(a, b)| {
            (a.offset, a.kind, a.addend) == (b.offset, b.kind, b.addend)
                && told(pre, pre.symbol(a.symbol)) == told(post, post.symbol(b.symbol))
        })
}

/// A symbol without the numbers that depend on what is not loaded.
fn told<'o>(object: &'o Object, symbol: &'o Symbol) -> (&'o str, &'o str, u64, u64, u8) {
    let section = match symbol.definition {
        Definition::Section(id) => &object.section(id).name,
        Definition::Undefined => "*undefined*",
        Definition::Absolute => "*absolute*",
    };
    (
        &symbol.name,
        section,
        symbol.value,
        symbol.size,
        symbol.binding as u8,
    )
}

/// What the loaded sections define, and what is asked of others.
fn defined(object: &Object) -> impl Iterator<Item = (&str, &str, u64, u64, u8)> {
    let symbols = object.symbols.iter().filter(|symbol| {
        symbol
            .section()
            .is_none_or(|id| object.section(id).flags & SHF_ALLOC != 0)
    });
    symbols.map(|symbol| told(object, symbol))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::compile;

    fn alike(pre: &str, post: &str) -> bool {
        let flags = ["-g", "-ffunction-sections", "-fdata-sections"];
        loads_alike(&compile(pre, &flags), &compile(post, &flags)).unwrap()
    }

    #[test]
    fn a_member_that_nobody_uses_loads_alike() {
        let source = "struct s { int a; DIFF }; int f(struct s *s) { return s->a; }";
        assert!(alike(
            &source.replace("DIFF", ""),
            &source.replace("DIFF", "\n\nint b;")
        ));
    }

    #[test]
    fn another_byte_callee_size_or_name_does_not() {
        let source = "int g(int); int h(int); static int v[SIZE]; int NAME(int a) { return CALL(a + ONE) + v[a]; } void set(int a) { v[a] = a; }";
        let text = |size: &str, name: &str, call: &str, one: &str| {
            source
                .replace("SIZE", size)
                .replace("NAME", name)
                .replace("CALL", call)
                .replace("ONE", one)
        };
        let pre = text("8", "f", "g", "1");
        assert!(alike(&pre, &pre));
        for post in [
            text("9", "f", "g", "1"),
            text("8", "e", "g", "1"),
            text("8", "f", "h", "1"),
            text("8", "f", "g", "2"),
        ] {
            assert!(!alike(&pre, &post), "{post}");
        }
    }
}
