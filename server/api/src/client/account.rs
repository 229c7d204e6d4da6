//! What an admin does.

use super::{Client, Error, send, send_json};
use crate::{NewToken, NewTokenAnswer, Tokens};
use reqwest::Method;

impl Client {
    /// `POST /tokens`: makes a token, which is shown this once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_token(&self, token: &NewToken) -> Result<NewTokenAnswer, Error> {
        send_json("make a token", self.post("/tokens").json(token)).await
    }

    /// `GET /tokens`: a page of tokens, by id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tokens(&self, limit: u64, after: Option<&str>) -> Result<Tokens, Error> {
        let after = after.unwrap_or_default();
        let request = self.get(&format!("/tokens?limit={limit}&after={after}"));
        send_json("list the tokens", request).await
    }

    /// `DELETE /tokens/{id}`: revokes a token.
    ///
    /// # Errors
    /// See [`Error`]; 404 if there is none that still holds.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("/tokens/{id}"));
        send("revoke the token", request).await.map(drop)
    }
}
