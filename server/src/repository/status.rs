//! How the keys and the files that they have signed stand.

use super::{KeyRing, ROLES, Repository, RepositoryError, RoleName};
use resplice_api::RoleKeys;
use resplice_tuf::metadata::{File, Role};

fn signed<T: Role>(file: Option<&File<T>>) -> (u64, Option<jiff::Timestamp>) {
    file.map_or((0, None), |file| {
        (file.signed.version(), Some(file.signed.expires()))
    })
}

impl Repository {
    /// The roles with their keys and expiries, and whether targets wait for a
    /// signature.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn status(&self) -> Result<(Vec<RoleKeys>, bool), RepositoryError> {
        let ring = KeyRing::load(&self.keys)?;
        let present = self.present()?;
        let roles = &present.root.signed.roles;
        let status = |role: RoleName| {
            let (signers, (version, expires)) = match role {
                RoleName::Root => (&roles.root, signed(Some(&present.root))),
                RoleName::Targets => (&roles.targets, signed(present.targets.as_ref())),
                RoleName::Snapshot => (&roles.snapshot, signed(present.snapshot.as_ref())),
                RoleName::Timestamp => (&roles.timestamp, signed(present.stamp.as_ref())),
            };
            let here = signers.keyids.iter().filter(|id| ring.has(id)).count();
            RoleKeys {
                role: role.as_str().to_owned(),
                keys: signers.keyids.clone(),
                threshold: signers.threshold,
                here: u32::try_from(here).unwrap_or(u32::MAX),
                offline: role.is_offline(),
                version,
                expires,
            }
        };
        Ok((ROLES.map(status).to_vec(), self.waiting()?.is_some()))
    }
}
