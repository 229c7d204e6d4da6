//! Build logs: bytes appended at an offset. They are kept in the database, in
//! pieces; readers are woken by every change, also at other servers. Steps are the
//! server's, bytes the worker's: nothing in a log is interpreted.

use crate::{
    App,
    db::{
        self, Db,
        attempt_log::{self, Appended},
        listen::Ear,
    },
    error::Failure,
};
use anyhow::Context;
use resplice_api::{
    JobId,
    limits::{MAX_LOG_BYTES, MAX_LOG_CHUNK_BYTES},
};
use std::{
    collections::HashMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// Most bytes that one read returns.
pub const MAX_READ_BYTES: u64 = 4 << 20;
/// Until the database is asked again whether it can be listened to.
const PAUSE: Duration = Duration::from_secs(1);

/// Who waits for a job or its log to change.
#[derive(Debug, Default)]
pub struct Logs {
    channels: Mutex<HashMap<JobId, Weak<Notify>>>,
}

impl Logs {
    /// Told whenever a job or its log has changed; lives as long as someone holds it.
    pub fn channel(&self, job: JobId) -> Arc<Notify> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&job).and_then(Weak::upgrade) {
            return channel;
        }
        channels.retain(|_, channel| channel.strong_count() > 0);
        let channel = Arc::new(Notify::new());
        channels.insert(job, Arc::downgrade(&channel));
        channel
    }

    fn wake(&self, job: JobId) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&job).and_then(Weak::upgrade) {
            channel.notify_waiters();
        }
    }

    fn wake_all(&self) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.values().filter_map(Weak::upgrade) {
            channel.notify_waiters();
        }
    }

    /// Wakes whoever waits for a job, here and at other servers.
    pub async fn tell(&self, db: &Db, job: JobId) {
        self.wake(job);
        if let Err(error) = attempt_log::notify(db, job).await {
            // They look again by themselves, only later.
            tracing::warn!(%error, "can't tell other servers of a job");
        }
    }

    /// Appends bytes at `offset`, which must be the log's end, if the attempt
    /// holds the job. Returns the new end.
    ///
    /// # Errors
    /// 409 for another offset or a stale attempt, 413 once the log is full.
    pub async fn append(
        &self,
        db: &Db,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, Failure> {
        if bytes.len() > MAX_LOG_CHUNK_BYTES {
            return Err(Failure::too_large(format!(
                "a piece of a log has at most {MAX_LOG_CHUNK_BYTES} bytes"
            )));
        }
        let full = |end: u64| {
            Failure::too_large(format!(
                "the log is full: it has {end} bytes, the limit is {MAX_LOG_BYTES}"
            ))
        };
        if bytes.is_empty() {
            return self.end(db, job, attempt, offset).await;
        }
        if offset.saturating_add(bytes.len() as u64) > MAX_LOG_BYTES {
            // For another offset, and of another attempt, that is what is said.
            return Err(full(self.end(db, job, attempt, offset).await?));
        }
        match attempt_log::append(db, job, attempt, offset, bytes).await? {
            Appended::End(end) => {
                self.wake(job);
                Ok(end)
            }
            Appended::Stale => Err(Failure::stale_attempt(attempt)),
            Appended::Elsewhere(end) => Err(Failure::wrong_offset(offset, end)),
        }
    }

    /// The log's end, which must be at `offset`, of an attempt that holds its job.
    async fn end(&self, db: &Db, job: JobId, attempt: u32, offset: u64) -> Result<u64, Failure> {
        if !db::leases::holds(db, job, attempt).await? {
            return Err(Failure::stale_attempt(attempt));
        }
        let end = attempt_log::size(db, job, attempt).await?;
        if offset == end {
            return Ok(end);
        }
        Err(Failure::wrong_offset(offset, end))
    }
}

/// Wakes whoever waits for what other servers have changed, until the server stops.
pub async fn run(app: App) {
    let mut said = false;
    loop {
        let listened = tokio::select! {
            () = app.shutdown.cancelled() => return,
            listened = listen(&app, &mut said) => listened,
        };
        if let Err(error) = listened
            && !said
        {
            said = true;
            tracing::warn!(%error, "can't hear other servers");
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn listen(app: &App, said: &mut bool) -> Result<(), sea_orm::sqlx::Error> {
    let mut ear = Ear::open(&app.db).await?;
    *said = false;
    // What was said before it listened is found by looking.
    app.logs.wake_all();
    loop {
        match ear.next().await? {
            Some(job) => app.logs.wake(job),
            None => app.logs.wake_all(),
        }
    }
}

/// Takes in logs that an earlier version has kept in files, `logs/JOB/ATTEMPT.log`.
///
/// # Errors
/// If one can't be read or taken in.
pub async fn import(db: &Db, data: &Path) -> anyhow::Result<()> {
    let root = data.join("logs");
    for job in names(&root)? {
        let directory = root.join(&job);
        for file in names(&directory)? {
            let path = directory.join(&file);
            let what = || format!("can't take in the log {}", path.display());
            let attempt = file.strip_suffix(".log").and_then(|name| name.parse().ok());
            let (Ok(job), Some(attempt)) = (job.parse(), attempt) else {
                tracing::warn!(path = %path.display(), "is no log");
                continue;
            };
            let log = fs::read(&path).with_context(what)?;
            let taken = attempt_log::import(db, job, attempt, &log, MAX_LOG_CHUNK_BYTES).await;
            if taken.with_context(what)? {
                fs::remove_file(&path).with_context(what)?;
            }
        }
        // Whatever else is there stays.
        let _ = fs::remove_dir(&directory);
    }
    let _ = fs::remove_dir(&root);
    Ok(())
}

/// The names in a directory; none if there is no such directory.
fn names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let what = || format!("can't list {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(what)?,
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        Ok(entry
            .with_context(what)?
            .file_name()
            .to_string_lossy()
            .into_owned())
    };
    entries.map(name).collect()
}
