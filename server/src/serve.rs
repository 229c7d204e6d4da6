//! Runs the service until it is told to stop.

use crate::{
    App, archive, imports, logs, polls, publish, queue, routes, transparency, waves, webhooks,
};
use anyhow::Context;
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// How long requests may still take once the server is to stop.
const GRACE: Duration = Duration::from_secs(15);

/// Serves on a listener until `stop` is ready; then no connection is accepted
/// any more, and requests that run are given 15 seconds.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    app: App,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // What it can't do now it tries again later; the log says why.
    publish::now(&app).await;
    let background = [
        tokio::spawn(queue::run(app.clone())),
        tokio::spawn(publish::run(app.clone())),
        tokio::spawn(transparency::run(app.clone())),
        tokio::spawn(waves::run(app.clone())),
        tokio::spawn(logs::run(app.clone())),
        tokio::spawn(webhooks::run(app.clone())),
        tokio::spawn(imports::run(app.clone())),
        tokio::spawn(archive::run(app.clone())),
        tokio::spawn(polls::run(app.clone())),
    ];
    let shutdown = app.shutdown.clone();
    let stopping = shutdown.clone();
    let signal = async move {
        stop.await;
        stopping.cancel();
    };
    let router = routes::router(app.clone());
    let server = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(signal);
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result.context("can't serve")?,
        () = late => tracing::warn!("requests were cut off after {GRACE:?}"),
    }
    shutdown.cancel();
    for task in background {
        let _ = task.await;
    }
    app.db
        .clone()
        .close()
        .await
        .context("can't close the database")
}

/// Ready when the process is asked to stop.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
