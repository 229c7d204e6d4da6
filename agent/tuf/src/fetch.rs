//! Where a repository's files come from.

/// Why a file can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The repository does not have it.
    #[error("the repository does not have it")]
    Missing,
    /// There are more bytes than there may be.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// Most bytes that it may have.
        limit: u64,
    },
    /// The way there is broken.
    #[error("{0}")]
    Transport(String),
}

/// A repository that hands out its files.
pub trait Fetch {
    /// A metadata file, by its escaped name, for example `3.root.json`. Never more
    /// than `limit` bytes are held in memory.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::Missing`] only on the repository's own word.
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError>;

    /// A target's file, by its escaped path.
    ///
    /// # Errors
    /// [`FetchError`].
    fn target(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, FetchError>;
}
