//! What is said of the whole fleet, put together from counts.

use crate::{
    App,
    db::{
        self,
        fleet::{Hosts, PAUSE_BOUNDS_US, Standing, Update},
    },
};
use jiff::Timestamp;
use resplice_api::{
    Channel, CveStage, CveTarget, Fleet, FleetCve, FleetDay, FleetUpdate, HostCount, JobStatus,
    PauseCount, ReportEvent, Trouble, UpdateId,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// A host that has not asked for so long is called silent, in seconds.
pub const SILENT_AFTER_S: u32 = 600;
/// Days of which it is told what came into effect.
const DAYS: i64 = 30;
/// Most updates, CVEs and kinds of trouble that are listed.
const MOST: usize = 500;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3600 * SECOND;
/// What was counted is good for so many times as long as the counting took, so that
/// it takes a tenth of one CPU at most, however many look; but never for longer than
/// [`OLDEST`].
const REST: u32 = 10;
const OLDEST: Duration = Duration::from_secs(60);

/// The latest count, for all who ask.
#[derive(Debug, Default)]
pub struct Counted(Mutex<Option<Count>>);

#[derive(Debug)]
struct Count {
    fleet: Arc<Fleet>,
    good_until: Instant,
}

impl Counted {
    /// The fleet's numbers; those who ask at once wait for one count.
    ///
    /// # Errors
    /// The database's.
    pub async fn now(&self, app: &App) -> Result<Arc<Fleet>, db::Error> {
        let mut latest = self.0.lock().await;
        let began = Instant::now();
        if let Some(count) = latest.as_ref().filter(|count| began < count.good_until) {
            return Ok(Arc::clone(&count.fleet));
        }
        let fleet = Arc::new(count(&app.db).await?);
        let took: Duration = began.elapsed();
        *latest = Some(Count {
            fleet: Arc::clone(&fleet),
            good_until: Instant::now() + (took * REST).min(OLDEST),
        });
        Ok(fleet)
    }
}

async fn count(db: &db::Db) -> Result<Fleet, db::Error> {
    let now = Timestamp::now();
    let micros = now.as_microsecond();
    let hosts = db::fleet::hosts(db, micros - i64::from(SILENT_AFTER_S) * SECOND).await?;
    let standings = db::fleet::standings(db).await?;
    let updates = db::fleet::updates(db).await?;
    let first_day = micros / DAY - DAYS + 1;
    let days = db::fleet::applied_by_time(db, first_day * DAY, DAY).await?;
    let pauses = db::fleet::pauses(db).await?;
    let silent = |hosts: &[&Hosts]| hosts.iter().filter(|h| h.silent).map(|h| h.count).sum();
    let all: Vec<&Hosts> = hosts.iter().collect();
    Ok(Fleet {
        at: now,
        hosts: all.iter().map(|h| h.count).sum(),
        silent: silent(&all),
        silent_after_s: u64::from(SILENT_AFTER_S),
        channels: counts(&hosts, |h| h.channel.as_str()),
        targets: counts(&hosts, |h| &h.target),
        troubles: troubles(&updates, &standings),
        cves: cves(db, &hosts, &updates, &standings).await?,
        updates: released(&hosts, &updates, &standings),
        days: days_of(first_day, &days),
        pauses: pauses_of(&pauses),
    })
}

fn counts<'a>(hosts: &'a [Hosts], name: impl Fn(&'a Hosts) -> &'a str) -> Vec<HostCount> {
    let mut by_name: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for group in hosts {
        let (all, silent) = by_name.entry(name(group)).or_default();
        *all += group.count;
        *silent += if group.silent { group.count } else { 0 };
    }
    let count = |(name, (hosts, silent)): (&str, (u64, u64))| HostCount {
        name: name.to_owned(),
        hosts,
        silent,
    };
    by_name.into_iter().map(count).collect()
}

fn released(hosts: &[Hosts], updates: &[Update], standings: &[Standing]) -> Vec<FleetUpdate> {
    let mut by_update: HashMap<UpdateId, Vec<&Standing>> = HashMap::new();
    for standing in standings {
        by_update.entry(standing.update).or_default().push(standing);
    }
    let of = |update: &Update| {
        let (released_at, channel) = (update.released_at?, update.channel?);
        let standings = by_update.get(&update.id).map_or(&[][..], Vec::as_slice);
        let sum = |is: fn(&Standing) -> bool| -> u64 {
            let those = standings.iter().filter(|standing| is(standing));
            those.map(|standing| standing.count).sum()
        };
        Some(FleetUpdate {
            update_id: update.id,
            name: update.name.clone(),
            cves: update.cves.clone(),
            channel,
            released_at,
            rollout: update.rollout,
            superseded: update.superseded,
            revoked: update.revoked,
            hosts: audience(hosts, update, channel),
            applied: sum(|s| s.in_effect),
            failed: sum(has_failed),
            busy: sum(|s| !s.in_effect && s.event == ReportEvent::Busy),
        })
    };
    updates.iter().filter_map(of).take(MOST).collect()
}

fn has_failed(standing: &Standing) -> bool {
    let failed = matches!(standing.event, ReportEvent::Failed | ReportEvent::Refused);
    failed && !standing.in_effect
}

/// Hosts that an update in this channel is for.
fn audience(hosts: &[Hosts], update: &Update, channel: Channel) -> u64 {
    let built = JobStatus::Built.as_str();
    let is_for = |group: &&Hosts| {
        let mut jobs = update.jobs.iter();
        let has = jobs.any(|(target, status)| *target == group.target && status == built);
        has && group.channel.gets(channel)
    };
    hosts.iter().filter(is_for).map(|group| group.count).sum()
}

fn troubles(updates: &[Update], standings: &[Standing]) -> Vec<Trouble> {
    let mut all: BTreeMap<(UpdateId, &str, Option<&str>), Trouble> = BTreeMap::new();
    let is_trouble = |s: &&Standing| !s.in_effect && s.event != ReportEvent::Undone;
    for standing in standings.iter().filter(is_trouble) {
        let Some(update) = updates.iter().find(|update| update.id == standing.update) else {
            continue;
        };
        let code = standing.code.as_deref();
        let key = (update.id, standing.event.as_str(), code);
        let trouble = all.entry(key).or_insert_with(|| Trouble {
            update_id: update.id,
            name: update.name.clone(),
            event: standing.event,
            code: standing.code.clone(),
            hosts: 0,
        });
        trouble.hosts += standing.count;
    }
    let mut all: Vec<Trouble> = all.into_values().collect();
    all.sort_by_key(|trouble| std::cmp::Reverse(trouble.hosts));
    all.truncate(MOST);
    all
}

/// How far fixes have got, where there are hosts.
async fn cves(
    db: &db::Db,
    hosts: &[Hosts],
    updates: &[Update],
    standings: &[Standing],
) -> Result<Vec<FleetCve>, db::Error> {
    let mut by_cve: BTreeMap<&str, Vec<&Update>> = BTreeMap::new();
    for update in updates {
        for cve in &update.cves {
            by_cve.entry(cve).or_default().push(update);
        }
    }
    let mut by_target: HashMap<&str, u64> = HashMap::new();
    for group in hosts {
        *by_target.entry(&group.target).or_default() += group.count;
    }
    let mut all = Vec::new();
    for (cve, updates) in by_cve {
        let ids: Vec<UpdateId> = updates.iter().map(|update| update.id).collect();
        let fixed: HashMap<String, u64> = if let [only] = ids.as_slice() {
            let mut fixed = HashMap::new();
            let those = standings
                .iter()
                .filter(|s| s.update == *only && s.in_effect);
            for standing in those {
                *fixed.entry(standing.target.clone()).or_default() += standing.count;
            }
            fixed
        } else {
            // A host that runs two of them is one host.
            let running = db::fleet::running_any(db, &ids).await?;
            running.into_iter().collect()
        };
        let targets = targets(&updates, &by_target, &fixed);
        let hosts: u64 = targets.iter().map(|target| target.hosts).sum();
        let fixed: u64 = targets.iter().map(|target| target.fixed).sum();
        if hosts > 0 {
            all.push(FleetCve {
                cve: cve.to_owned(),
                hosts,
                open: hosts - fixed,
                targets,
            });
        }
    }
    all.sort_by(|a, b| b.open.cmp(&a.open).then_with(|| b.cve.cmp(&a.cve)));
    all.truncate(MOST);
    Ok(all)
}

fn targets(
    updates: &[&Update],
    hosts: &HashMap<&str, u64>,
    fixed: &HashMap<String, u64>,
) -> Vec<CveTarget> {
    let mut furthest: BTreeMap<&str, (CveStage, UpdateId)> = BTreeMap::new();
    for update in updates {
        for (target, status) in &update.jobs {
            let Some(stage) = stage(update, status) else {
                continue;
            };
            let best = furthest.entry(target).or_insert((stage, update.id));
            *best = (*best).max((stage, update.id));
        }
    }
    let target = |(target, (stage, update_id)): (&str, (CveStage, UpdateId))| {
        let hosts = hosts.get(target).copied().filter(|hosts| *hosts > 0)?;
        Some(CveTarget {
            target: target.to_owned(),
            hosts,
            fixed: fixed.get(target).copied().unwrap_or_default().min(hosts),
            update_id,
            stage,
        })
    };
    furthest.into_iter().filter_map(target).collect()
}

/// How far an update has got for a target; none if it says nothing about it.
fn stage(update: &Update, status: &str) -> Option<CveStage> {
    Some(match status.parse().ok()? {
        _ if update.rejected => CveStage::Failed,
        JobStatus::Built if update.revoked => CveStage::Revoked,
        JobStatus::Built if update.released_at.is_some() => CveStage::Released,
        JobStatus::Built => CveStage::Built,
        JobStatus::Queued | JobStatus::Running => CveStage::Building,
        // The kernel is as it would be with the patch: nobody is open to anything.
        JobStatus::Nothing | JobStatus::Cancelled => return None,
        JobStatus::Failed | JobStatus::Refused | JobStatus::NeedsCode => CveStage::Failed,
    })
}

fn days_of(first: i64, counted: &[(i64, u64)]) -> Vec<FleetDay> {
    let day = |number: i64| {
        let day = Timestamp::from_microsecond(number * DAY).ok()?;
        let found = counted.iter().find(|(day, _)| *day == number);
        Some(FleetDay {
            day,
            applied: found.map_or(0, |(_, count)| *count),
        })
    };
    (first..first + DAYS).filter_map(day).collect()
}

fn pauses_of(counted: &[(i64, u64)]) -> Vec<PauseCount> {
    let bounds = PAUSE_BOUNDS_US.into_iter().map(Some).chain([None]);
    let count = |(number, below_us): (i64, Option<u64>)| PauseCount {
        below_us,
        hosts: counted
            .iter()
            .find(|(bin, _)| *bin == number)
            .map_or(0, |(_, count)| *count),
    };
    (0..).zip(bounds).map(count).collect()
}
