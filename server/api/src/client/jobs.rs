//! What people do with jobs.

use super::{Client, Error, send_json};
use crate::{Attempts, Cancel, Job, JobId, JobStatus, Jobs, Priority};

impl Client {
    /// `GET /jobs`: a page of jobs, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn jobs(
        &self,
        status: Option<JobStatus>,
        limit: u64,
        before: Option<JobId>,
    ) -> Result<Jobs, Error> {
        let mut path = format!("/jobs?limit={limit}");
        if let Some(status) = status {
            path.push_str(&format!("&status={status}"));
        }
        if let Some(before) = before {
            path.push_str(&format!("&before={before}"));
        }
        send_json("list the jobs", self.get(&path)).await
    }

    /// `GET /jobs/{id}/attempts`: the attempts at a job, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn attempts(&self, job: JobId) -> Result<Attempts, Error> {
        let request = self.get(&format!("/jobs/{job}/attempts"));
        send_json("list the attempts", request).await
    }

    /// `POST /jobs/{id}/cancel`: a job that waits is cancelled at once, of one that
    /// runs the worker hears at its next heartbeat.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it has ended.
    pub async fn cancel_job(&self, job: JobId, reason: &str) -> Result<Job, Error> {
        let cancel = Cancel {
            reason: reason.to_owned(),
        };
        let request = self.post(&format!("/jobs/{job}/cancel")).json(&cancel);
        send_json("cancel the job", request).await
    }

    /// `POST /jobs/{id}/retry`: runs a job that has ended once more.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it has not ended, or its update is released.
    pub async fn retry_job(&self, job: JobId) -> Result<Job, Error> {
        let request = self.post(&format!("/jobs/{job}/retry"));
        send_json("run the job again", request).await
    }

    /// `POST /jobs/{id}/priority`: -100 to 100, higher ones are built first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn prioritise_job(&self, job: JobId, priority: i64) -> Result<Job, Error> {
        let priority = Priority { priority };
        let request = self.post(&format!("/jobs/{job}/priority")).json(&priority);
        send_json("set the job's priority", request).await
    }
}
