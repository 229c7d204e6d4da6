//! What stands before every operation: who calls, may they, and the audit log.

use super::{Access, Audit, idempotency};
use crate::{App, auth, db::audit, error::Failure, versions};
use axum::{
    extract::{ConnectInfo, OriginalUri, Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use resplice_api::Role;
use std::net::{IpAddr, SocketAddr};

/// The part of an operation's row that the guard enforces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) access: Access,
    pub(super) audit: Audit,
    pub(super) once: Option<bool>,
    pub(super) body_bytes: usize,
}

pub(super) async fn guard(
    State((app, rule)): State<(App, Rule)>,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let address = address(&request);
    request.extensions_mut().insert(address);
    let roles: &[Role] = match rule.access {
        Access::Anyone => return Ok(next.run(request).await),
        Access::Known => &Role::ALL,
        Access::Roles(roles) => roles,
    };
    let caller = auth::authenticate(&app, request.method(), request.headers()).await;
    let caller = caller.map_err(|failure| match failure {
        Failure::Problem(_) => app.requests.refuse(address.0, failure),
        other => other,
    })?;
    app.requests.take(&caller.token)?;
    if caller.must_change_password && rule.access != Access::Known {
        return Err(Failure::password_change_required());
    }
    let Some(role) = roles.iter().copied().find(|r| caller.roles.contains(r)) else {
        let has = words(&caller.roles, " and ");
        tracing::warn!(name = caller.name, roles = has, %uri, "refused");
        return Err(Failure::forbidden(format!(
            "the role {has} can't do this; it takes {}",
            words(roles, " or ")
        )));
    };
    request.extensions_mut().insert(caller.clone());
    let Audit::Before(action) = rule.audit else {
        return Ok(next.run(request).await);
    };
    let path = uri.path().to_owned();
    let key = match rule.once {
        Some(_) => idempotency::key(&request)?,
        None => None,
    };
    // A caller that hangs up must not leave a change half done: it runs to its
    // end in a task of its own.
    tokio::spawn(async move {
        let entry = audit::Entry {
            actor: &caller.name,
            role: role.as_str(),
            action,
            object: &path,
        };
        let run = async |request| audited(&app, &entry, request, next).await;
        match (key, rule.once) {
            (Some(key), Some(keeps)) => {
                let limits = (rule.body_bytes, keeps);
                idempotency::once(&app, &caller, &key, limits, request, run).await
            }
            _ => run(request).await,
        }
    })
    .await
    .map_err(Failure::internal("carry out a request"))?
}

/// Where a request comes from.
fn address(request: &Request) -> auth::Address {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Without one, all share what one may do.
    auth::Address(peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip()))
}

fn words(roles: &[Role], between: &str) -> String {
    let words: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    words.join(between)
}

async fn audited(
    app: &App,
    entry: &audit::Entry<'_>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let id = audit::begin(&app.db, entry).await?;
    let response = next.run(request).await;
    let location = response.headers().get(header::LOCATION);
    let result = location.and_then(|value| value.to_str().ok());
    let status = response.status().as_u16();
    let completing = audit::complete(&app.db, &id, status, result);
    // Whoever hears of a change may count on it at once.
    let (completed, ()) = tokio::join!(completing, versions::settle());
    completed?;
    Ok(response)
}
