//! What a worker does.

use super::{BYTES, Client, Error, read_json, send, send_json};
use crate::{
    Finish, Heartbeat, HeartbeatAnswer, Job, JobId, Lease, LeaseRequest, NewWorker, PackageInfo,
    Worker, limits::MAX_LOG_CHUNK_BYTES,
};
use reqwest::{Method, StatusCode};

impl Client {
    /// `POST /workers`: registers the key that this worker signs with.
    ///
    /// # Errors
    /// See [`Error`]; 409 if the name has another key.
    pub async fn register_worker(&self, worker: &NewWorker) -> Result<Worker, Error> {
        send_json("register the worker", self.post("/workers").json(worker)).await
    }

    /// `POST /leases`: takes a job, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lease(&self, request: &LeaseRequest) -> Result<Option<Lease>, Error> {
        let operation = "ask for a job";
        let response = send(operation, self.post("/leases").json(request)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read_json(operation, response).await.map(Some)
    }

    /// `POST /jobs/{id}/attempts/{n}/heartbeat`: keeps the lease.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_stale_attempt`] if the job has gone elsewhere.
    pub async fn heartbeat(
        &self,
        job: JobId,
        attempt: u32,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Error> {
        let request = self.post(&format!("/jobs/{job}/attempts/{attempt}/heartbeat"));
        send_json("keep the lease", request.json(heartbeat)).await
    }

    /// `POST /jobs/{id}/attempts/{n}/log`: appends `bytes` at `offset` in pieces,
    /// and returns the offset of the next byte. What the server has already of
    /// these bytes is not sent again, so a failed call may be repeated as it was.
    ///
    /// # Errors
    /// See [`Error`]; 413 once the log is full: drop what comes after.
    pub async fn append_log(
        &self,
        job: JobId,
        attempt: u32,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, Error> {
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let skip = usize::try_from(at - offset).unwrap_or(bytes.len());
            let piece = &bytes[skip..bytes.len().min(skip + MAX_LOG_CHUNK_BYTES)];
            let request = self
                .post(&format!("/jobs/{job}/attempts/{attempt}/log?offset={at}"))
                .header(BYTES.0, BYTES.1)
                .body(piece.to_vec());
            match send("append to the log", request).await {
                Ok(_) => at += piece.len() as u64,
                Err(error) => {
                    let has = error.problem().and_then(|p| p.expected_offset);
                    match has {
                        Some(has) if has > at && has <= end => at = has,
                        _ => return Err(error),
                    }
                }
            }
        }
        Ok(end)
    }

    /// `PUT /jobs/{id}/attempts/{n}/package`: stores the package, which the
    /// server verifies first.
    ///
    /// # Errors
    /// See [`Error`]; 422 if the package is not good: the job has failed then.
    pub async fn put_package(
        &self,
        job: JobId,
        attempt: u32,
        package: Vec<u8>,
    ) -> Result<PackageInfo, Error> {
        let path = format!("/jobs/{job}/attempts/{attempt}/package");
        let request = self
            .request(Method::PUT, &path)
            .header(BYTES.0, BYTES.1)
            .body(package);
        send_json("store the package", request).await
    }

    /// `PUT /jobs/{id}/attempts/{n}/provenance`: stores where the package comes from,
    /// which the server holds against the package first.
    ///
    /// # Errors
    /// See [`Error`]; 422 if it is not good: the job has failed then.
    pub async fn put_provenance(
        &self,
        job: JobId,
        attempt: u32,
        provenance: Vec<u8>,
    ) -> Result<PackageInfo, Error> {
        let path = format!("/jobs/{job}/attempts/{attempt}/provenance");
        let request = self
            .request(Method::PUT, &path)
            .header(BYTES.0, BYTES.1)
            .body(provenance);
        send_json("store the provenance", request).await
    }

    /// `PUT /jobs/{id}/attempts/{n}/listing`: stores the instructions of the replaced
    /// functions, as JSON.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put_listing(
        &self,
        job: JobId,
        attempt: u32,
        listing: Vec<u8>,
    ) -> Result<(), Error> {
        let path = format!("/jobs/{job}/attempts/{attempt}/listing");
        let request = self
            .request(Method::PUT, &path)
            .header(BYTES.0, BYTES.1)
            .body(listing);
        send("store the listing", request).await.map(drop)
    }

    /// `POST /jobs/{id}/attempts/{n}/finish`: ends the attempt and the job.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish(&self, job: JobId, attempt: u32, finish: &Finish) -> Result<Job, Error> {
        let request = self.post(&format!("/jobs/{job}/attempts/{attempt}/finish"));
        send_json("finish the job", request.json(finish)).await
    }
}
