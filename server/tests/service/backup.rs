//! All that a server keeps, in one file and back.

use crate::support::{Kept, Service, TARGET, finish, new_update};
use resplice_api::{FinishStatus, JobStatus, Role, Updates};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

/// Runs one of the server's own commands on what is kept.
fn run(kept: &Kept, words: &[&str], file: Option<&Path>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_resplice-server"))
        .args(words)
        .args(file)
        .arg("--data")
        .arg(kept.data())
        .envs(kept.environment())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn ok(kept: &Kept, words: &[&str], file: Option<&Path>) {
    let output = run(kept, words, file);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
}

/// A service with something of everything, and its backup, taken while it runs and
/// goes on.
async fn backed_up(dir: &Path) -> (Service, std::path::PathBuf) {
    let service = Service::start().await;
    let (update, _) = service.built().await;
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "good").await.unwrap();
    service.enrol("web-1", TARGET).await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let log = b"\xff\x00 half of a log\n";
    worker
        .client
        .append_log(lease.job, 1, 0, log)
        .await
        .unwrap();
    let db = &service.app.db;
    service.app.transparency.follow(db).await.unwrap();
    let file = dir.join("resplice.backup");
    ok(service.kept(), &["backup"], Some(&file));
    // What comes later is not in it, and does it no harm.
    let failed = finish(FinishStatus::Failed);
    worker.client.finish(lease.job, 1, &failed).await.unwrap();
    service.upload().await;
    service.app.transparency.follow(db).await.unwrap();
    (service, file)
}

#[tokio::test]
async fn a_backup_of_a_running_service_serves_again_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (service, file) = backed_up(dir.path()).await;
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let old = service.client(Role::Team).updates(10, None).await.unwrap();
    service.stop().await;

    // What was in a file goes into PostgreSQL and a bucket, and the other way.
    for kept in [Kept::new().await, Kept::of_the_other_kind().await] {
        serves_again(Arc::new(kept), &file, &old).await;
    }
}

async fn serves_again(kept: Arc<Kept>, file: &Path, old: &Updates) {
    ok(&kept, &["restore"], Some(file));
    ok(&kept, &["audit", "verify"], None);
    let key = kept.data().join("log/key");
    let mode = fs::metadata(key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let service = Service::on(kept).await;
    let team = service.client(Role::Team);
    let updates = team.updates(10, None).await.unwrap().updates;
    // The last one was uploaded after the backup.
    let ids = |all: &[resplice_api::UpdateSummary]| all.iter().map(|u| u.id).collect::<Vec<_>>();
    assert_eq!(ids(&updates), ids(&old.updates[1..]));
    let released = team.update(updates[1].id).await.unwrap();
    let info = released.jobs[0].package.clone().unwrap();
    let mut package = std::io::Cursor::new(Vec::new());
    let whole = team.download_package(&info.sha256, info.bytes, &mut package);
    whole.await.unwrap();
    team.provenance(&info.sha256).await.unwrap();
    let running = team.update(updates[0].id).await.unwrap().jobs.remove(0);
    assert_eq!(running.status, JobStatus::Running);
    let log = team.log(running.id, Some(1), 0, false).await.unwrap();
    assert_eq!(log.bytes, b"\xff\x00 half of a log\n");
    // The worker goes on with its job, and everything is written down as before.
    let worker = service.client(Role::Worker);
    let end = log.bytes.len() as u64;
    worker
        .append_log(running.id, 1, end, b"the rest\n")
        .await
        .unwrap();
    let failed = finish(FinishStatus::Failed);
    worker.finish(running.id, 1, &failed).await.unwrap();
    team.upload(&new_update(&[TARGET])).await.unwrap();
    let db = &service.app.db;
    service.app.transparency.follow(db).await.unwrap();
    let kept = service.stop().await;
    ok(&kept, &["audit", "verify"], None);
}

#[tokio::test]
async fn a_backup_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (service, file) = backed_up(dir.path()).await;
    let before = fs::read(&file).unwrap();
    let again = run(service.kept(), &["backup"], Some(&file));
    assert!(!again.status.success());
    assert!(fs::read(&file).unwrap() == before);
    let over = run(service.kept(), &["restore"], Some(&file));
    assert!(said(&over).contains("is not empty"), "{}", said(&over));
    let kept = service.stop().await;
    // A new directory, but the old database.
    if kept.database_url().is_some() {
        fs::rename(kept.data(), kept.dir.path().join("old")).unwrap();
        let over = run(&kept, &["restore"], Some(&file));
        assert!(
            said(&over).contains("is not empty: its table"),
            "{}",
            said(&over)
        );
    }
}

#[tokio::test]
async fn a_damaged_backup_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (service, file) = backed_up(dir.path()).await;
    service.stop().await;
    let good = fs::read(&file).unwrap();
    let find = |what: &[u8]| {
        good.windows(what.len())
            .position(|bytes| bytes == what)
            .unwrap()
    };
    let end = find(b"end.json");
    let blob = find(b"data/blobs/");
    let cases: [(&str, Vec<u8>); 4] = [
        ("cut off", good[..end].to_vec()),
        ("sha256", flipped(&good, blob + 512)),
        ("no backup", flipped(&good, 3)),
        ("cut off", Vec::from(&good[..blob])),
    ];
    for (word, bytes) in cases {
        let kept = Kept::new().await;
        let file = dir.path().join("damaged");
        fs::write(&file, bytes).unwrap();
        let output = run(&kept, &["restore"], Some(&file));
        assert!(!output.status.success(), "{word}");
        let said = said(&output);
        assert!(
            said.contains(word) || said.contains("can't restore"),
            "{word}: {said}"
        );
    }
}

/// With a bit flipped.
fn flipped(good: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[tokio::test]
async fn a_backup_can_not_write_beside_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (service, file) = backed_up(dir.path()).await;
    service.stop().await;
    let original = fs::read(&file).unwrap();
    for name in [
        "data/../../escaped",
        "/tmp/escaped",
        "data//etc/escaped",
        "else/x",
    ] {
        let mut tar = tar::Builder::new(Vec::new());
        let mut archive = tar::Archive::new(&original[..]);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.path().unwrap().starts_with("end.json") {
                let mut header = tar::Header::new_gnu();
                header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
                header.set_size(1);
                header.set_mode(0o600);
                header.set_cksum();
                tar.append(&header, &b"x"[..]).unwrap();
            }
            let header = entry.header().clone();
            tar.append(&header, &mut entry).unwrap();
        }
        fs::write(&file, tar.into_inner().unwrap()).unwrap();
        let kept = Kept::new().await;
        let output = run(&kept, &["restore"], Some(&file));
        assert!(!output.status.success(), "{name}: {}", said(&output));
        assert!(!kept.dir.path().join("escaped").exists());
        assert!(!Path::new("/tmp/escaped").exists() && !Path::new("/etc/escaped").exists());
    }
}
