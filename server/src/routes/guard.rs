//! What stands before every operation: who calls, may they, and the audit log.

use super::{Access, Audit};
use crate::{
    App,
    auth::{self, Caller},
    db::audit,
    error::Failure,
};
use axum::{
    extract::{OriginalUri, Request, State},
    http::header,
    middleware::Next,
    response::Response,
};

/// The part of an operation's row that the guard enforces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) access: Access,
    pub(super) audit: Audit,
}

pub(super) async fn guard(
    State((app, rule)): State<(App, Rule)>,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let Access::Roles(roles) = rule.access else {
        return Ok(next.run(request).await);
    };
    let caller = auth::authenticate(&app.db, request.headers()).await?;
    if !roles.contains(&caller.role) {
        tracing::warn!(name = caller.name, role = %caller.role, %uri, "refused");
        return Err(Failure::forbidden(format!(
            "a token with the role {} can't do this; it takes {}",
            caller.role,
            roles
                .iter()
                .map(|r| r.as_str())
                .collect::<Vec<_>>()
                .join(" or ")
        )));
    }
    request.extensions_mut().insert(caller.clone());
    let Audit::Before(action) = rule.audit else {
        return Ok(next.run(request).await);
    };
    let path = uri.path().to_owned();
    // A caller that hangs up must not leave a change half done: it runs to its
    // end in a task of its own.
    tokio::spawn(audited(app, caller, action, path, request, next))
        .await
        .map_err(Failure::internal("carry out a request"))?
}

async fn audited(
    app: App,
    caller: Caller,
    action: &'static str,
    path: String,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let entry = audit::Entry {
        actor: &caller.name,
        role: caller.role.as_str(),
        action,
        object: &path,
    };
    let id = audit::begin(&app.db, &entry).await?;
    let response = next.run(request).await;
    let location = response.headers().get(header::LOCATION);
    let result = location.and_then(|value| value.to_str().ok());
    audit::complete(&app.db, &id, response.status().as_u16(), result).await?;
    Ok(response)
}
