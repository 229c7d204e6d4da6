//! How often: token buckets by key, in bounded memory.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Most keys that are remembered.
const MAX_KEYS: usize = 50_000;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// That often at once.
    pub burst: u32,
    /// Then once in this time.
    pub every: Duration,
}

/// One bucket for each key. A key that was not seen for long has a full one and
/// is forgotten.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    max_keys: usize,
    /// When the bucket will be full again.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Full buckets.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            max_keys: MAX_KEYS,
            full_at: Mutex::default(),
        }
    }

    /// Takes one from the bucket of `key`.
    ///
    /// # Errors
    /// How long to wait, if it is empty.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        self.take_at(key, Instant::now())
    }

    /// Puts back what was taken last, after it turned out to be in order.
    pub fn give_back(&self, key: K) {
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = all.get_mut(&key) {
            *full_at = full_at.checked_sub(self.rate.every).unwrap_or(*full_at);
        }
    }

    fn take_at(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.max_keys && !all.contains_key(&key) {
            all.retain(|_, full_at| *full_at > now);
            // All of them in use at once: the emptiest stay, they are who is held back.
            if all.len() >= self.max_keys {
                let mut times: Vec<_> = all.values().copied().collect();
                let middle = times.len() / 2;
                let (_, median, _) = times.select_nth_unstable(middle);
                let median = *median;
                all.retain(|_, full_at| *full_at > median);
            }
        }
        let full_at = all.get(&key).copied().unwrap_or(now).max(now);
        let next = full_at + self.rate.every;
        let limit = now + self.rate.every * self.rate.burst;
        if next > limit {
            return Err(next - limit);
        }
        all.insert(key, next);
        Ok(())
    }
}

/// Whom an address stands for: whoever has one IPv6 address has a /64 of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_at_a_time() {
        let buckets = Buckets::new(Rate {
            burst: 3,
            every: SECOND,
        });
        let now = Instant::now();
        for _ in 0..3 {
            buckets.take_at("a", now).unwrap();
        }
        assert_eq!(buckets.take_at("a", now), Err(SECOND));
        buckets.take_at("b", now).unwrap();
        buckets.take_at("a", now + SECOND).unwrap();
        assert!(buckets.take_at("a", now + SECOND).is_err());
        for _ in 0..3 {
            buckets.take_at("a", now + SECOND * 60).unwrap();
        }
        assert!(buckets.take_at("a", now + SECOND * 60).is_err());
    }

    #[test]
    fn many_keys_do_not_take_more_memory_nor_free_who_is_held_back() {
        let mut buckets = Buckets::new(Rate {
            burst: 2,
            every: SECOND,
        });
        buckets.max_keys = 8;
        let now = Instant::now();
        for _ in 0..2 {
            buckets.take_at(0, now).unwrap();
        }
        for key in 1..100 {
            buckets.take_at(key, now).unwrap();
            assert!(buckets.full_at.lock().unwrap().len() <= 8);
        }
        assert!(buckets.take_at(0, now).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_key() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
