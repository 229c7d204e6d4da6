//! A store in a directory and in memory.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

/// A directory and memory; a bucket is what half of the service's tests have.
fn stores(dir: &Path) -> [Store; 2] {
    [Home::Directory, Home::Memory].map(|home| Store::open(&home, dir).unwrap())
}

#[tokio::test]
async fn bytes_come_back_under_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    for store in stores(dir.path()) {
        let name = store.put(&b"hello"[..]).await.unwrap();
        assert_eq!(store.put(&b"hello"[..]).await.unwrap(), name);
        assert_eq!(store.read(&name).await.unwrap(), b"hello");
        assert_eq!(store.size(&name).await.unwrap(), 5);
        let part = store.part(&name, 1..3).await.unwrap();
        let pieces: Vec<Bytes> = stream(part).try_collect().await.unwrap();
        assert_eq!(pieces.concat(), b"el");
        let names = store.list().await.unwrap().into_iter();
        assert_eq!(
            names.filter_map(|kept| kept.digest).collect::<Vec<_>>(),
            [name]
        );
    }
    let files = fs::read_dir(dir.path().join("blobs")).unwrap();
    assert_eq!(files.count(), 1);
}

#[tokio::test]
async fn damaged_bytes_are_not_handed_out_and_storing_them_again_heals_them() {
    let dir = tempfile::tempdir().unwrap();
    let [store, _] = stores(dir.path());
    let name = store.put(&b"hello"[..]).await.unwrap();
    let path = dir.path().join("blobs").join(&name[..2]).join(&name);
    fs::write(path, b"hellO").unwrap();
    let damaged = store.read(&name).await;
    assert!(matches!(damaged, Err(StoreError::Damaged { .. })));
    store.put(&b"hello"[..]).await.unwrap();
    assert_eq!(store.read(&name).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_name_can_not_leave_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let upper = "A".repeat(64);
    for store in stores(dir.path()) {
        for bad in ["", "..", "../../etc/passwd", "é", &upper, &"/".repeat(64)] {
            let read = store.read(bad).await;
            assert!(matches!(read, Err(StoreError::Name(_))), "{bad:?}");
        }
    }
}
