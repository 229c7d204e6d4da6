//! What an admin does.

use super::{Client, Error, send, send_json};
use crate::{ChangeUser, NewToken, NewTokenAnswer, NewUser, OneTimePassword, Tokens, User, Users};
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

    /// `POST /users`: makes an account, with a password that is shown this once.
    ///
    /// # Errors
    /// See [`Error`]; 409 if the name is taken.
    pub async fn create_user(&self, user: &NewUser) -> Result<OneTimePassword, Error> {
        send_json("make an account", self.post("/users").json(user)).await
    }

    /// `GET /users`: a page of accounts, by name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn users(&self, limit: u64, after: Option<&str>) -> Result<Users, Error> {
        let after = after.unwrap_or_default();
        let request = self.get(&format!("/users?limit={limit}&after={after}"));
        send_json("list the accounts", request).await
    }

    /// `PATCH /users/{name}`: changes what a person may do, or closes the account.
    ///
    /// # Errors
    /// See [`Error`]; 409 for the own account.
    pub async fn change_user(&self, name: &str, change: &ChangeUser) -> Result<User, Error> {
        let request = self.request(Method::PATCH, &format!("/users/{name}"));
        send_json("change the account", request.json(change)).await
    }

    /// `POST /users/{name}/password`: gives an account a one-time password.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn reset_password(&self, name: &str) -> Result<OneTimePassword, Error> {
        let request = self.post(&format!("/users/{name}/password"));
        send_json("reset the password", request).await
    }

    /// `DELETE /users/{name}/identities`: nobody signs in to the account by way of an
    /// identity provider any more, until it is linked again. Its sessions end.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn unlink_identities(&self, name: &str) -> Result<User, Error> {
        let request = self.request(Method::DELETE, &format!("/users/{name}/identities"));
        send_json("unlink the identities", request).await
    }
}
