//! What people do: upload, look, release.

use super::{Client, Error, read, send, send_json};
use crate::{
    Fleet, Host, HostDetail, HostId, Hosts, Job, JobId, Listing, NewReach, NewRelease, NewUpdate,
    Progress, Reach, Targets, Update, UpdateId, Updates, Whoami, Workers, limits,
};

impl Client {
    /// `GET /healthz`: whether the server answers.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn health(&self) -> Result<(), Error> {
        send("ask the server how it is", self.get("/healthz"))
            .await
            .map(drop)
    }

    /// `GET /whoami`: what the token may do.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn whoami(&self) -> Result<Whoami, Error> {
        send_json("ask who this token is", self.get("/whoami")).await
    }

    /// `GET /targets`: the kernels that the server can build for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn targets(&self) -> Result<Targets, Error> {
        send_json("list the targets", self.get("/targets")).await
    }

    /// `POST /updates`: uploads a patch and starts its builds.
    ///
    /// # Errors
    /// See [`Error`]; a refused patch is a problem with status 422 and its line.
    pub async fn upload(&self, update: &NewUpdate) -> Result<Update, Error> {
        send_json("upload the patch", self.post("/updates").json(update)).await
    }

    /// `POST /patches/reach`: what a patch would reach; nothing is stored.
    ///
    /// # Errors
    /// See [`Error`]; a refused patch is a problem with status 422 and its line.
    pub async fn reach(&self, patch: &str) -> Result<Reach, Error> {
        let body = NewReach {
            patch: patch.to_owned(),
        };
        send_json(
            "look what the patch reaches",
            self.post("/patches/reach").json(&body),
        )
        .await
    }

    /// `GET /updates`: a page of updates, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn updates(&self, limit: u64, before: Option<UpdateId>) -> Result<Updates, Error> {
        let mut path = format!("/updates?limit={limit}");
        if let Some(before) = before {
            path.push_str(&format!("&before={before}"));
        }
        send_json("list the updates", self.get(&path)).await
    }

    /// `GET /updates/{id}`: all about one update.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update(&self, id: UpdateId) -> Result<Update, Error> {
        send_json("look at the update", self.get(&format!("/updates/{id}"))).await
    }

    /// `GET /updates/{id}/patch`: the patch's bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch(&self, id: UpdateId) -> Result<Vec<u8>, Error> {
        let operation = "fetch the patch";
        let response = send(operation, self.get(&format!("/updates/{id}/patch"))).await?;
        read(operation, response, limits::MAX_PATCH_BYTES).await
    }

    /// `POST /updates/{id}/release`: lets hosts on edge have it.
    ///
    /// # Errors
    /// See [`Error`]; 403 for whoever uploaded it, 409 while nothing is built.
    pub async fn release(&self, id: UpdateId, comment: &str) -> Result<Update, Error> {
        self.release_with(id, &NewRelease::because(comment)).await
    }

    /// `POST /updates/{id}/release`, with all that can be said there.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub async fn release_with(&self, id: UpdateId, body: &NewRelease) -> Result<Update, Error> {
        let request = self.post(&format!("/updates/{id}/release")).json(body);
        send_json("release the update", request).await
    }

    /// `GET /jobs/{id}`: how one build stands.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn job(&self, id: JobId) -> Result<Job, Error> {
        send_json("look at the job", self.get(&format!("/jobs/{id}"))).await
    }

    /// `GET /jobs/{id}/listing`: the replaced functions' instructions.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn listing(&self, id: JobId) -> Result<Listing, Error> {
        let request = self.get(&format!("/jobs/{id}/listing"));
        send_json("look at the listing", request).await
    }

    /// `GET /hosts`: all enrolled hosts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn hosts(&self) -> Result<Vec<Host>, Error> {
        let mut all = Vec::new();
        let mut query = format!("limit={}", limits::MAX_PAGE);
        loop {
            let page = self.hosts_page(&query).await?;
            all.extend(page.hosts);
            let Some(next) = page.next else {
                return Ok(all);
            };
            query = format!("limit={}&after={next}", limits::MAX_PAGE);
        }
    }

    /// `GET /hosts` with a query, such as `state=failing`: one page.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn hosts_page(&self, query: &str) -> Result<Hosts, Error> {
        send_json("list the hosts", self.get(&format!("/hosts?{query}"))).await
    }

    /// `GET /hosts/{id}`: a host, what it should run, and what it said.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn host(&self, id: HostId) -> Result<HostDetail, Error> {
        let request = self.get(&format!("/hosts/{id}"));
        send_json("look at the host", request).await
    }

    /// `GET /fleet`: numbers about all hosts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fleet(&self) -> Result<Fleet, Error> {
        send_json("look at the fleet", self.get("/fleet")).await
    }

    /// `GET /updates/{id}/progress`: what became of an update over time.
    ///
    /// # Errors
    /// See [`Error`]; 404 if it is not released.
    pub async fn progress(&self, id: UpdateId) -> Result<Progress, Error> {
        let request = self.get(&format!("/updates/{id}/progress"));
        send_json("look at the update's progress", request).await
    }

    /// `GET /workers`: all registered workers.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn workers(&self) -> Result<Workers, Error> {
        send_json("list the workers", self.get("/workers")).await
    }
}
