//! The instructions of replaced functions before and after, for reviewers.

use serde::{Deserialize, Serialize};

/// Body of `PUT /jobs/{id}/attempts/{attempt}/listing`, answer of
/// `GET /jobs/{id}/listing`. Nothing that a host relies on: it is not signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Listing {
    /// A cold part follows its function.
    pub functions: Vec<FunctionListing>,
    /// How many are left out because there would be too much.
    pub left_out: u64,
}

/// A function, or the cold part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FunctionListing {
    /// Its symbol in the running kernel.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The kernel object that it is in.
    pub object: String,
    /// What runs now.
    pub pre: CodeListing,
    /// What replaces it.
    pub post: CodeListing,
}

/// The code of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeListing {
    /// Its instructions, ascending.
    pub lines: Vec<InstructionLine>,
    /// Bytes behind the last line that are not listed.
    pub cut_bytes: u64,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstructionLine {
    /// Bytes from the function's start.
    pub offset: u64,
    /// In hex; fields of relocations are zero.
    pub bytes: String,
    /// The instruction, without the target of a branch within the function.
    pub text: String,
    /// Where such a branch leads to, in bytes from the function's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u64>,
}
