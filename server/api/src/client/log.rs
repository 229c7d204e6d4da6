//! Reading and following a job's log, and reading the transparency log.

use super::{Client, Error, header_text, read, send};
use crate::{JobId, JobStatus, LOG_ATTEMPT_HEADER, LOG_COMPLETE_HEADER};
use std::time::Duration;

/// Most bytes of a log in one answer.
const MAX_PIECE_BYTES: usize = 8 << 20;

/// Most bytes of the log's key, a checkpoint or a tile of it.
const MAX_TILE_BYTES: usize = 64 << 10;

/// How often in a row a log that is followed may be out of reach, and the pause in between.
const MAX_FAILURES: u32 = 30;
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Its bytes; they may not be UTF-8.
    pub bytes: Vec<u8>,
    /// The attempt that they are of; 0 if there was none yet.
    pub attempt: u32,
    /// Whether the attempt's log ends here.
    pub complete: bool,
}

impl Client {
    /// `GET /jobs/{id}/log`: a piece of an attempt's log (the latest attempt's
    /// without `attempt`) from `offset`. With `follow` the server waits up to 20
    /// seconds for bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn log(
        &self,
        job: JobId,
        attempt: Option<u32>,
        offset: u64,
        follow: bool,
    ) -> Result<LogPiece, Error> {
        let operation = "read the log";
        let mut path = format!(
            "/jobs/{job}/log?offset={offset}&follow={}",
            u8::from(follow)
        );
        if let Some(attempt) = attempt {
            path.push_str(&format!("&attempt={attempt}"));
        }
        let response = send(operation, self.get(&path)).await?;
        let complete = header_text(&response, LOG_COMPLETE_HEADER) == Some("true");
        let attempt = header_text(&response, LOG_ATTEMPT_HEADER)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::Answer {
                operation,
                reason: format!("it has no {LOG_ATTEMPT_HEADER}"),
            })?;
        let bytes = read(operation, response, MAX_PIECE_BYTES).await?;
        Ok(LogPiece {
            bytes,
            attempt,
            complete,
        })
    }

    /// Follows a job's log, attempt after attempt, until the job has ended, and
    /// returns how it did. A server that restarts meanwhile is waited for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn follow_log(
        &self,
        job: JobId,
        mut on_bytes: impl FnMut(u32, &[u8]),
    ) -> Result<JobStatus, Error> {
        let mut attempt = 1;
        let mut offset = 0;
        let mut failures = 0;
        loop {
            let piece = match self.log(job, Some(attempt), offset, true).await {
                Err(error) if error.is_transient() && failures < MAX_FAILURES => {
                    failures += 1;
                    tokio::time::sleep(FAILURE_PAUSE).await;
                    continue;
                }
                other => other?,
            };
            failures = 0;
            offset += piece.bytes.len() as u64;
            if !piece.bytes.is_empty() {
                on_bytes(attempt, &piece.bytes);
            }
            if !piece.complete {
                continue;
            }
            let state = self.job(job).await?;
            if state.status.is_final() && state.attempt <= attempt {
                return Ok(state.status);
            }
            attempt += 1;
            offset = 0;
        }
    }
}

impl Client {
    /// `GET /log/key`: the key that signs the log's checkpoints.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn log_key(&self) -> Result<String, Error> {
        let key = self.log_text("read the log's key", "/log/key").await?;
        Ok(key.trim_end().to_owned())
    }

    /// `GET /log/checkpoint`: how far the log has got, signed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn checkpoint(&self) -> Result<String, Error> {
        let operation = "read the log's checkpoint";
        self.log_text(operation, "/log/checkpoint").await
    }

    /// `GET /log/tile/{level}/{number}`: hashes of the log, 32 bytes each. `number` is
    /// written as in C2SP tlog-tiles.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn log_tile(&self, level: u32, number: &str) -> Result<Vec<u8>, Error> {
        let path = format!("/log/tile/{level}/{number}");
        let operation = "read a tile of the log";
        read(
            operation,
            send(operation, self.get(&path)).await?,
            MAX_TILE_BYTES,
        )
        .await
    }

    async fn log_text(&self, operation: &'static str, path: &str) -> Result<String, Error> {
        let response = send(operation, self.get(path)).await?;
        let bytes = read(operation, response, MAX_TILE_BYTES).await?;
        String::from_utf8(bytes).map_err(|error| Error::Answer {
            operation,
            reason: error.to_string(),
        })
    }
}
