//! How long to wait until the next try.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pauses that double from a first to a longest one.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The next pause: three quarters of it for sure, the rest by chance, so
    /// that workers that lost a server together do not come back together.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        let chance = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.subsec_nanos() % 1000);
        pause * 3 / 4 + pause / 4 * chance / 1000
    }

    /// It worked: begin with short pauses again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new((second, second * 5));
        for expected in [1, 2, 4, 5, 5] {
            let pause = backoff.next();
            assert!(
                pause >= second * expected * 3 / 4 && pause <= second * expected,
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= second);
    }
}
