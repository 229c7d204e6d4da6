//! Files of the store that nothing refers to.

use crate::support::{Service, TARGET, new_update};
use resplice_api::Role;
use resplice_server::{collect::collect, store::Store};
use std::{
    fs::File,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Lets a file have been stored two days ago.
fn age(path: &Path) {
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - 2 * DAY).unwrap();
}

/// The digests of all files of the store.
async fn all(store: &Store) -> Vec<String> {
    let kept = store.list().await.unwrap().into_iter();
    kept.filter_map(|kept| kept.digest).collect()
}

#[tokio::test]
async fn only_what_nothing_refers_to_is_taken_and_only_when_it_is_old() {
    let service = Service::start().await;
    let mut new = new_update(&[TARGET]);
    new.check = Some(resplice_api::Check {
        script: Some("true".to_owned()),
        files: Vec::new(),
    });
    let (update, package) = service.built_from(&new).await;
    let store = &service.app.store;
    let used = all(store).await;
    // Patch, check, package, provenance.
    assert_eq!(used.len(), 4);
    let kept = service.kept();
    let name = store.put(&b"nobody wants this"[..]).await.unwrap();
    let waste = kept.blob(&name);
    // An upload to a bucket that was cut off is the bucket's own matter, and what is
    // not ours there stays.
    let cut_off = waste.with_file_name(format!("{name}#1"));
    let ours = kept.s3().is_none();
    std::fs::write(&cut_off, b"x").unwrap();
    let db = &service.app.db;
    let run = async |remove| collect(db, store, DAY, remove).await.unwrap();
    assert_eq!(run(true).await, [], "they are young");
    let paths = used.iter().map(|name| kept.blob(name));
    paths
        .chain([waste.clone(), cut_off.clone()])
        .for_each(|path| age(&path));
    let found: Vec<String> = run(false).await.into_iter().map(|w| w.place).collect();
    assert_eq!(found.len(), if ours { 2 } else { 1 }, "{found:?}");
    assert!(found[0].ends_with(&name), "{found:?}");
    assert!(waste.exists(), "it was to be listed only");
    assert_eq!(run(true).await.len(), found.len());
    assert_eq!(cut_off.exists(), !ours);
    assert_eq!(all(store).await, used);
    let info = update.jobs[0].package.clone().unwrap();
    let mut read = std::io::Cursor::new(Vec::new());
    let team = service.client(Role::Team);
    team.download_package(&info.sha256, info.bytes, &mut read)
        .await
        .unwrap();
    assert!(read.into_inner() == package);

    let program = Command::new(env!("CARGO_BIN_EXE_resplice-server"))
        .args(["collect", "--hours=0", "--remove", "--data"])
        .arg(service.data())
        .envs(service.kept().environment())
        .output()
        .unwrap();
    assert!(!program.status.success(), "an hour is the least");
}

#[tokio::test]
async fn what_is_stored_again_is_not_taken_before_its_row_is_there() {
    let service = Service::start().await;
    let db = &service.app.db;
    let store = service.app.store.clone();
    let patch = new_update(&[TARGET]).patch;
    let name = store.put(patch.clone()).await.unwrap();
    let path = service.kept().blob(&name);
    age(&path);
    // An upload has got so far: its patch is stored, its row is not there yet.
    store.put(patch).await.unwrap();
    assert_eq!(collect(db, &store, DAY, true).await.unwrap(), []);
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_and_collections_at_the_same_time_lose_nothing() {
    let service = Service::start().await;
    let store = service.app.store.clone();
    let team = service.client(Role::Team);
    let news: Vec<_> = (0..8)
        .map(|number| {
            let mut new = new_update(&[TARGET]);
            new.patch = new.patch.replace("+c", &format!("+c{number}"));
            new
        })
        .collect();
    let (db, data) = (service.app.db.clone(), service.data().to_owned());
    let collected = store.clone();
    let collector = tokio::spawn(async move {
        let mut taken = 0;
        loop {
            taken += collect(&db, &collected, DAY, true).await.unwrap().len();
            if taken > 0 && std::fs::exists(data.join("enough")).unwrap() {
                return taken;
            }
            tokio::task::yield_now().await;
        }
    });
    for new in &news {
        // There from long ago, and waste, when the upload comes.
        for _ in 0..4 {
            let name = store.put(new.patch.clone()).await.unwrap();
            age(&service.kept().blob(&name));
            tokio::task::yield_now().await;
            let update = team.upload(new).await.unwrap();
            let path = service.kept().blob(&name);
            assert!(path.exists(), "{}", update.id);
        }
    }
    age(&service
        .kept()
        .blob(&store.put(&b"waste"[..]).await.unwrap()));
    std::fs::write(service.data().join("enough"), b"").unwrap();
    assert!(collector.await.unwrap() > 0);
    for new in &news {
        let sha256 = resplice_package::sha256_hex(new.patch.as_bytes());
        assert_eq!(store.read(&sha256).await.unwrap(), new.patch.as_bytes());
    }
}
