//! Why an object can't be read.

/// An object that is malformed, too large, or holds something unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// The ELF structure itself is broken.
    #[error("malformed ELF object: {0}")]
    Malformed(String),
    /// Not a relocatable x86-64 object.
    #[error("not a relocatable x86-64 ELF object: {0}")]
    NotRelocatable(&'static str),
    /// More of something than [`super::LIMITS`] allows.
    #[error("object has {count} {what}; the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// A loaded section whose name has no known meaning.
    #[error("section {name}: unknown loaded section; it would have to be understood first")]
    UnknownSection {
        /// Its name.
        name: String,
    },
    /// A relocation type without known meaning.
    #[error("section {section}+{offset:#x}: unknown relocation type {value}")]
    UnknownRelocation {
        /// Section that holds the field.
        section: String,
        /// Offset of the field.
        offset: u64,
        /// ELF type.
        value: u32,
    },
    /// A section's contents or relocations contradict its size.
    #[error("section {section}: {problem}")]
    BadSection {
        /// Section name.
        section: String,
        /// What is wrong.
        problem: String,
    },
    /// A symbol that can't be used.
    #[error("symbol {symbol}: {problem}")]
    BadSymbol {
        /// Symbol name.
        symbol: String,
        /// What is wrong.
        problem: &'static str,
    },
}
