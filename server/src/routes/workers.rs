//! Workers' keys, and who a token is.

use super::body::{check_key, check_word, json};
use crate::{App, auth::Caller, db, error::Failure};
use axum::{Extension, Json, body::Bytes, extract::State};
use resplice_api::{NewWorker, Whoami, Worker, Workers};

pub(super) async fn whoami(Extension(caller): Extension<Caller>) -> Result<Json<Whoami>, Failure> {
    let Some(&role) = caller.roles.first() else {
        return Err(Failure::forbidden("you have no role; ask an admin for one"));
    };
    Ok(Json(Whoami {
        role,
        roles: caller.roles,
        name: caller.name,
        must_change_password: caller.must_change_password,
    }))
}

pub(super) async fn register(State(app): State<App>, body: Bytes) -> Result<Json<Worker>, Failure> {
    let new: NewWorker = json(&body)?;
    check_word("worker's name", &new.name)?;
    check_key(&new.public_key)?;
    let worker = db::workers::register(&app.db, &new.name, &new.public_key).await?;
    match worker {
        Some(worker) if worker.public_key == new.public_key => Ok(Json(worker)),
        Some(_) => Err(Failure::conflict(
            "worker-exists",
            format!(
                "the worker {} is registered with another key; register under another name",
                new.name
            ),
        )),
        None => Err(Failure::conflict(
            "key-exists",
            "this key is registered under another worker's name; make a key for each worker",
        )),
    }
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Workers>, Failure> {
    let workers = db::workers::list(&app.db).await?;
    Ok(Json(Workers { workers }))
}
