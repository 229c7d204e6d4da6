//! How much of anything the server takes. Whatever is larger is answered with
//! 413 (a body) or 422 (a field).

/// Largest patch in bytes.
pub const MAX_PATCH_BYTES: usize = 4 << 20;
/// Largest body of `POST /updates` in bytes: the patch, JSON-escaped, and the check's files.
pub const MAX_UPDATE_BODY_BYTES: usize = 24 << 20;
/// Largest sum of a check's files in bytes, decoded.
pub const MAX_CHECK_BYTES: usize = 8 << 20;
/// Most files of a check.
pub const MAX_CHECK_FILES: usize = 64;
/// Largest package in bytes.
pub const MAX_PACKAGE_BYTES: usize = 64 << 20;
/// Largest provenance of a package in bytes.
pub const MAX_PROVENANCE_BYTES: usize = 1 << 20;
/// Largest listing of a job, as JSON, in bytes.
pub const MAX_LISTING_BYTES: usize = 4 << 20;
/// Largest piece of a log in one request, in bytes.
pub const MAX_LOG_CHUNK_BYTES: usize = 1 << 20;
/// Largest log of one attempt in bytes.
pub const MAX_LOG_BYTES: u64 = 1 << 30;
/// Largest other JSON body in bytes.
pub const MAX_JSON_BODY_BYTES: usize = 2 << 20;
/// Largest report of a build, as JSON, in bytes.
pub const MAX_BUILD_REPORT_BYTES: usize = 1 << 20;
/// Longest name of an update, host or worker, in bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// Longest name of a person or token, in bytes.
pub const MAX_PERSON_BYTES: usize = 64;
/// Shortest password that somebody may choose, in bytes.
pub const MIN_PASSWORD_BYTES: usize = 12;
/// Longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 256;
/// Longest notes, reason, comment or detail, in bytes.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// Most targets, and most CVE ids, of one update.
pub const MAX_LIST: usize = 64;
/// Most steps of a job or of a host's timeline.
pub const MAX_STEPS: usize = 256;
/// Most entries on one page of a list.
pub const MAX_PAGE: u64 = 500;
/// How long a log request with `follow=1` waits for bytes, in seconds.
pub const FOLLOW_SECONDS: u64 = 20;

/// Longest idempotency key in bytes.
pub const MAX_KEY_BYTES: usize = 128;
