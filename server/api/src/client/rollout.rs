//! How updates reach hosts: what engineers do.

use super::{Client, Error, send_json};
use crate::{
    Because, Channel, Group, Groups, Host, HostId, NewPromotion, NewRejection, NewRevocation,
    Rollout, SetChannel, SetGroups, Update, UpdateId, WavePlan, WavePlans,
};

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
            plan: None,
        };
        self.promote_with(id, &body).await
    }

    /// `POST /updates/{id}/promote`, with all that can be said there.
    ///
    /// # Errors
    /// As [`Self::promote`]; 422 if there is no such wave plan.
    pub async fn promote_with(&self, id: UpdateId, body: &NewPromotion) -> Result<Update, Error> {
        let request = self.post(&format!("/updates/{id}/promote")).json(body);
        send_json("promote the update", request).await
    }

    /// `POST /updates/{id}/reject`: it is never released.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it is released, or was rejected before.
    pub async fn reject(&self, id: UpdateId, body: &NewRejection) -> Result<Update, Error> {
        let request = self.post(&format!("/updates/{id}/reject")).json(body);
        send_json("reject the update", request).await
    }

    /// `POST /updates/{id}/revoke`: no host takes it any more.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it is not released, or was revoked as far before.
    pub async fn revoke(&self, id: UpdateId, body: &NewRevocation) -> Result<Update, Error> {
        let request = self.post(&format!("/updates/{id}/revoke")).json(body);
        send_json("revoke the update", request).await
    }

    /// `GET /updates/{id}/rollout`: how its rollout stands.
    ///
    /// # Errors
    /// See [`Error`]; 404 if it goes to all hosts at once.
    pub async fn rollout(&self, id: UpdateId) -> Result<Rollout, Error> {
        let request = self.get(&format!("/updates/{id}/rollout"));
        send_json("look at the rollout", request).await
    }

    /// `POST /updates/{id}/halt`: no further host gets it, from its next poll on.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it does not run.
    pub async fn halt(&self, id: UpdateId, reason: &str) -> Result<Rollout, Error> {
        let request = self.post(&format!("/updates/{id}/halt"));
        send_json("halt the rollout", request.json(&because(reason))).await
    }

    /// `POST /updates/{id}/resume`: lets a halted or paused rollout go on.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it runs.
    pub async fn resume(&self, id: UpdateId, reason: &str) -> Result<Rollout, Error> {
        let request = self.post(&format!("/updates/{id}/resume"));
        send_json("resume the rollout", request.json(&because(reason))).await
    }

    /// `POST /wave-plans`: keeps a plan under its name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put_wave_plan(&self, plan: &WavePlan) -> Result<WavePlan, Error> {
        send_json("keep the wave plan", self.post("/wave-plans").json(plan)).await
    }

    /// `GET /wave-plans`: all plans.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn wave_plans(&self) -> Result<Vec<WavePlan>, Error> {
        let plans: WavePlans = send_json("list the wave plans", self.get("/wave-plans")).await?;
        Ok(plans.plans)
    }

    /// `POST /hosts/{id}/groups`: puts a host into these groups and no others.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_groups(&self, id: HostId, groups: &[&str]) -> Result<Groups, Error> {
        let body = SetGroups {
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        };
        let request = self.post(&format!("/hosts/{id}/groups")).json(&body);
        send_json("set the host's groups", request).await
    }

    /// `GET /groups`: all groups.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn groups(&self) -> Result<Vec<Group>, Error> {
        let groups: Groups = send_json("list the groups", self.get("/groups")).await?;
        Ok(groups.groups)
    }

    /// `POST /groups/{name}/freeze`: its hosts are offered nothing new.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn freeze(&self, name: &str, reason: &str) -> Result<Groups, Error> {
        let request = self.post(&format!("/groups/{name}/freeze"));
        send_json("freeze the group", request.json(&because(reason))).await
    }

    /// `POST /groups/{name}/thaw`: lets a group go on.
    ///
    /// # Errors
    /// See [`Error`]; 409 if it is not frozen.
    pub async fn thaw(&self, name: &str) -> Result<Groups, Error> {
        let request = self.post(&format!("/groups/{name}/thaw"));
        send_json("thaw the group", request.json(&because(""))).await
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

fn because(reason: &str) -> Because {
    Because {
        reason: reason.to_owned(),
    }
}
