//! The build log's way to the server, while the build goes on.

use super::{FAILED, backoff::Backoff};
use crate::log::Log;
use resplice_api::{Lease, client};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often new bytes are looked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// Most bytes in one request.
const PIECE_BYTES: usize = 64 << 10;
/// The status of a log that is full.
const TOO_LARGE: u16 = 413;

/// Sends the log until it is complete: `ended` says that no more will be
/// written. Cancels `lost` if the job has gone to another attempt, and gives up
/// when that is cancelled.
pub(super) async fn stream(
    client: client::Client,
    lease: Lease,
    log: Log,
    ended: CancellationToken,
    lost: CancellationToken,
) {
    let mut offset = 0;
    let mut failed = Backoff::new(FAILED);
    while !lost.is_cancelled() {
        // Asked before reading: what is read after the end is all there is.
        let last = ended.is_cancelled();
        let bytes = match log.read_from(offset, PIECE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "can't read the build log");
                return;
            }
        };
        if bytes.is_empty() {
            if last {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = ended.cancelled() => {}
                () = lost.cancelled() => {}
            }
            continue;
        }
        match client
            .append_log(lease.job, lease.attempt, offset, &bytes)
            .await
        {
            Ok(next) => {
                offset = next;
                failed.reset();
                if !last {
                    tokio::time::sleep(INTERVAL).await;
                }
            }
            Err(error) if error.is_stale_attempt() => lost.cancel(),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "can't send the build log yet");
                tokio::select! {
                    () = tokio::time::sleep(failed.next()) => {}
                    () = lost.cancelled() => {}
                }
            }
            Err(error) => {
                let full = error.problem().is_some_and(|p| p.status == TOO_LARGE);
                if !full {
                    tracing::error!(%error, "the server does not take the build log");
                }
                return;
            }
        }
    }
}
