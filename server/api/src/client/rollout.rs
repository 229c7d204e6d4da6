//! How updates reach hosts: what engineers do.

use super::{Client, Error, send_json};
use crate::{Channel, Host, HostId, NewPromotion, SetChannel, Update, UpdateId};

impl Client {
    /// `POST /updates/{id}/promote`: sends a released update on to another channel.
    ///
    /// # Errors
    /// See [`Error`]; 403 for whoever uploaded it, 409 if it is not released or has
    /// got there already.
    pub async fn promote(
        &self,
        id: UpdateId,
        channel: Channel,
        comment: &str,
    ) -> Result<Update, Error> {
        let body = NewPromotion {
            channel,
            comment: comment.to_owned(),
        };
        let request = self.post(&format!("/updates/{id}/promote")).json(&body);
        send_json("promote the update", request).await
    }

    /// `POST /hosts/{id}/channel`: has a host follow a channel. A host never takes
    /// more than it was enrolled for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_channel(&self, id: HostId, channel: Channel) -> Result<Host, Error> {
        let body = SetChannel { channel };
        let request = self.post(&format!("/hosts/{id}/channel")).json(&body);
        send_json("set the host's channel", request).await
    }
}
