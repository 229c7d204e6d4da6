//! What the server's TUF repository vouches for. The server's plan only says what
//! to look at: name, length and digest of a package come from here, and what was
//! seen once can't be taken back by whoever stands between.

use crate::{agent::Agent, state::StateDir};
use anyhow::{Context, Result};
use jiff::Timestamp;
use resplice_api::{Channel, PlannedUpdate, REPOSITORY_PATH, UpdateId, package_target};
use resplice_rollout::Terms;
use resplice_tuf::{Client, Error, Fetch, Store, Target, Trusted, client, http::Http};

/// The repository, verified and up to date.
pub struct Vouched {
    trusted: Trusted,
    /// This host's kernel target.
    target: String,
    /// The widest channel that it takes updates from.
    channel: Channel,
}

/// Why an update is not taken.
#[derive(Debug)]
pub enum Doubt {
    /// The repository does not say anything about it; perhaps not yet.
    Unknown(Error),
    /// It says something else than the server's plan.
    Contradicts(String),
    /// It is not for this host, or not yet.
    Withheld(String),
}

impl Doubt {
    /// The named code of a refusal.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) | Self::Contradicts(_) => "repository",
            Self::Withheld(_) => "withheld",
        }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(error) => error.fmt(f),
            Self::Contradicts(sentence) | Self::Withheld(sentence) => f.write_str(sentence),
        }
    }
}

/// Begins to trust a repository by its root; what was known of another is gone.
///
/// # Errors
/// If the root is not signed by its own keys, or can't be kept.
pub fn begin(state: &StateDir, root: &[u8]) -> Result<()> {
    let store = Store::open(&state.repository())?;
    client::begin(&store, root).context("the server's root can't be trusted")
}

impl Vouched {
    /// Brings what is known of the repository up to date.
    ///
    /// # Errors
    /// If it can't be reached, or not be believed.
    pub fn refresh(agent: &Agent) -> Result<Self> {
        let server = agent.enrolment.server.as_deref();
        let server = server.context("this host is not enrolled at a server")?;
        let base = format!("{server}{REPOSITORY_PATH}");
        let http = Http::new(&format!("{base}/metadata/"), &format!("{base}/targets/"))
            .context("can't reach the repository")?;
        Self::refresh_by(agent, http)
    }

    /// As [`Self::refresh`], by other means.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub fn refresh_by(agent: &Agent, fetch: impl Fetch) -> Result<Self> {
        Ok(Self::refresh_with(agent, fetch)?.0)
    }

    /// As [`Self::refresh_by`]; the client comes back as well, for downloads.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub fn refresh_with<F: Fetch>(agent: &Agent, fetch: F) -> Result<(Self, Client<F>)> {
        let store = Store::open(&agent.state.repository())?;
        let mut client = Client::new(store, fetch);
        let trusted = client
            .refresh()
            .context("the server's repository can't be believed")?;
        let vouched = Self {
            trusted,
            target: agent.enrolment.target.clone(),
            channel: agent.enrolment.channel,
        };
        Ok((vouched, client))
    }

    /// Everything that the repository has for this host, oldest first, as a server
    /// would plan it; what is withheld from its channel is left out.
    #[must_use]
    pub fn for_this_host(&self) -> Vec<(PlannedUpdate, Target)> {
        let names = self.trusted.targets.targets.keys();
        let mut found: Vec<(PlannedUpdate, Target)> = names
            .filter_map(|name| {
                let update: UpdateId = name.split_once('.')?.0.parse().ok()?;
                let target = self.trusted.target(name)?;
                let is_ours = *name == package_target(update, &self.target);
                if !is_ours || self.admit(update, target.custom.as_ref()).is_err() {
                    return None;
                }
                let planned = PlannedUpdate {
                    update_id: update,
                    name: name.clone(),
                    package_sha256: target.sha256()?,
                    bytes: target.length,
                    target: self.target.clone(),
                    released_at: Timestamp::now(),
                };
                Some((planned, target))
            })
            .collect();
        // Ids are in the order of the uploads.
        found.sort_by_key(|(planned, _)| planned.update_id.to_string());
        found
    }

    /// Fetches a target's bytes and checks them.
    ///
    /// # Errors
    /// If they can't be had, or are not what is vouched for.
    pub fn download<F: Fetch>(
        &self,
        client: &mut Client<F>,
        target: &Target,
    ) -> Result<Vec<u8>, Error> {
        client.download(&self.trusted, target)
    }

    /// What the repository says about an update for this host. There are no
    /// delegations: only the holders of the targets keys speak for updates.
    ///
    /// # Errors
    /// The [`Doubt`].
    pub fn target(&self, planned: &PlannedUpdate) -> Result<Target, Doubt> {
        let name = package_target(planned.update_id, &self.target);
        let Some(target) = self.trusted.target(&name) else {
            return Err(Doubt::Unknown(Error::NoTarget { name }));
        };
        let same = target.sha256().as_deref() == Some(planned.package_sha256.as_str())
            && target.length == planned.bytes;
        if !same {
            return Err(Doubt::Contradicts(format!(
                "the server's plan offers another package for {} than its repository vouches for",
                planned.update_id
            )));
        }
        self.admit(planned.update_id, target.custom.as_ref())?;
        Ok(target)
    }

    /// Whether this host may take an update, by the terms that are signed with it.
    fn admit(&self, update: UpdateId, custom: Option<&serde_json::Value>) -> Result<(), Doubt> {
        let terms = Terms::read(custom)
            .map_err(|error| Doubt::Withheld(format!("the update {update}: {error}")))?;
        if self.channel.gets(terms.channel) {
            return Ok(());
        }
        Err(Doubt::Withheld(format!(
            "the update {update} has got to {} only; this host takes what has got to {}",
            terms.channel, self.channel
        )))
    }
}

#[cfg(test)]
#[path = "vouch_test.rs"]
pub(crate) mod tests;
