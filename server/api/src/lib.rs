//! The wire contract of Resplice: what server, worker, agent and command line
//! say to each other over HTTP, as serde types.
//!
//! Everything is JSON under [`BASE_PATH`], except patches, logs and packages,
//! which are plain bytes. Times are UTC in RFC 3339 form. An error is a
//! [`Problem`] (RFC 9457). Whoever calls gives a bearer [`Token`]; its [`Role`]
//! says what it may do.
//!
//! With the feature `client`, [`client::Client`] is a typed client for all of it.
#![forbid(unsafe_code)]

mod account;
mod channel;
#[cfg(feature = "client")]
pub mod client;
mod declared;
mod fleet;
mod host;
mod id;
mod job;
mod key;
pub mod limits;
mod listing;
mod log;
mod problem;
mod role;
mod rollout;
mod status;
mod target;
mod token;
mod update;
mod webhook;
mod worker;

pub use account::{
    ChangePassword, ChangeUser, IdentityProvider, LinkedIdentity, NewUser, OneTimePassword,
    Password, SignIn, User, Users, WaysIn,
};
pub use channel::{Channel, UnknownChannel};
pub use declared::{
    DECLARABLE, Declared, DeclaredError, MAX_DECLARED, MAX_DECLARED_BYTES, TRAILER, declared,
};
pub use fleet::{
    CveStage, CveTarget, Fleet, FleetCve, FleetDay, FleetUpdate, HostCount, HostDetail, HostUpdate,
    PauseCount, Progress, ProgressPoint, Trouble,
};
pub use host::{
    Enrol, Enrolled, HeldUpdate, Host, HostReport, Hosts, NewReport, Plan, PlannedUpdate,
    ReportEvent, package_target,
};
pub use id::{HostId, JobId, ReportId, UpdateId};
pub use job::{Attempt, Attempts, Cancel, Job, JobSummary, Jobs, PackageInfo, Priority, Step};
pub use key::{Keys, RoleKeys};
pub use listing::{CodeListing, FunctionListing, InstructionLine, Listing};
pub use log::{
    AuditEntries, AuditEntry, BundledEntry, ConsistencyProof, LogEntry, LoggedPackage,
    MAX_BUNDLE_FILES, ReleaseProof,
};
pub use problem::{PROBLEM_JSON, Problem};
pub use role::{Role, Token, TokenError, UnknownRole, Whoami};
pub use rollout::{
    Because, Gate, Group, Groups, Limit, NewPromotion, Promotion, Rollout, RolloutState,
    SetChannel, SetGroups, Tally, WavePlan, WavePlans, WaveStep,
};
pub use status::{FinishStatus, JobStatus};
pub use target::{
    Archive, Import, ImportState, ImportStep, Imports, Kernel, NewImport, NewRetirement,
    Retirement, Target, Targets, UnknownImportState,
};
pub use token::{NewToken, NewTokenAnswer, TokenInfo, Tokens};
pub use update::{
    Check, CheckFile, FileKind, NewReach, NewRejection, NewRelease, NewRevocation, NewUpdate,
    Reach, Rejection, Release, Revocation, TargetReach, TargetStatus, TouchedFile, Update,
    UpdateSummary, Updates,
};
pub use webhook::{
    Deliveries, Delivery, DeliveryState, Disabled, NewWebhook, UnknownDeliveryState, UnknownEvent,
    Webhook, WebhookEvent, WebhookSecrets, Webhooks,
};
pub use worker::{
    Finish, Heartbeat, HeartbeatAnswer, Lease, LeaseRequest, LeasedUpdate, NewWorker, Worker,
    Workers,
};

/// What every path of the API begins with.
pub const BASE_PATH: &str = "/api/v1";
/// What every path of the TUF repository begins with; it is not part of the API
/// and asks for no token.
pub const REPOSITORY_PATH: &str = "/repo";
/// Header that a change made with a session's cookie must have, whatever its value.
pub const SESSION_HEADER: &str = "x-resplice-session";
/// Header of a change that may be sent twice and is to be carried out once.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Header of a log response: `true` when no more bytes will come.
pub const LOG_COMPLETE_HEADER: &str = "x-log-complete";
/// Header of a log response: the attempt that the bytes are of.
pub const LOG_ATTEMPT_HEADER: &str = "x-log-attempt";
