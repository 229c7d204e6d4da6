//! How often somebody may ask for anything at all.

use crate::{
    error::Failure,
    rate::{self, Buckets, Rate},
};
use std::{net::IpAddr, time::Duration};

/// Seconds of requests that may come at once.
const BURST_SECONDS: u32 = 10;
/// Failed attempts to name oneself, by network: a bad token costs a look-up.
const STRANGERS: Rate = Rate {
    burst: 1000,
    every: Duration::from_millis(200),
};

/// A bucket for each token or session, and one for each network that strangers
/// come from. Whoever has a good token is not held up by strangers of the same
/// network: many hosts may have one address.
#[derive(Debug)]
pub struct Requests {
    by_caller: Option<Buckets<String>>,
    by_network: Buckets<IpAddr>,
}

impl Requests {
    /// Full buckets.
    #[must_use]
    pub fn new(per_second: Option<u32>) -> Self {
        let rate = |per_second: u32| Rate {
            burst: per_second.saturating_mul(BURST_SECONDS),
            every: Duration::from_secs(1) / per_second.max(1),
        };
        Self {
            by_caller: per_second.map(rate).map(Buckets::new),
            by_network: Buckets::new(STRANGERS),
        }
    }

    /// Takes one from the bucket of a token or session.
    ///
    /// # Errors
    /// 429 if it is empty.
    pub fn take(&self, caller: &str) -> Result<(), Failure> {
        let Some(buckets) = &self.by_caller else {
            return Ok(());
        };
        buckets.take(caller.to_owned()).map_err(|pause| {
            Failure::too_many(pause, "too many requests with this token; wait a little")
        })
    }

    /// What is said to somebody who could not name themselves: what was wrong, or
    /// that it was wrong too often.
    #[must_use]
    pub fn refuse(&self, address: IpAddr, failure: Failure) -> Failure {
        match self.by_network.take(rate::network(address)) {
            Ok(()) => failure,
            Err(pause) => Failure::too_many(
                pause,
                "too many requests without a good token from this network; wait a little",
            ),
        }
    }
}
