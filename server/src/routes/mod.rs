//! One table of all operations. A row says who may call, how it is audited, and
//! how large a body may be; the router is made from the table and from nothing
//! else, so an operation without a row does not exist.

mod archive;
mod attempts;
mod body;
mod etag;
mod feeds;
mod fleet;
mod guard;
mod health;
mod hosts;
mod idempotency;
mod imports;
mod jobs;
mod keys;
mod listing;
mod log;
mod oidc;
mod openapi;
mod packages;
mod provenance;
mod repository;
mod rollout;
mod router;
mod sessions;
mod targets;
mod text;
mod tokens;
mod updates;
mod users;
mod webhooks;
mod workers;

pub use openapi::document;
pub use router::router;

use crate::App;
use axum::{
    http::Method,
    routing::{MethodRouter, delete, get, patch, post, put},
};
use resplice_api::{Role, limits};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a token.
    Anyone,
    /// Whoever has a token or a session, even one whose password has to be changed.
    Known,
    /// Tokens and people with one of these roles.
    Roles(&'static [Role]),
}

/// How an operation is audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// It changes nothing.
    Reads,
    /// A row with this action is written before, and completed after.
    Before(&'static str),
    /// The row is written in the same transaction as the change.
    Within,
    /// It goes on with what an audited operation began.
    Continues,
}

/// One operation of the API.
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its path behind [`BASE_PATH`], with `{…}` for parameters.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// How it is audited.
    pub audit: Audit,
    /// Most bytes of its body.
    pub body_bytes: usize,
    handler: MethodRouter<App>,
}

impl Operation {
    /// Whether a request may name a key, so that it is carried out once; and whether
    /// the answer is kept.
    #[must_use]
    pub fn once(&self) -> Option<bool> {
        let changes = self.method == Method::POST && matches!(self.audit, Audit::Before(_));
        changes.then(|| idempotency::may_keep(self.path))
    }
}

const PEOPLE: &[Role] = &[Role::Team, Role::Engineer, Role::Admin];
/// Hosts and enrolment tokens see no patches, no logs, and no other hosts.
const READERS: &[Role] = &[Role::Team, Role::Engineer, Role::Admin, Role::Worker];
const BUILDERS: &[Role] = &[Role::Worker];
const ADMIN: &[Role] = &[Role::Admin];

/// Most bytes of what is said of an account.
const ACCOUNT: usize = 16 << 10;
/// Most bytes of an ordinary body.
const JSON: usize = limits::MAX_JSON_BODY_BYTES;

/// A row for something that changes nothing.
fn read(path: &'static str, roles: &'static [Role], handler: MethodRouter<App>) -> Operation {
    Operation {
        method: Method::GET,
        path,
        access: Access::Roles(roles),
        audit: Audit::Reads,
        body_bytes: 0,
        handler,
    }
}

/// A row for a change.
fn write(
    path: &'static str,
    roles: &'static [Role],
    audit: Audit,
    body_bytes: usize,
    handler: MethodRouter<App>,
) -> Operation {
    Operation {
        method: Method::POST,
        path,
        access: Access::Roles(roles),
        audit,
        body_bytes,
        handler,
    }
}

/// All operations.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let mut all = vec![
        Operation {
            access: Access::Anyone,
            ..read("/healthz", &[], get(health::live))
        },
        Operation {
            access: Access::Anyone,
            ..read("/readyz", &[], get(health::ready))
        },
        Operation {
            access: Access::Anyone,
            ..read("/openapi.json", &[], get(openapi::serve))
        },
        Operation {
            access: Access::Known,
            ..read("/whoami", &[], get(workers::whoami))
        },
    ];
    all.extend(update_operations());
    all.extend(build_operations());
    all.extend(host_operations());
    all.extend(account_operations());
    all.extend(log_operations());
    all.extend(rollout_operations());
    all.extend(webhook_operations());
    all
}

/// What people do with updates, and what they and workers look at.
#[rustfmt::skip]
fn update_operations() -> Vec<Operation> {
    let upload = limits::MAX_UPDATE_BODY_BYTES;
    vec![
        read("/targets", READERS, get(targets::list)),
        write("/targets/{target}/retire", ADMIN, Audit::Before("target.retire"), JSON, post(targets::retire)),
        write("/targets/{target}/restore", ADMIN, Audit::Before("target.restore"), 0, post(targets::restore)),
        write("/imports", ADMIN, Audit::Before("target.import"), ACCOUNT, post(imports::create)),
        read("/imports", PEOPLE, get(imports::list)),
        read("/archive", PEOPLE, get(archive::show)),
        write("/archive/look", ADMIN, Audit::Before("archive.look"), 0, post(archive::look)),
        write("/patches/reach", &[Role::Team], Audit::Reads, upload, post(updates::reach)),
        write("/updates", &[Role::Team], Audit::Before("update.upload"), upload, post(updates::upload)),
        read("/updates", READERS, get(updates::list)),
        read("/updates/{id}", READERS, get(updates::find)),
        read("/updates/{id}/patch", READERS, get(updates::patch)),
        write("/updates/{id}/reject", &[Role::Engineer], Audit::Before("update.reject"), JSON, post(updates::reject)),
        write("/updates/{id}/release", &[Role::Engineer], Audit::Before("update.release"), JSON, post(updates::release)),
        read("/jobs", READERS, get(jobs::list)),
        read("/jobs/{id}", READERS, get(jobs::find)),
        read("/jobs/{id}/attempts", READERS, get(jobs::attempts)),
        write("/jobs/{id}/cancel", PEOPLE, Audit::Before("job.cancel"), JSON, post(jobs::cancel)),
        write("/jobs/{id}/retry", PEOPLE, Audit::Before("job.retry"), 0, post(jobs::retry)),
        write("/jobs/{id}/priority", PEOPLE, Audit::Before("job.priority"), JSON, post(jobs::prioritise)),
        read("/jobs/{id}/log", READERS, get(jobs::log)),
        read("/jobs/{id}/listing", READERS, get(listing::find)),
    ]
}

/// What workers do.
#[rustfmt::skip]
fn build_operations() -> Vec<Operation> {
    let (chunk, package) = (limits::MAX_LOG_CHUNK_BYTES, limits::MAX_PACKAGE_BYTES);
    vec![
        write("/workers", BUILDERS, Audit::Before("worker.register"), JSON, post(workers::register)),
        read("/workers", READERS, get(workers::list)),
        write("/leases", BUILDERS, Audit::Within, JSON, post(attempts::lease)),
        write("/jobs/{id}/attempts/{attempt}/heartbeat", BUILDERS, Audit::Continues, JSON, post(attempts::heartbeat)),
        write("/jobs/{id}/attempts/{attempt}/log", BUILDERS, Audit::Continues, chunk, post(attempts::append_log)),
        Operation {
            method: Method::PUT,
            ..write("/jobs/{id}/attempts/{attempt}/package", BUILDERS, Audit::Before("package.store"), package, put(attempts::put_package))
        },
        Operation {
            method: Method::PUT,
            ..write("/jobs/{id}/attempts/{attempt}/provenance", BUILDERS, Audit::Before("provenance.store"), limits::MAX_PROVENANCE_BYTES, put(provenance::store))
        },
        Operation {
            method: Method::PUT,
            ..write("/jobs/{id}/attempts/{attempt}/listing", BUILDERS, Audit::Before("listing.store"), limits::MAX_LISTING_BYTES, put(listing::store))
        },
        write("/jobs/{id}/attempts/{attempt}/finish", BUILDERS, Audit::Before("job.finish"), JSON, post(attempts::finish)),
    ]
}

/// What hosts do, and what others see of them.
#[rustfmt::skip]
fn host_operations() -> Vec<Operation> {
    const TAKERS: &[Role] = &[Role::Team, Role::Engineer, Role::Admin, Role::Worker, Role::Host];
    vec![
        write("/hosts/enrol", &[Role::Enrol], Audit::Before("host.enrol"), JSON, post(hosts::enrol)),
        read("/hosts", PEOPLE, get(hosts::list)),
        read("/hosts/{id}", PEOPLE, get(fleet::host)),
        read("/fleet", PEOPLE, get(fleet::show)),
        read("/hosts/{id}/plan", &[Role::Host], get(hosts::plan)),
        read("/packages/{sha256}", TAKERS, get(packages::download)),
        read("/packages/{sha256}/provenance", TAKERS, get(provenance::find)),
        write("/hosts/{id}/reports", &[Role::Host], Audit::Before("host.report"), JSON, post(hosts::report)),
    ]
}

/// Who may come in.
#[rustfmt::skip]
fn account_operations() -> Vec<Operation> {
    let open = |path, handler| Operation {
        access: Access::Anyone,
        ..read(path, &[], handler)
    };
    vec![
        Operation {
            access: Access::Anyone,
            ..write("/sessions", &[], Audit::Within, ACCOUNT, post(sessions::sign_in))
        },
        open("/sign-in", get(oidc::ways)),
        open("/sessions/oidc", get(oidc::begin)),
        Operation {
            audit: Audit::Within,
            ..open(crate::oidc::CALLBACK, get(oidc::callback))
        },
        Operation {
            method: Method::DELETE,
            access: Access::Known,
            ..write("/sessions/current", &[], Audit::Before("session.end"), 0, delete(sessions::sign_out))
        },
        Operation {
            method: Method::PUT,
            access: Access::Known,
            ..write("/account/password", &[], Audit::Before("password.change"), ACCOUNT, put(sessions::change_password))
        },
        write("/users", ADMIN, Audit::Before("user.create"), ACCOUNT, post(users::create)),
        read("/users", ADMIN, get(users::list)),
        read("/users/{name}", ADMIN, get(users::find)),
        Operation {
            method: Method::PATCH,
            ..write("/users/{name}", ADMIN, Audit::Before("user.change"), ACCOUNT, patch(users::change))
        },
        Operation {
            method: Method::DELETE,
            ..write("/users/{name}/identities", ADMIN, Audit::Before("identity.unlink"), 0, delete(users::unlink))
        },
        write("/users/{name}/password", ADMIN, Audit::Before("password.reset"), 0, post(users::reset_password)),
        write("/tokens", ADMIN, Audit::Before("token.create"), JSON, post(tokens::create)),
        read("/tokens", ADMIN, get(tokens::list)),
        Operation {
            method: Method::DELETE,
            ..write("/tokens/{token}", ADMIN, Audit::Before("token.revoke"), 0, delete(tokens::revoke))
        },
    ]
}

/// How updates reach hosts.
#[rustfmt::skip]
fn rollout_operations() -> Vec<Operation> {
    const ENGINEER: &[Role] = &[Role::Engineer];
    vec![
        write("/updates/{id}/promote", ENGINEER, Audit::Before("update.promote"), JSON, post(rollout::promote)),
        write("/updates/{id}/revoke", ENGINEER, Audit::Before("update.revoke"), JSON, post(rollout::revoke)),
        read("/updates/{id}/rollout", PEOPLE, get(rollout::find)),
        read("/updates/{id}/progress", PEOPLE, get(fleet::progress)),
        write("/updates/{id}/halt", ENGINEER, Audit::Before("rollout.halt"), JSON, post(rollout::halt)),
        write("/updates/{id}/resume", ENGINEER, Audit::Before("rollout.resume"), JSON, post(rollout::resume)),
        write("/wave-plans", ENGINEER, Audit::Before("wave-plan.set"), JSON, post(rollout::put_plan)),
        read("/wave-plans", PEOPLE, get(rollout::plans)),
        write("/hosts/{id}/groups", ENGINEER, Audit::Before("host.groups"), JSON, post(rollout::set_groups)),
        read("/groups", PEOPLE, get(rollout::list_groups)),
        write("/groups/{name}/freeze", ENGINEER, Audit::Before("group.freeze"), JSON, post(rollout::freeze)),
        write("/groups/{name}/thaw", ENGINEER, Audit::Before("group.thaw"), JSON, post(rollout::thaw)),
        write("/hosts/{id}/channel", ENGINEER, Audit::Before("host.channel"), JSON, post(rollout::set_channel)),
    ]
}

/// What vendors are told.
#[rustfmt::skip]
fn webhook_operations() -> Vec<Operation> {
    const VENDOR: &[Role] = &[Role::Vendor];
    vec![
        write("/webhooks", VENDOR, Audit::Before("webhook.create"), ACCOUNT, post(webhooks::create)),
        read("/webhooks", VENDOR, get(webhooks::list)),
        read("/webhooks/{id}", VENDOR, get(webhooks::find)),
        Operation {
            method: Method::DELETE,
            ..write("/webhooks/{id}", VENDOR, Audit::Before("webhook.remove"), 0, delete(webhooks::remove))
        },
        write("/webhooks/{id}/rotate", VENDOR, Audit::Before("webhook.rotate"), 0, post(webhooks::rotate)),
        write("/webhooks/{id}/enable", VENDOR, Audit::Before("webhook.enable"), 0, post(webhooks::enable)),
        read("/webhooks/{id}/deliveries", VENDOR, get(webhooks::deliveries)),
        write("/webhooks/{id}/deliveries/{delivery}/redeliver", VENDOR, Audit::Before("webhook.redeliver"), 0, post(webhooks::redeliver)),
    ]
}

/// What was done, and that nobody has changed it since.
#[rustfmt::skip]
fn log_operations() -> Vec<Operation> {
    const AUDITORS: &[Role] = &[Role::Engineer, Role::Admin];
    let known = |path, handler| Operation {
        access: Access::Known,
        ..read(path, &[], handler)
    };
    vec![
        read("/audit", AUDITORS, get(log::audit)),
        read("/metrics", AUDITORS, get(health::metrics)),
        read("/keys", AUDITORS, get(keys::show)),
        known("/log/key", get(log::key)),
        known("/log/checkpoint", get(log::checkpoint)),
        known("/log/consistency", get(log::consistency)),
        known("/log/tile/{level}/{*index}", get(log::tile)),
        read("/log/tile/entries/{*index}", AUDITORS, get(log::entries)),
        known("/updates/{id}/proof", get(log::release_proof)),
    ]
}
