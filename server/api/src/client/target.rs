//! What an administrator does with kernels.

use super::{Client, Error, send_json};
use crate::{Archive, Import, Imports, NewImport, NewRetirement, Target};

impl Client {
    /// `POST /imports`: has a kernel fetched in the background.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn import(&self, target: &str) -> Result<Import, Error> {
        let new = NewImport {
            target: target.to_owned(),
        };
        send_json("ask for an import", self.post("/imports").json(&new)).await
    }

    /// `GET /imports`: the latest imports, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn imports(&self) -> Result<Imports, Error> {
        send_json("list the imports", self.get("/imports")).await
    }

    /// `GET /archive`: the kernels of the last look at the archive.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn archive(&self) -> Result<Archive, Error> {
        send_json("list the archive's kernels", self.get("/archive")).await
    }

    /// `POST /archive/look`: looks again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn look_at_archive(&self) -> Result<Archive, Error> {
        send_json("look at the archive", self.post("/archive/look")).await
    }

    /// `POST /targets/{target}/retire`: has nothing new built for it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn retire_target(&self, target: &str, reason: &str) -> Result<Target, Error> {
        let body = NewRetirement {
            reason: reason.to_owned(),
        };
        let request = self.post(&format!("/targets/{target}/retire"));
        send_json("retire a target", request.json(&body)).await
    }

    /// `POST /targets/{target}/restore`: takes that back.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restore_target(&self, target: &str) -> Result<Target, Error> {
        let request = self.post(&format!("/targets/{target}/restore"));
        send_json("restore a target", request).await
    }
}
