//! What goes in and out of each operation, in the order of the table of operations.

use super::{
    BYTES, Description, ENVELOPE, JSON, TEXT, bytes, got, number, of, on, posted, uuid, word,
};
use axum::http::Method;
use resplice_api as api;
use serde_json::json;

pub(super) fn descriptions() -> Vec<Description> {
    let mut all = vec![
        got("/healthz", "Whether the server runs").gives(200, bytes(TEXT)),
        got("/readyz", "Whether requests may be sent here")
            .gives(200, bytes(TEXT))
            .answers(503, "Why not", Some(bytes(TEXT))),
        got("/openapi.json", "This document").gives(200, bytes(JSON)),
        got("/whoami", "Who calls, and what they may do").gives(200, of::<api::Whoami>()),
    ];
    all.extend(of_accounts());
    all.extend(of_updates());
    all.extend(of_builds());
    all.extend(of_hosts());
    all.extend(of_rollouts());
    all.extend(of_webhooks());
    all.extend(of_log());
    all
}

fn of_accounts() -> Vec<Description> {
    vec![
        posted("/sessions", "Sign in; the session is a cookie")
            .takes(of::<api::SignIn>())
            .gives(201, of::<api::Whoami>()),
        got("/sign-in", "How one can sign in").gives(200, of::<api::WaysIn>()),
        got("/sessions/oidc", "Go to the identity provider to sign in").answers(
            303,
            "To the provider, or back to the web interface with `sign-in=provider`",
            None,
        ),
        got(
            crate::oidc::CALLBACK,
            "Come back from the identity provider",
        )
        .asks("state", word(), "What it was sent there with", false)
        .asks("code", word(), "What the provider gives", false)
        .asks("error", word(), "Why it gives nothing", false)
        .asks("iss", word(), "Which provider that is", false)
        .answers(
            303,
            "To the web interface, with `sign-in=done` and a session, or with why not",
            None,
        ),
        on(Method::DELETE, "/sessions/current", "Sign out").answers(204, "Signed out", None),
        on(Method::PUT, "/account/password", "Change the own password")
            .takes(of::<api::ChangePassword>())
            .answers(204, "Changed", None),
        posted("/users", "Make an account")
            .takes(of::<api::NewUser>())
            .gives(201, of::<api::OneTimePassword>()),
        got("/users", "The accounts, by name")
            .paged("after", word())
            .gives(200, of::<api::Users>()),
        got("/users/{name}", "An account").gives(200, of::<api::User>()),
        on(Method::PATCH, "/users/{name}", "Change or close an account")
            .takes(of::<api::ChangeUser>())
            .gives(200, of::<api::User>()),
        on(
            Method::DELETE,
            "/users/{name}/identities",
            "Let nobody sign in to an account by way of an identity provider",
        )
        .gives(200, of::<api::User>()),
        posted(
            "/users/{name}/password",
            "Give an account a one-time password",
        )
        .gives(200, of::<api::OneTimePassword>()),
        posted("/tokens", "Make a token")
            .takes(of::<api::NewToken>())
            .gives(201, of::<api::NewTokenAnswer>()),
        got("/tokens", "The tokens but those of hosts, by id")
            .paged("after", word())
            .gives(200, of::<api::Tokens>()),
        on(Method::DELETE, "/tokens/{token}", "Revoke a token").answers(204, "Revoked", None),
    ]
}

fn of_updates() -> Vec<Description> {
    let follow = json!({"type": "integer", "enum": [0, 1], "default": 0});
    vec![
        got("/targets", "The kernels that can be built for").gives(200, of::<api::Targets>()),
        posted(
            "/targets/{target}/retire",
            "Have nothing new built for a target",
        )
        .takes(of::<api::NewRetirement>())
        .gives(200, of::<api::Target>()),
        posted(
            "/targets/{target}/restore",
            "Let a retired target be built for again",
        )
        .gives(200, of::<api::Target>()),
        posted("/imports", "Have a kernel fetched in the background")
            .takes(of::<api::NewImport>())
            .gives(201, of::<api::Import>()),
        got("/imports", "The latest imports, newest first").gives(200, of::<api::Imports>()),
        got(
            "/archive",
            "The kernels that the distribution had at the last look",
        )
        .gives(200, of::<api::Archive>()),
        posted("/archive/look", "Look at the distribution's archive now")
            .gives(200, of::<api::Archive>()),
        posted(
            "/patches/reach",
            "Look what a patch would reach; nothing is stored",
        )
        .takes(of::<api::NewReach>())
        .gives(200, of::<api::Reach>()),
        posted("/updates", "Upload a patch, and queue its builds")
            .takes(of::<api::NewUpdate>())
            .gives(201, of::<api::Update>()),
        got("/updates", "The updates, newest first")
            .paged("before", uuid())
            .gives(200, of::<api::Updates>()),
        got(
            "/updates/{id}",
            "An update, its jobs and what hosts say of it",
        )
        .gives(200, of::<api::Update>()),
        got("/updates/{id}/patch", "Its patch").gives(200, bytes(TEXT)),
        posted(
            "/updates/{id}/release",
            "Let hosts have it; not for who uploaded it",
        )
        .takes(of::<api::NewRelease>())
        .gives(200, of::<api::Update>()),
        got("/jobs", "The jobs, newest first")
            .asks("status", word(), "Only those that stand so", false)
            .paged("before", uuid())
            .gives(200, of::<api::Jobs>()),
        got("/jobs/{id}", "A job").gives(200, of::<api::Job>()),
        got("/jobs/{id}/attempts", "The attempts at a job, oldest first")
            .gives(200, of::<api::Attempts>()),
        posted(
            "/jobs/{id}/cancel",
            "Cancel a job; its worker hears at its next heartbeat",
        )
        .takes(of::<api::Cancel>())
        .gives(200, of::<api::Job>()),
        posted(
            "/jobs/{id}/retry",
            "Run a job that has ended again, as a new attempt",
        )
        .gives(200, of::<api::Job>()),
        posted("/jobs/{id}/priority", "Put a job before others, or behind")
            .takes(of::<api::Priority>())
            .gives(200, of::<api::Job>()),
        got(
            "/jobs/{id}/listing",
            "The replaced functions' instructions before and after",
        )
        .gives(200, of::<api::Listing>()),
        got(
            "/jobs/{id}/log",
            "The bytes of an attempt's log from an offset",
        )
        .asks("offset", number(0), "First byte that is wanted", false)
        .asks(
            "attempt",
            number(1),
            "Which attempt; the latest without",
            false,
        )
        .asks(
            "follow",
            follow,
            "1 waits for bytes if there are none",
            false,
        )
        .gives(200, bytes(TEXT)),
    ]
}

fn of_builds() -> Vec<Description> {
    vec![
        posted("/workers", "Register the key that a worker signs with")
            .takes(of::<api::NewWorker>())
            .gives(200, of::<api::Worker>()),
        got("/workers", "The registered workers").gives(200, of::<api::Workers>()),
        posted("/leases", "Take a job")
            .takes(of::<api::LeaseRequest>())
            .gives(200, of::<api::Lease>())
            .answers(204, "There is none", None),
        posted("/jobs/{id}/attempts/{attempt}/heartbeat", "Keep a lease")
            .takes(of::<api::Heartbeat>())
            .gives(200, of::<api::HeartbeatAnswer>()),
        posted(
            "/jobs/{id}/attempts/{attempt}/log",
            "Append to the attempt's log",
        )
        .asks(
            "offset",
            number(0),
            "Where the bytes begin: where the log ends",
            true,
        )
        .takes(bytes(BYTES))
        .answers(204, "Appended", None),
        on(
            Method::PUT,
            "/jobs/{id}/attempts/{attempt}/package",
            "Store the package",
        )
        .takes(bytes(BYTES))
        .gives(200, of::<api::PackageInfo>()),
        on(
            Method::PUT,
            "/jobs/{id}/attempts/{attempt}/provenance",
            "Store where the package comes from",
        )
        .takes(bytes(ENVELOPE))
        .gives(200, of::<api::PackageInfo>()),
        on(
            Method::PUT,
            "/jobs/{id}/attempts/{attempt}/listing",
            "Store the instructions of the replaced functions",
        )
        .takes(of::<api::Listing>())
        .answers(204, "Stored", None),
        posted(
            "/jobs/{id}/attempts/{attempt}/finish",
            "End the attempt and its job",
        )
        .takes(of::<api::Finish>())
        .gives(200, of::<api::Job>()),
    ]
}

fn of_hosts() -> Vec<Description> {
    vec![
        posted("/hosts/enrol", "Make a host known")
            .takes(of::<api::Enrol>())
            .gives(200, of::<api::Enrolled>()),
        hosts(),
        got(
            "/hosts/{id}",
            "A host, what it should run, and what it said",
        )
        .gives(200, of::<api::HostDetail>()),
        got("/fleet", "Numbers about all hosts").gives(200, of::<api::Fleet>()),
        got("/hosts/{id}/plan", "What a host should run")
            .gives(200, of::<api::Plan>())
            .answers(304, "As `If-None-Match` says", None),
        posted("/hosts/{id}/reports", "What a host did")
            .takes(of::<api::NewReport>())
            .gives(201, of::<api::HostReport>()),
        got("/packages/{sha256}", "A package, whole or a part")
            .gives(200, bytes(BYTES))
            .answers(206, "The range that was asked for", Some(bytes(BYTES)))
            .answers(416, "No such range", None),
        got(
            "/packages/{sha256}/provenance",
            "Where a package comes from: an in-toto statement in a signed envelope (DSSE)",
        )
        .gives(200, bytes(ENVELOPE)),
    ]
}

fn hosts() -> Description {
    let channel = json!({"type": "string", "enum": ["edge", "candidate", "stable"]});
    let state = json!({"type": "string", "enum": ["silent", "failing"]});
    got("/hosts", "The hosts, by name")
        .paged("after", uuid())
        .asks("q", word(), "A part of their name, kernel or id", false)
        .asks("target", word(), "Their target", false)
        .asks("channel", channel, "The channel that they follow", false)
        .asks("group", word(), "A group that they are in", false)
        .asks(
            "state",
            state,
            "Silent, or failing to apply something",
            false,
        )
        .asks("failed", uuid(), "They could not apply this update", false)
        .asks(
            "open_to",
            word(),
            "A CVE that an update for their target fixes, and that they run none for",
            false,
        )
        .gives(200, of::<api::Hosts>())
}

fn of_rollouts() -> Vec<Description> {
    vec![
        posted("/updates/{id}/promote", "Take a release to another channel")
            .takes(of::<api::NewPromotion>())
            .gives(200, of::<api::Update>()),
        posted("/updates/{id}/reject", "Decide against a release")
            .takes(of::<api::NewRejection>())
            .gives(200, of::<api::Update>()),
        posted("/updates/{id}/revoke", "Take a release back")
            .takes(of::<api::NewRevocation>())
            .gives(200, of::<api::Update>()),
        got("/updates/{id}/rollout", "How a rollout in waves stands")
            .gives(200, of::<api::Rollout>()),
        got(
            "/updates/{id}/progress",
            "What became of an update over time",
        )
        .gives(200, of::<api::Progress>()),
        posted("/updates/{id}/halt", "Let no further host have an update")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Rollout>()),
        posted("/updates/{id}/resume", "Let a rollout go on")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Rollout>()),
        posted("/wave-plans", "Keep a wave plan under its name")
            .takes(of::<api::WavePlan>())
            .gives(200, of::<api::WavePlan>()),
        got("/wave-plans", "The wave plans, by name").gives(200, of::<api::WavePlans>()),
        posted("/hosts/{id}/groups", "Put a host into groups")
            .takes(of::<api::SetGroups>())
            .gives(200, of::<api::Groups>()),
        got("/groups", "The groups of hosts, by name").gives(200, of::<api::Groups>()),
        posted("/groups/{name}/freeze", "Offer a group's hosts nothing new")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Groups>()),
        posted("/groups/{name}/thaw", "Let a group's hosts go on")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Groups>()),
        posted("/hosts/{id}/channel", "Let a host follow another channel")
            .takes(of::<api::SetChannel>())
            .gives(200, of::<api::Host>()),
    ]
}

fn of_webhooks() -> Vec<Description> {
    vec![
        posted(
            "/webhooks",
            "Have an address told what happens to updates; the secrets are shown once",
        )
        .takes(of::<api::NewWebhook>())
        .gives(201, of::<api::WebhookSecrets>()),
        got("/webhooks", "The own webhooks, oldest first").gives(200, of::<api::Webhooks>()),
        got("/webhooks/{id}", "A webhook").gives(200, of::<api::Webhook>()),
        on(
            Method::DELETE,
            "/webhooks/{id}",
            "Remove a webhook, with its deliveries",
        )
        .answers(204, "Removed", None),
        posted(
            "/webhooks/{id}/rotate",
            "Give a webhook new secrets; the old ones sign for another day",
        )
        .gives(200, of::<api::WebhookSecrets>()),
        posted(
            "/webhooks/{id}/enable",
            "Let a webhook that was disabled be told again",
        )
        .gives(200, of::<api::Webhook>()),
        got(
            "/webhooks/{id}/deliveries",
            "The latest deliveries of a webhook, newest first",
        )
        .gives(200, of::<api::Deliveries>()),
        posted(
            "/webhooks/{id}/deliveries/{delivery}/redeliver",
            "Send a delivery that has ended again",
        )
        .gives(200, of::<api::Delivery>()),
    ]
}

fn of_log() -> Vec<Description> {
    vec![
        got("/metrics", "What the server counts, for Prometheus").gives(200, bytes(TEXT)),
        got("/audit", "The audit log, newest first")
            .paged("before", word())
            .asks("q", word(), "A part of who, what, or to what", false)
            .asks("actor", word(), "Who did it", false)
            .asks(
                "action",
                word(),
                "What begins like this, as `update.`",
                false,
            )
            .asks(
                "failed",
                json!({"type": "boolean"}),
                "What was refused or failed",
                false,
            )
            .gives(200, of::<api::AuditEntries>()),
        got("/keys", "The keys that the server's word rests on").gives(200, of::<api::Keys>()),
        got(
            "/log/key",
            "The key that signs the transparency log's checkpoints",
        )
        .gives(200, bytes(TEXT)),
        got(
            "/log/checkpoint",
            "The newest checkpoint (C2SP tlog-checkpoint)",
        )
        .gives(200, bytes(TEXT)),
        got(
            "/log/consistency",
            "That the log began as it was at another size",
        )
        .asks(
            "size",
            number(1),
            "Size of the checkpoint that is known",
            true,
        )
        .gives(200, of::<api::ConsistencyProof>()),
        got(
            "/log/tile/{level}/{*index}",
            "Hashes of the tree (C2SP tlog-tiles)",
        )
        .gives(200, bytes(BYTES)),
        got(
            "/log/tile/entries/{*index}",
            "Entries of the log, in bundles",
        )
        .gives(200, bytes(BYTES)),
        got(
            "/updates/{id}/proof",
            "That the release of an update is in the log",
        )
        .gives(200, of::<api::ReleaseProof>()),
    ]
}
