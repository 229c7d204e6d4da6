//! The words of preprocessed text.

/// Words that are no names.
const KEYWORDS: &[&str] = &[
    "static",
    "inline",
    "__inline",
    "__inline__",
    "extern",
    "const",
    "volatile",
    "struct",
    "union",
    "enum",
    "typedef",
    "int",
    "char",
    "short",
    "long",
    "unsigned",
    "signed",
    "void",
    "_Bool",
    "float",
    "double",
    "__signed__",
    "return",
    "if",
    "else",
    "for",
    "while",
    "do",
    "switch",
    "case",
    "default",
    "break",
    "continue",
    "goto",
    "sizeof",
    "typeof",
    "__typeof__",
    "__typeof",
    "__attribute__",
    "__attribute",
    "__extension__",
    "asm",
    "__asm__",
    "__asm",
    "register",
    "restrict",
    "__restrict",
    "__restrict__",
    "_Alignas",
    "_Alignof",
    "_Static_assert",
    "__const",
    "__volatile__",
    "__volatile",
    "auto",
    "__auto_type",
    "__int128",
    "_Generic",
];
/// What a macro with `__COUNTER__` in it makes up, in strings for the assembler
/// too; a number follows. One more use in a header renumbers all that comes after
/// it, and no code changes by that.
const COUNTED: [&[u8]; 3] = [b"__compiletime_assert_", b"__UNIQUE_ID_", b"\"__BTF_ID__"];

/// Cuts a text into words, numbers, strings and single marks. Line markers are
/// none of them, and counted names come without their number.
pub fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::with_capacity(text.len() / 4);
    for line in text.split(|&byte| byte == b'\n') {
        if is_marker(line) {
            continue;
        }
        let mut rest = line;
        while let Some(&byte) = rest.first() {
            let end = match KINDS[usize::from(byte)] {
                Kind::Space => {
                    rest = &rest[1..];
                    continue;
                }
                Kind::Quote => quoted(rest, 0),
                Kind::Word => rest
                    .iter()
                    .position(|&byte| !matches!(KINDS[usize::from(byte)], Kind::Word))
                    .unwrap_or(rest.len()),
                Kind::Mark => 1,
            };
            let (token, after) = rest.split_at(end);
            tokens.push(uncounted(token));
            rest = after;
        }
    }
    tokens
}

/// What a byte can begin.
#[derive(Clone, Copy)]
enum Kind {
    Space,
    Word,
    Quote,
    Mark,
}

const KINDS: [Kind; 256] = kinds();

const fn kinds() -> [Kind; 256] {
    let mut kinds = [Kind::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => Kind::Space,
            b'"' | b'\'' => Kind::Quote,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'$' | 0x80.. => Kind::Word,
            _ => Kind::Mark,
        };
        byte += 1;
    }
    kinds
}

/// The end of a string that begins at `at`.
fn quoted(line: &[u8], at: usize) -> usize {
    let quote = line.get(at).copied();
    let mut end = at + 1;
    while let Some(&byte) = line.get(end) {
        end += 1;
        match byte {
            b'\\' => end += 1,
            _ if Some(byte) == quote => break,
            _ => {}
        }
    }
    end.min(line.len())
}

/// `# 12 "file.h" 1`
pub fn is_marker(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"# ");
    rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

pub fn is_word(token: &[u8]) -> bool {
    token
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

pub fn is_name(token: &[u8]) -> bool {
    is_word(token) && !is_one_of(token, KEYWORDS)
}

pub fn is_one_of(token: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| word.as_bytes() == token)
}

fn uncounted(word: &[u8]) -> &[u8] {
    if !matches!(word.get(..2), Some(b"__" | b"\"_")) || !is_counted(word) {
        return word;
    }
    let body = word.strip_suffix(b"\"").unwrap_or(word);
    let digits = body.iter().rev().take_while(|byte| byte.is_ascii_digit());
    body.get(..body.len() - digits.count()).unwrap_or(word)
}

fn is_counted(word: &[u8]) -> bool {
    COUNTED.iter().any(|name| word.starts_with(name))
}
