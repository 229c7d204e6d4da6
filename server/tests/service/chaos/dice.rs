//! Choices that can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64: small, and good enough to choose victims.
#[derive(Debug, Clone)]
pub struct Dice {
    pub seed: u64,
    state: u64,
}

impl Dice {
    /// With the seed of `RESPLICE_SEED`, else one of the clock's.
    pub fn from_environment() -> Self {
        let given = std::env::var("RESPLICE_SEED");
        let seed = given.map(|text| text.parse().unwrap()).unwrap_or_else(|_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        });
        Self { seed, state: seed }
    }

    /// Others that follow from these.
    pub fn child(&mut self) -> Self {
        let seed = self.next();
        Self { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to and without `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
