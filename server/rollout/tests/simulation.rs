//! A fleet of 10,000 under a virtual clock: the schedule, the gate and the server's
//! word on a host's turn are the real ones; polls, failures and crashes are drawn
//! from a seed, which every complaint names.
#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::{SignedDuration, Timestamp};
use resplice_api::{Gate, HostId, Limit, RolloutState, Tally, WavePlan, WaveStep};
use resplice_rollout::{Standing, Turn, Wave, verdict};

const HOSTS: usize = 10_000;
/// Without RESPLICE_SIMULATION_RUNS.
const RUNS: u64 = 200;
const MINUTE: i64 = 60;
const POLL: i64 = 60 * MINUTE;
const DAY: i64 = 24 * POLL;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    fn host(&mut self) -> HostId {
        let (high, low) = (self.next(), self.next());
        let hex = format!("{high:016x}{low:016x}");
        hex.parse().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Applied,
    Failed,
    Dead,
}

struct Host {
    id: HostId,
    state: State,
    said_applied: bool,
    seen: i64,
}

/// What goes wrong, in ‰ of the hosts that try the update.
#[derive(Clone, Copy, Default)]
struct Faults {
    fail: u64,
    /// After it said that it applied.
    crash_late: u64,
    /// Before it could say anything.
    crash_early: u64,
}

struct Fleet {
    seed: u64,
    random: Random,
    hosts: Vec<Host>,
    /// Those that have crashed.
    dead: Vec<u32>,
    /// Hosts by the minute of their next poll.
    polls: Vec<Vec<u32>>,
    plan: WavePlan,
    standing: Standing,
    held_since: Option<i64>,
    faults: Faults,
    tally: Tally,
    now: i64,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

impl Fleet {
    fn new(seed: u64, steps: &[(i64, u32)], gate: Gate, faults: Faults) -> Self {
        let mut random = Random(seed);
        let step = |&(after, share): &(i64, u32)| WaveStep {
            after_s: u32::try_from(after).unwrap(),
            share,
        };
        let plan = WavePlan {
            name: "simulated".to_owned(),
            steps: steps.iter().map(step).collect(),
            jitter_s: 600,
            gate,
        };
        let host = |random: &mut Random| Host {
            id: random.host(),
            state: State::Waiting,
            said_applied: false,
            seen: 0,
        };
        let hosts: Vec<Host> = (0..HOSTS).map(|_| host(&mut random)).collect();
        let word = format!("{:016x}", random.next());
        // Two hosts in a hundred enrol after the rollout has begun.
        let known = hosts.iter().skip(HOSTS / 50).map(|host| host.id);
        let wave = Wave::start(&plan, &word, at(0), known);
        let mut polls = vec![Vec::new(); usize::try_from(4 * DAY / MINUTE).unwrap()];
        for index in 0..HOSTS {
            let minute = random.below(u64::try_from(POLL / MINUTE).unwrap());
            polls[usize::try_from(minute).unwrap()].push(u32::try_from(index).unwrap());
        }
        Self {
            seed,
            random,
            hosts,
            dead: Vec::new(),
            polls,
            plan,
            standing: Standing {
                state: RolloutState::Running,
                reason: String::new(),
                held_us: 0,
                wave,
            },
            held_since: None,
            faults,
            tally: Tally::default(),
            now: 0,
        }
    }

    fn until(&mut self, end: i64) {
        while self.now < end {
            let minute = usize::try_from(self.now / MINUTE).unwrap();
            let due = std::mem::take(&mut self.polls[minute]);
            for index in due {
                self.poll(index);
                self.watch();
            }
            self.count_silent();
            self.watch();
            self.now += MINUTE;
        }
    }

    fn poll(&mut self, index: u32) {
        let host = &mut self.hosts[index as usize];
        host.seen = self.now;
        let turn = self
            .standing
            .turn(host.id, host.state == State::Applied, at(self.now));
        let running = self.standing.state == RolloutState::Running;
        match host.state {
            State::Applied => assert_eq!(turn, Turn::Now, "seed {}: went backwards", self.seed),
            State::Waiting if turn == Turn::Now => {
                let seed = self.seed;
                assert!(running, "seed {seed}: offered while it was held");
                let opens = self.standing.wave.opens_at(host.id).unwrap();
                assert!(
                    opens <= at(self.now),
                    "seed {seed}: wider than what is signed"
                );
                self.tally.offered += 1;
                host.state = if self.random.chance(self.faults.fail) {
                    self.tally.failed += 1;
                    State::Failed
                } else if self.random.chance(self.faults.crash_early) {
                    State::Dead
                } else {
                    host.said_applied = true;
                    self.tally.applied += 1;
                    match self.random.chance(self.faults.crash_late) {
                        true => State::Dead,
                        false => State::Applied,
                    }
                };
                if host.state == State::Dead {
                    self.dead.push(index);
                }
            }
            _ => {}
        }
        if host.state != State::Dead {
            let wait = POLL * 9 / 10 + self.random.below(u64::try_from(POLL / 5).unwrap()) as i64;
            let next = usize::try_from((self.now + wait) / MINUTE).unwrap();
            if let Some(polls) = self.polls.get_mut(next) {
                polls.push(index);
            }
        }
    }

    /// What the database would say of hosts that are silent.
    fn count_silent(&mut self) {
        let limit = self.now - i64::from(self.plan.gate.silent_after_s);
        let dead = self.dead.iter().map(|&index| &self.hosts[index as usize]);
        let (lost, crashed): (Vec<_>, Vec<_>) = dead
            .filter(|host| host.seen < limit)
            .partition(|host| !host.said_applied);
        self.tally.lost = lost.len() as u64;
        self.tally.crashed = crashed.len() as u64;
    }

    fn watch(&mut self) {
        if self.standing.state == RolloutState::Running
            && let Some(reason) = verdict(&self.plan.gate, &self.tally)
        {
            self.standing.state = RolloutState::Paused;
            self.standing.reason = reason;
        }
    }

    fn halt(&mut self) {
        self.standing.state = RolloutState::Halted;
        self.held_since = Some(self.now);
    }

    fn resume(&mut self) {
        self.standing.state = RolloutState::Running;
        let held = self.now - self.held_since.take().unwrap();
        self.standing.held_us += u64::try_from(held).unwrap() * 1_000_000;
    }

    fn applied(&self) -> usize {
        let applied = |host: &&Host| host.state == State::Applied;
        self.hosts.iter().filter(applied).count()
    }
}

const STEPS: [(i64, u32); 4] = [(0, 10), (3 * POLL, 100), (6 * POLL, 500), (9 * POLL, 1000)];

fn share_is_as_planned(fleet: &Fleet, share: u32) {
    let planned = HOSTS * share as usize / 1000;
    let applied = fleet.applied();
    assert!(
        applied.abs_diff(planned) <= HOSTS / 100,
        "seed {}: {applied} hosts instead of {planned}",
        fleet.seed
    );
}

fn good(seed: u64) {
    let mut fleet = Fleet::new(seed, &STEPS, Gate::default(), Faults::default());
    for (at, step) in STEPS.iter().enumerate() {
        // Just before the next one: jitter and a poll are over.
        fleet.until(STEPS.get(at + 1).map_or(12 * POLL, |next| next.0));
        share_is_as_planned(&fleet, step.1);
    }
    assert_eq!(fleet.applied(), HOSTS, "seed {seed}");
}

fn bad(seed: u64) {
    let limit = Limit {
        hosts: 3,
        share: 20,
    };
    let p = 100 + seed % 901;
    let (faults, gate) = match seed / 5 % 3 {
        0 => (
            Faults {
                fail: p,
                ..Faults::default()
            },
            Gate {
                failed: Some(limit),
                ..Gate::default()
            },
        ),
        1 => (
            Faults {
                crash_early: p,
                ..Faults::default()
            },
            Gate {
                lost: Some(limit),
                ..Gate::default()
            },
        ),
        _ => (
            Faults {
                crash_late: p,
                ..Faults::default()
            },
            Gate {
                crashed: Some(limit),
                ..Gate::default()
            },
        ),
    };
    // A step is longer than silence takes to be noticed.
    let gate = Gate {
        silent_after_s: 2 * POLL as u32,
        ..gate
    };
    let steps = [(0, 10), (5 * POLL, 15), (10 * POLL, 500), (15 * POLL, 1000)];
    let mut fleet = Fleet::new(seed, &steps, gate, faults);
    fleet.until(20 * POLL);
    let (state, offered) = (fleet.standing.state, fleet.tally.offered);
    assert_eq!(
        state,
        RolloutState::Paused,
        "seed {seed}: {:?}",
        fleet.tally
    );
    assert!(
        offered < HOSTS as u64 / 50,
        "seed {seed}: offered to {offered}"
    );
}

fn halted(seed: u64) {
    let mut fleet = Fleet::new(seed, &STEPS, Gate::default(), Faults::default());
    let halt = MINUTE * fleet.random.below(9 * 60) as i64;
    let pause = MINUTE * (1 + fleet.random.below(20 * 60) as i64);
    fleet.until(halt);
    let before = fleet.applied();
    fleet.halt();
    fleet.until(halt + pause);
    assert_eq!(
        fleet.applied(),
        before,
        "seed {seed}: went on while it was halted"
    );
    fleet.resume();
    for (at, step) in STEPS.iter().enumerate() {
        let end = STEPS.get(at + 1).map_or(12 * POLL, |next| next.0);
        // A step that was cut off has its polls after the halt.
        if end >= halt + 2 * POLL {
            fleet.until(end + pause);
            share_is_as_planned(&fleet, step.1);
        }
    }
    assert_eq!(fleet.applied(), HOSTS, "seed {seed}");
}

#[test]
fn a_fleet_of_ten_thousand_goes_by_its_plan() {
    let runs = std::env::var("RESPLICE_SIMULATION_RUNS");
    let runs = runs.map_or(RUNS, |runs| runs.parse().unwrap());
    println!("seeds 0 to {}", runs - 1);
    let halves = [0, 1].map(|half| {
        std::thread::spawn(move || {
            for seed in (half..runs).step_by(2) {
                match seed % 5 {
                    0 | 1 => good(seed),
                    2 | 3 => bad(seed),
                    _ => halted(seed),
                }
            }
        })
    });
    for half in halves {
        half.join().unwrap();
    }
}
