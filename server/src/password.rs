//! Passwords: argon2id hashes, and how many are worked out at a time, since each
//! takes 19 MiB and a tenth of a second.

use crate::error::Failure;
use anyhow::Context;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use resplice_api::{Password, limits};
use std::{sync::LazyLock, time::Duration};
use tokio::sync::Semaphore;

/// Hashes at a time.
const WORKING: usize = 2;
/// Sign-ins that may wait for one; more are sent away.
const WAITING: usize = 64;

/// Works out password hashes.
#[derive(Debug)]
pub struct Passwords {
    working: Semaphore,
    waiting: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            working: Semaphore::new(WORKING),
            waiting: Semaphore::new(WAITING),
        }
    }
}

/// The hash of a password that nobody knows: an account that is not there takes
/// as long to refuse as one that is.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash(one_time().ok()?.secret()).ok());

impl Passwords {
    /// Hashes a password.
    ///
    /// # Errors
    /// 429 if too many are waiting; the hash function's.
    pub async fn hash(&self, password: &Password) -> Result<String, Failure> {
        let password = password.clone();
        self.work("hash a password", move || hash(password.secret()))
            .await
    }

    /// Whether this is the password with that hash; without a hash it takes as
    /// long, and is not.
    ///
    /// # Errors
    /// 429 if too many are waiting; if the hash is none.
    pub async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, Failure> {
        let password = password.clone();
        let known = hash.map(str::to_owned);
        self.work("check a password", move || {
            let is_known = known.is_some();
            let nobody = || NOBODY.clone().context("there is no hash to compare with");
            let text = known.map_or_else(nobody, Ok)?;
            let parsed = PasswordHash::new(&text)
                .map_err(|error| anyhow::anyhow!("the stored hash can't be read: {error}"))?;
            let verified = Argon2::default().verify_password(password.secret().as_bytes(), &parsed);
            Ok(verified.is_ok() && is_known)
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let pause = Duration::from_secs(5);
        let _place = self.waiting.try_acquire().map_err(|_| {
            Failure::too_many(pause, "too many people sign in at this moment; try again")
        })?;
        let _turn = self
            .working
            .acquire()
            .await
            .map_err(Failure::internal(operation))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(Failure::internal(operation))?
            .map_err(Failure::internal(operation))
    }
}

fn hash(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow::anyhow!("can't hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// A password that nobody chose: 120 random bits.
///
/// # Errors
/// If the system has no random bytes.
pub fn one_time() -> anyhow::Result<Password> {
    let mut random = [0; 15];
    getrandom::fill(&mut random)
        .map_err(|error| anyhow::anyhow!("the system's random generator failed: {error}"))?;
    Ok(Password::new(&hex::encode(random)))
}

/// Whether somebody may choose this password.
///
/// # Errors
/// 422 with what is wrong.
pub fn check(name: &str, password: &Password) -> Result<(), Failure> {
    let (least, most) = (limits::MIN_PASSWORD_BYTES, limits::MAX_PASSWORD_BYTES);
    let text = password.secret();
    if !(least..=most).contains(&text.len()) {
        return Err(Failure::invalid(format!(
            "the password must have {least} to {most} bytes"
        )));
    }
    let first = text.chars().next();
    if text.chars().all(|c| Some(c) == first) || text.to_lowercase().contains(name) {
        return Err(Failure::invalid(
            "the password must not be one character again and again, and not hold the account's name",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_no_other_is() {
        let passwords = Passwords::default();
        let right = Password::new("correct horse battery");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(hash, passwords.hash(&right).await.unwrap());
        assert!(passwords.verify(&right, Some(&hash)).await.unwrap());
        let wrong = Password::new("correct horse batterx");
        assert!(!passwords.verify(&wrong, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&right, None).await.unwrap());
        assert!(passwords.verify(&right, Some("plain")).await.is_err());
    }

    #[test]
    fn a_password_must_be_long_and_not_the_name() {
        for bad in ["", "short", "aaaaaaaaaaaaaa", "I am Alice, really"] {
            assert!(check("alice", &Password::new(bad)).is_err(), "{bad}");
        }
        assert!(check("alice", &Password::new(&"x1".repeat(200))).is_err());
        assert!(check("alice", &Password::new("correct horse battery")).is_ok());
    }
}
