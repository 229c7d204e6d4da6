//! Kernels that are noticed, fetched and retired; the archive is played.

use crate::support::{Kept, Service, new_update, problem};
use resplice_api::{Import, ImportState, Role, Target, client::Client};
use resplice_server::catalogue::{self, Catalogue};
use resplice_target::{Available, Progress, TargetId};
use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

const OLD: &str = "debian:6.1.0-47-cloud-amd64";
const NEW: &str = "debian:6.1.0-55-cloud-amd64";
/// A backport of a series that updates can be made for, and one of another.
const BACKPORT: &str = "debian:6.12.117+deb12-cloud-amd64";
const FOREIGN: &str = "debian:6.17.0-1-cloud-amd64";
const PAUSE: Duration = Duration::from_millis(50);

/// An archive, and imports from it that go as far as they are let.
#[derive(Default)]
struct Depot {
    kernels: Mutex<Vec<&'static str>>,
    imported: Mutex<Vec<String>>,
    /// What ends the import that is under way.
    verdict: Mutex<Option<Result<(), &'static str>>>,
    told: Condvar,
}

impl Depot {
    fn of(kernels: &[&'static str]) -> Arc<Self> {
        let depot = Self::default();
        depot.kernels.lock().unwrap().extend(kernels);
        Arc::new(depot)
    }

    fn end(&self, verdict: Result<(), &'static str>) {
        *self.verdict.lock().unwrap() = Some(verdict);
        self.told.notify_all();
    }
}

impl Catalogue for Depot {
    fn list(&self) -> Result<Vec<Target>, catalogue::Error> {
        let target = |id: &String| Target {
            id: id.clone(),
            release: id.trim_start_matches("debian:").to_owned(),
            package_version: "6.1.170-3".to_owned(),
            flavour: "cloud-amd64".to_owned(),
            arch: "x86_64".to_owned(),
            digest: "11".repeat(32),
            retired: None,
        };
        Ok(self.imported.lock().unwrap().iter().map(target).collect())
    }

    fn available(&self) -> Result<Vec<Available>, catalogue::Error> {
        let kernels = self.kernels.lock().unwrap();
        if kernels.is_empty() {
            return Err("the archive can't be read; run `apt-get update`".into());
        }
        let kernel = |id: &&str| Available {
            id: id.parse().unwrap(),
            package_version: "6.1.170-3".to_owned(),
            missing: Vec::new(),
        };
        Ok(kernels.iter().map(kernel).collect())
    }

    fn import(&self, target: &TargetId, progress: &dyn Progress) -> Result<(), catalogue::Error> {
        progress.begin("look", None);
        progress.end();
        progress.begin("download linux-image", Some(2000));
        progress.advance(500);
        let mut verdict = self.verdict.lock().unwrap();
        while verdict.is_none() {
            verdict = self.told.wait(verdict).unwrap();
        }
        progress.end();
        verdict.take().unwrap()?;
        self.imported.lock().unwrap().push(target.to_string());
        Ok(())
    }
}

async fn start(depot: &Arc<Depot>) -> (Service, Client) {
    let service = Service::with_catalogue(Arc::new(Kept::new().await), depot.clone()).await;
    let admin = service.client(Role::Admin);
    (service, admin)
}

async fn until(admin: &Client, what: impl Fn(&Import) -> bool) -> Import {
    for _ in 0..400 {
        let import = admin.imports().await.unwrap().imports.remove(0);
        if what(&import) {
            return import;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{:?}", admin.imports().await.unwrap());
}

#[tokio::test]
async fn a_kernel_is_imported_in_the_background_and_says_how_far_it_is() {
    let depot = Depot::of(&[OLD]);
    let (service, admin) = start(&depot).await;
    let asked = admin.import(OLD).await.unwrap();
    assert_eq!(asked.state, ImportState::Waiting);
    let running = until(&admin, |import| import.done_bytes > 0).await;
    assert_eq!(running.state, ImportState::Running);
    assert_eq!(running.step.as_deref(), Some("download linux-image"));
    assert_eq!((running.done_bytes, running.total_bytes), (500, Some(2000)));
    assert_eq!(running.steps[0].name, "look");
    assert_eq!(
        problem(admin.import(OLD).await),
        (409, "importing".to_owned())
    );
    depot.end(Ok(()));
    let done = until(&admin, |import| import.ended_at.is_some()).await;
    assert_eq!((done.state, done.steps.len()), (ImportState::Done, 2));
    assert_eq!(admin.targets().await.unwrap().targets[0].id, OLD);
    assert_eq!(
        problem(admin.import(OLD).await),
        (409, "imported".to_owned())
    );
    assert_eq!(problem(admin.import("debian:../../etc").await).0, 422);
    // No archive has such a kernel.
    assert_eq!(problem(admin.import("own:6.1.170-x-own").await).0, 422);
    assert_eq!(problem(admin.import(FOREIGN).await).0, 422);
    service.stop().await;
}

#[tokio::test]
async fn an_import_that_fails_says_why_and_can_be_asked_for_again() {
    let depot = Depot::of(&[OLD]);
    let (service, admin) = start(&depot).await;
    depot.end(Err(
        "the archive holds no linux-source-6.1; run `apt-get update`",
    ));
    admin.import(OLD).await.unwrap();
    let failed = until(&admin, |import| import.ended_at.is_some()).await;
    assert_eq!(failed.state, ImportState::Failed);
    assert!(failed.reason.unwrap().contains("linux-source-6.1"));
    assert!(admin.targets().await.unwrap().targets.is_empty());
    depot.end(Ok(()));
    admin.import(OLD).await.unwrap();
    until(&admin, |import| import.state == ImportState::Done).await;
    service.stop().await;
}

#[tokio::test]
async fn an_import_goes_on_when_its_server_is_started_again() {
    let depot = Depot::of(&[OLD]);
    let (service, admin) = start(&depot).await;
    admin.import(OLD).await.unwrap();
    until(&admin, |import| import.state == ImportState::Running).await;
    let kept = service.stop().await;
    let depot = Depot::of(&[OLD]);
    depot.end(Ok(()));
    let service = Service::with_catalogue(kept, depot).await;
    let admin = service.client(Role::Admin);
    until(&admin, |import| import.state == ImportState::Done).await;
    service.stop().await;
}

#[tokio::test]
async fn a_kernel_that_the_archive_did_not_have_before_is_new() {
    let depot = Depot::of(&[]);
    let (service, admin) = start(&depot).await;
    assert_eq!(admin.archive().await.unwrap().looked_at, None);
    let unreadable = admin.look_at_archive().await.unwrap();
    assert!(unreadable.problem.unwrap().contains("apt-get update"));
    depot.kernels.lock().unwrap().push(OLD);
    let first = admin.look_at_archive().await.unwrap();
    assert_eq!(first.problem, None);
    assert!(first.kernels.iter().all(|kernel| !kernel.is_new));
    depot
        .kernels
        .lock()
        .unwrap()
        .extend([NEW, BACKPORT, FOREIGN]);
    let second = admin.look_at_archive().await.unwrap();
    let kernels: Vec<_> = second
        .kernels
        .iter()
        .map(|k| (k.id.as_str(), k.is_new))
        .collect();
    assert_eq!(kernels, [(BACKPORT, true), (NEW, true), (OLD, false)]);
    depot.kernels.lock().unwrap().clear();
    // What can't be read now was read before.
    assert_eq!(admin.look_at_archive().await.unwrap().kernels.len(), 3);
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_built_for_a_retired_target_until_it_is_restored() {
    let depot = Depot::of(&[OLD]);
    depot.imported.lock().unwrap().push(OLD.to_owned());
    let (service, admin) = start(&depot).await;
    let team = service.client(Role::Team);
    let update = || new_update(&[OLD]);
    team.upload(&update()).await.unwrap();
    let retired = admin.retire_target(OLD, "no host has it").await.unwrap();
    assert_eq!(retired.retired.unwrap().reason, "no host has it");
    let refused = team.upload(&update()).await.unwrap_err().to_string();
    assert!(
        refused.contains("retired") && refused.contains("no host has it"),
        "{refused}"
    );
    assert_eq!(problem(admin.retire_target(NEW, "").await).0, 404);
    assert_eq!(admin.restore_target(OLD).await.unwrap().retired, None);
    team.upload(&update()).await.unwrap();
    let twice = problem(admin.restore_target(OLD).await);
    assert_eq!(twice, (409, "not-retired".to_owned()));
    service.stop().await;
}
