//! Build logs: `logs/JOB/ATTEMPT.log`, bytes appended at an offset.
//!
//! One lock per job orders appends against the end of the attempt; readers take
//! none, and are woken by every change. Steps are the server's, bytes the
//! worker's: nothing in a log is interpreted.

use crate::{
    db::{self, Db},
    error::Failure,
};
use resplice_api::{
    JobId,
    limits::{MAX_LOG_BYTES, MAX_LOG_CHUNK_BYTES},
};
use std::{
    collections::HashMap,
    io::{ErrorKind, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::Notify,
};

/// Most bytes that one read returns.
pub const MAX_READ_BYTES: u64 = 4 << 20;

/// All logs.
#[derive(Debug)]
pub struct Logs {
    root: PathBuf,
    channels: Mutex<HashMap<JobId, Weak<Channel>>>,
}

/// What orders the writers of a job's log and wakes its readers.
#[derive(Debug, Default)]
pub struct Channel {
    /// Held by whoever appends to the log or ends the attempt.
    pub writer: tokio::sync::Mutex<()>,
    /// Told whenever the log or the job has changed.
    pub changed: Notify,
}

impl Logs {
    /// The logs in `data`.
    ///
    /// # Errors
    /// If their directory can't be created.
    pub fn open(data: &Path) -> std::io::Result<Self> {
        let root = data.join("logs");
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            root,
            channels: Mutex::default(),
        })
    }

    /// The channel of a job; it lives as long as someone holds it.
    pub fn channel(&self, job: JobId) -> Arc<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&job).and_then(Weak::upgrade) {
            return channel;
        }
        channels.retain(|_, channel| channel.strong_count() > 0);
        let channel = Arc::new(Channel::default());
        channels.insert(job, Arc::downgrade(&channel));
        channel
    }

    /// Wakes the readers of a job's log.
    pub fn wake(&self, job: JobId) {
        self.channel(job).changed.notify_waiters();
    }

    /// Size of an attempt's log in bytes; 0 if there is none.
    ///
    /// # Errors
    /// The system's.
    pub async fn size(&self, job: JobId, attempt: u32) -> Result<u64, Failure> {
        match fs::metadata(self.path(job, attempt)).await {
            Ok(data) => Ok(data.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(Failure::internal("look at a log")(error)),
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
        let channel = self.channel(job);
        let _writer = channel.writer.lock().await;
        if !db::jobs::holds(db, job, attempt).await? {
            return Err(Failure::stale_attempt(attempt));
        }
        let end = self.size(job, attempt).await?;
        if offset != end {
            return Err(Failure::wrong_offset(offset, end));
        }
        let new_end = end + bytes.len() as u64;
        if new_end > MAX_LOG_BYTES {
            return Err(Failure::too_large(format!(
                "the log is full: it has {end} bytes, the limit is {MAX_LOG_BYTES}"
            )));
        }
        if let Err(error) = self.write(job, attempt, end, bytes).await {
            return Err(Failure::internal("append to a log")(error));
        }
        channel.changed.notify_waiters();
        Ok(new_end)
    }

    async fn write(&self, job: JobId, attempt: u32, end: u64, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path(job, attempt);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).await?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(&path).await?;
        let written = async {
            file.write_all(bytes).await?;
            file.flush().await
        };
        if let Err(error) = written.await {
            // Half a piece must not stay: the worker sends all of it again.
            file.set_len(end).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Makes an attempt's log durable.
    ///
    /// # Errors
    /// The system's.
    pub async fn sync(&self, job: JobId, attempt: u32) -> Result<(), Failure> {
        match File::open(self.path(job, attempt)).await {
            Ok(file) => file
                .sync_all()
                .await
                .map_err(Failure::internal("sync a log")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Failure::internal("sync a log")(error)),
        }
    }

    /// Reads from `offset`, at most [`MAX_READ_BYTES`]; nothing beyond the end.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&self, job: JobId, attempt: u32, offset: u64) -> Result<Vec<u8>, Failure> {
        let failed = || Failure::internal("read a log");
        let mut file = match File::open(self.path(job, attempt)).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        file.seek(SeekFrom::Start(offset)).await.map_err(failed())?;
        let mut bytes = Vec::new();
        file.take(MAX_READ_BYTES)
            .read_to_end(&mut bytes)
            .await
            .map_err(failed())?;
        Ok(bytes)
    }

    fn path(&self, job: JobId, attempt: u32) -> PathBuf {
        self.root
            .join(job.to_string())
            .join(format!("{attempt}.log"))
    }
}
