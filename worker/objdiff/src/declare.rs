//! What the author of a patch declares about a change that code can't show:
//! strings in `.resplice.declare`, written by the macros of
//! kmod/include/resplice/hooks.h, or lines of the patch's description. Each lifts
//! one kind of refusal of one object.

use serde::{Deserialize, Serialize};

use crate::elf::{Object, SectionKind};
use crate::names;
use crate::plan::Refusal;

/// Declarations that are read of one unit.
const MAX_DECLARATIONS: usize = 4096;
/// Bytes of a name.
const MAX_NAME_BYTES: usize = 512;

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclarationKind {
    /// The running value of existing data stays, whatever its initialiser says now.
    DataKeep,
    /// The new initial contents replace the running ones.
    DataSet,
    /// A changed `__init` function or its data need not be run or read again.
    InitDone,
    /// A changed function of a module's exit stays: the old one is right once the
    /// update is undone, before which it can't run.
    ExitKeep,
    /// A changed layout of a struct, union or enum is dealt with.
    LayoutOk,
    /// Data of a section of the object stays as it runs; a name of kpatch's.
    IgnoreSection,
    /// A function is not replaced although it changed; a name of kpatch's.
    IgnoreFunction,
}

impl DeclarationKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::DataKeep,
        Self::DataSet,
        Self::InitDone,
        Self::ExitKeep,
        Self::LayoutOk,
        Self::IgnoreSection,
        Self::IgnoreFunction,
    ];

    /// The word in the section.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::DataKeep => "data-keep",
            Self::DataSet => "data-set",
            Self::InitDone => "init-done",
            Self::ExitKeep => "exit-keep",
            Self::LayoutOk => "layout-ok",
            Self::IgnoreSection => "ignore-section",
            Self::IgnoreFunction => "ignore-function",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The macro that writes it.
    #[must_use]
    pub fn macro_name(self) -> &'static str {
        match self {
            Self::DataKeep => "RESPLICE_DATA_KEEP",
            Self::DataSet => "RESPLICE_DATA_SET",
            Self::InitDone => "RESPLICE_INIT_DONE",
            Self::ExitKeep => "RESPLICE_EXIT_KEEP",
            Self::LayoutOk => "RESPLICE_LAYOUT_OK",
            Self::IgnoreSection => "KPATCH_IGNORE_SECTION",
            Self::IgnoreFunction => "KPATCH_IGNORE_FUNCTION",
        }
    }
}

/// One declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// What is declared.
    pub kind: DeclarationKind,
    /// Of which variable, function, or (without `struct`, `union`, `enum`) tag.
    pub name: String,
    /// Whether a change was met that needs it. One that nothing needs is an
    /// error, since it may be meant for something else.
    pub is_needed: bool,
    /// Why it is so: said by those that stand in the patch's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Declaration {
    /// One that stands in the patch's description.
    #[must_use]
    pub fn described(kind: DeclarationKind, name: &str, reason: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            is_needed: false,
            reason: Some(reason.to_owned()),
        }
    }

    /// How its author has written it.
    #[must_use]
    pub fn spelling(&self) -> String {
        match self.reason {
            None => self.kind.macro_name().to_owned(),
            Some(_) => format!("Resplice-Declare: {}", self.kind.word()),
        }
    }

    /// The refusal of one that no change needs.
    #[must_use]
    pub fn unneeded(&self) -> Refusal {
        let sentence = format!(
            "{} names {}, but no change of it needs that: is the name right?",
            self.spelling(),
            self.name
        );
        Refusal::new("unneeded-declaration", &self.name, sentence)
    }

    /// Whether it is about a symbol of that name, which may carry a counter of
    /// the compiler's: `count` also means the static local `count.7`.
    #[must_use]
    pub fn is_about(&self, symbol: &str) -> bool {
        self.name == symbol
            || (names::is_numbered(symbol) && names::source_function(symbol) == self.name)
    }
}

/// A declaration of the patch's description, which names a file as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The unit; of a layout, the file that it is written in, too.
    pub file: String,
    /// What is declared.
    pub declaration: Declaration,
}

/// Reads the declarations of an object compiled from the patched source.
pub(crate) fn read(object: &Object) -> Result<Vec<Declaration>, Refusal> {
    let mut found: Vec<Declaration> = Vec::new();
    for section in object.sections_of(SectionKind::Declare) {
        if !section.relocs.is_empty() || !section.bytes.ends_with(&[0]) {
            return Err(bad("is not a list of strings"));
        }
        // Padding between strings looks like empty ones.
        for text in section.bytes.split(|b| *b == 0).filter(|t| !t.is_empty()) {
            let declaration = parse(text)?;
            if !found.contains(&declaration) {
                found.push(declaration);
            }
            if found.len() > MAX_DECLARATIONS {
                return Err(bad("has too many strings"));
            }
        }
    }
    Ok(found)
}

fn parse(text: &[u8]) -> Result<Declaration, Refusal> {
    let unknown = || {
        let text = String::from_utf8_lossy(&text[..text.len().min(MAX_NAME_BYTES)]).into_owned();
        bad(&format!("says {text:?}, which is no declaration"))
    };
    let text = std::str::from_utf8(text).map_err(|_| unknown())?;
    let (word, name) = text.split_once(':').ok_or_else(unknown)?;
    let kind = DeclarationKind::of(word).ok_or_else(unknown)?;
    let tag = ["struct ", "union ", "enum "]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .filter(|_| kind == DeclarationKind::LayoutOk);
    let name = tag.unwrap_or(name).trim();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
        return Err(unknown());
    }
    Ok(Declaration {
        kind,
        name: name.to_owned(),
        is_needed: false,
        reason: None,
    })
}

fn bad(what: &str) -> Refusal {
    let sentence =
        format!(".resplice.declare {what}: use the macros of <resplice/hooks.h>, with plain names");
    Refusal::new("bad-declaration", ".resplice.declare", sentence)
}
