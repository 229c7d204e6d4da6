//! What a host does.

use super::{Client, Error, header_text, read_json, send, send_json};
use crate::{Enrol, Enrolled, HostId, HostReport, NewReport, Plan, ReleaseProof, UpdateId};
use reqwest::{StatusCode, header};

/// What the server said about a host's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanAnswer {
    /// It is still the plan with the given ETag.
    Unchanged,
    /// A plan, and the ETag to ask with next time.
    Plan {
        /// The plan.
        plan: Plan,
        /// Its ETag.
        etag: String,
    },
}

impl Client {
    /// `POST /hosts/enrol`: makes this host known; the client's token must be the
    /// enrolment token. The answer's token is shown this once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn enrol(&self, enrol: &Enrol) -> Result<Enrolled, Error> {
        send_json("enrol the host", self.post("/hosts/enrol").json(enrol)).await
    }

    /// `GET /updates/{id}/proof`: that its release is in the log, and that the log
    /// has only grown since it had `since` entries; none if it is not there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn release_proof(
        &self,
        id: UpdateId,
        since: Option<u64>,
    ) -> Result<Option<ReleaseProof>, Error> {
        let since = since
            .map(|size| format!("?since={size}"))
            .unwrap_or_default();
        let request = self.get(&format!("/updates/{id}/proof{since}"));
        match send_json("read the proof of the release", request).await {
            Ok(proof) => Ok(Some(proof)),
            Err(Error::Problem { problem, .. }) if problem.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `GET /hosts/{id}/plan`: what the host should run.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn plan(&self, host: HostId, etag: Option<&str>) -> Result<PlanAnswer, Error> {
        let operation = "ask for the plan";
        let mut request = self.get(&format!("/hosts/{host}/plan"));
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let response = send(operation, request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(PlanAnswer::Unchanged);
        }
        let etag = header_text(&response, header::ETAG.as_str())
            .unwrap_or_default()
            .to_owned();
        let plan = read_json(operation, response).await?;
        Ok(PlanAnswer::Plan { plan, etag })
    }

    /// `POST /hosts/{id}/reports`: says what happened to an update here.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn report(&self, host: HostId, report: &NewReport) -> Result<HostReport, Error> {
        let request = self.post(&format!("/hosts/{host}/reports")).json(report);
        send_json("report to the server", request).await
    }
}
