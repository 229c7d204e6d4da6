//! What the server's TUF repository vouches for. The server's plan only says what
//! to look at: name, length and digest of a package come from here, and what was
//! seen once can't be taken back by whoever stands between.

use crate::{agent::Agent, rollout::Calendar, state::StateDir, text};
use anyhow::{Context, Result};
use jiff::Timestamp;
use resplice_api::{Channel, HostId, PlannedUpdate, REPOSITORY_PATH, UpdateId, package_target};
use resplice_rollout::{Revoked, Terms};
use resplice_tuf::{
    Client, Error, Fetch, Store, Target, Trusted, client, http::Http, metadata::Targets,
};
use std::collections::BTreeMap;

/// The repository, verified and up to date.
pub struct Vouched {
    trusted: Trusted,
    /// This host's kernel target.
    target: String,
    /// The widest channel that it takes updates from.
    channel: Channel,
    /// Its id at the server.
    host: Option<HostId>,
}

/// What was taken back for this host's kernel target, by update.
pub type Revocations = BTreeMap<String, Revoked>;

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
            host: agent.enrolment.host_id,
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
                let terms = terms(update, &target).ok().filter(|_| is_ours)?;
                if self.objection(&terms, Timestamp::now()).is_some() {
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

    /// What the repository says was taken back.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        revocations(&self.trusted.targets, &self.target)
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
        let terms = terms(planned.update_id, &target)?;
        match self.objection(&terms, Timestamp::now()) {
            Some(why) => Err(withheld(planned.update_id, &why)),
            None => Ok(target),
        }
    }

    /// Whether an update may come now by what this host's owner says.
    ///
    /// # Errors
    /// As [`Self::target`], and [`Doubt::Withheld`] if it may not.
    pub fn in_season(&self, planned: &PlannedUpdate, calendar: &Calendar) -> Result<(), Doubt> {
        let terms = terms(planned.update_id, &self.target(planned)?)?;
        match calendar.objection(terms.since, Timestamp::now()) {
            Some(why) => Err(withheld(planned.update_id, &why)),
            None => Ok(()),
        }
    }

    /// Why this host may not take an update on its signed terms.
    fn objection(&self, terms: &Terms, now: Timestamp) -> Option<String> {
        if let Some(revoked) = &terms.revoked {
            return Some(format!("it was revoked: {}", text::plain(&revoked.reason)));
        }
        if !self.channel.gets(terms.channel) {
            return Some(format!(
                "it has got to {} only; this host takes what has got to {}",
                terms.channel, self.channel
            ));
        }
        let wave = terms.wave.as_ref()?;
        let opens = match self.host {
            Some(host) => wave.opens_at(host),
            // A host without a server has no place: it comes last.
            None => wave.ends_at(),
        };
        match opens {
            Some(opens) if opens <= now => None,
            Some(opens) => Some(format!("this host's turn comes at {opens:.0}")),
            None => Some("its waves do not reach this host".to_owned()),
        }
    }
}

fn terms(update: UpdateId, target: &Target) -> Result<Terms, Doubt> {
    Terms::read(target.custom.as_ref()).map_err(|error| withheld(update, &error.to_string()))
}

/// What targets say was taken back for a kernel target.
#[must_use]
pub fn revocations(targets: &Targets, target: &str) -> Revocations {
    let entries = targets.targets.iter();
    entries
        .filter_map(|(name, meta)| {
            let update: UpdateId = name.split_once('.')?.0.parse().ok()?;
            let is_ours = *name == package_target(update, target);
            let terms = Terms::read(meta.custom.as_ref()).ok().filter(|_| is_ours)?;
            Some((update.to_string(), terms.revoked?))
        })
        .collect()
}

fn withheld(update: UpdateId, why: &str) -> Doubt {
    Doubt::Withheld(format!("the update {update}: {why}"))
}

#[cfg(test)]
#[path = "vouch_test.rs"]
pub(crate) mod tests;
