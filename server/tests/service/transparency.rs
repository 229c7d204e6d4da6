//! The transparency log: what is rewritten, reordered, cut off or signed by
//! somebody else is found out.

use crate::support::{Service, TARGET, new_update};
use base64::{Engine, prelude::BASE64_STANDARD};
use resplice_api::{ConsistencyProof, LogEntry, ReleaseProof, Role, UpdateId};
use resplice_server::{
    db,
    transparency::{Finding, read_checkpoint, read_key, verify},
};
use resplice_tlog::{Checkpoint, Hash, Verifier, tree};
use sea_orm::ConnectionTrait;

async fn get(service: &Service, role: Role, path: &str) -> reqwest::Response {
    let token = service.any_token(role).await;
    let address = format!("{}/api/v1{path}", service.url);
    let request = reqwest::Client::new().get(address);
    request.bearer_auth(token.secret()).send().await.unwrap()
}

async fn checkpoint(service: &Service) -> (String, Checkpoint) {
    let answer = get(service, Role::Vendor, "/log/checkpoint").await;
    let text = answer.text().await.unwrap();
    let checkpoint = key(service).await.open(&text).unwrap();
    (text, checkpoint)
}

async fn key(service: &Service) -> Verifier {
    let answer = get(service, Role::Vendor, "/log/key").await;
    answer.text().await.unwrap().trim().parse().unwrap()
}

fn decode(proof: &[String]) -> Vec<Hash> {
    let hash = |text: &String| BASE64_STANDARD.decode(text).unwrap().try_into().unwrap();
    proof.iter().map(hash).collect()
}

async fn released(service: &Service) -> UpdateId {
    let (update, _) = service.built().await;
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "reviewed").await.unwrap();
    update.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_grows_while_it_is_verified_is_whole() {
    let service = Service::start().await;
    let signer = key(&service).await;
    let client = service.client(Role::Team);
    let writer = tokio::spawn(async move {
        for _ in 0..150 {
            client.upload(&new_update(&[TARGET])).await.unwrap();
        }
    });
    let mut grown = std::collections::BTreeSet::new();
    while !writer.is_finished() {
        let report = verify(&service.app.db, &signer, &[]).await.unwrap();
        assert_eq!(report.findings, []);
        grown.insert(report.size);
    }
    writer.await.unwrap();
    assert!(grown.len() > 1, "it did not grow: {grown:?}");
}

#[tokio::test]
async fn a_release_is_proved_to_be_in_a_log_that_only_grows() {
    let service = Service::start().await;
    let (_, early) = checkpoint(&service).await;
    let update = released(&service).await;
    let answer = get(&service, Role::Vendor, &format!("/updates/{update}/proof")).await;
    let proof: ReleaseProof = answer.json().await.unwrap();
    let entry: LogEntry = serde_json::from_str(&proof.entry).unwrap();
    let LogEntry::Release {
        update: id,
        by,
        packages,
        ..
    } = entry
    else {
        panic!("{entry:?}");
    };
    assert_eq!((id, by.as_str(), packages.len()), (update, "engineer", 1));
    let signed = key(&service).await.open(&proof.checkpoint).unwrap();
    let leaf = tree::leaf_hash(proof.entry.as_bytes());
    let steps = decode(&proof.proof);
    let included =
        |leaf| tree::verify_inclusion(leaf, proof.index, &steps, signed.size, &signed.root);
    included(&leaf).unwrap();
    let forged = proof.entry.replace("engineer", "somebody");
    assert!(included(&tree::leaf_hash(forged.as_bytes())).is_err());

    let path = format!("/log/consistency?size={}", early.size);
    let grown: ConsistencyProof = get(&service, Role::Vendor, &path)
        .await
        .json()
        .await
        .unwrap();
    let late = key(&service).await.open(&grown.checkpoint).unwrap();
    let (old, new) = ((early.size, &early.root), (late.size, &late.root));
    assert!(late.size > early.size);
    tree::verify_consistency(old, new, &decode(&grown.proof)).unwrap();

    // What is not released has no proof.
    let update = service.upload().await.id;
    let answer = get(&service, Role::Vendor, &format!("/updates/{update}/proof")).await;
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn tiles_and_bundles_hold_what_the_checkpoint_says() {
    let service = Service::start().await;
    released(&service).await;
    let (_, signed) = checkpoint(&service).await;
    let path = format!("/log/tile/0/000.p/{}", signed.size);
    let bytes = get(&service, Role::Vendor, &path)
        .await
        .bytes()
        .await
        .unwrap();
    let path = format!("/log/tile/entries/000.p/{}", signed.size);
    let bundle = get(&service, Role::Engineer, &path)
        .await
        .bytes()
        .await
        .unwrap();
    let mut frontier = tree::Frontier::default();
    let mut rest = bundle.as_ref();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
        frontier.push(tree::leaf_hash(entry));
        rest = after;
    }
    assert_eq!(
        (frontier.size(), frontier.root()),
        (signed.size, signed.root)
    );
    assert_eq!(bytes.len() as u64, signed.size * 32);
    for bad in ["0/000", "0/0", "0/001.p/1", "1/000.p/1", "0/000.p/300"] {
        let answer = get(&service, Role::Vendor, &format!("/log/tile/{bad}")).await;
        assert_eq!(answer.status(), 404, "{bad}");
    }
    // Who did what is for those who audit.
    let answer = get(&service, Role::Vendor, &path).await;
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages() {
    let service = Service::start().await;
    released(&service).await;
    checkpoint(&service).await;
    let mut entries = Vec::new();
    let mut before = String::new();
    loop {
        let answer = get(&service, Role::Engineer, &format!("/audit?limit=2{before}")).await;
        let page: resplice_api::AuditEntries = answer.json().await.unwrap();
        entries.extend(page.entries);
        match page.next {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert!(actions.contains(&"update.release") && actions.contains(&"job.lease"));
    assert!(entries.iter().all(|entry| entry.log_index.is_some()));
    assert!(entries.is_sorted_by(|a, b| a.id > b.id));
}

/// What is found with the key that lies there now.
async fn findings(service: &Service, kept: &[Checkpoint]) -> Vec<Finding> {
    let signer = read_key(&service.data().join("log/key")).unwrap();
    let report = verify(&service.app.db, &signer.verifier(), kept).await;
    report.unwrap().findings
}

/// A log that is good, and then isn't.
async fn tampered(sql: &[&str]) -> Vec<Finding> {
    let service = Service::start().await;
    released(&service).await;
    checkpoint(&service).await;
    assert_eq!(findings(&service, &[]).await, []);
    for statement in sql {
        let changed = service.app.db.execute_unprepared(statement).await.unwrap();
        assert!(changed.rows_affected() > 0, "{statement}");
    }
    findings(&service, &[]).await
}

#[tokio::test]
async fn a_rewritten_row_is_found() {
    for sql in [
        "UPDATE audit SET actor = 'somebody' WHERE action = 'update.release'",
        "UPDATE audit SET status = 403 WHERE action = 'update.release'",
        "UPDATE updates SET released_by = 'somebody'",
        "DELETE FROM audit WHERE action = 'update.release'",
        "UPDATE updates SET released_at = NULL",
    ] {
        let found = tampered(&[sql]).await;
        assert!(
            found.iter().any(|f| matches!(f, Finding::Row(..))),
            "{sql}: {found:?}"
        );
    }
    let added = tampered(&[
        "INSERT INTO audit (id, at, actor, role, action, object, begin_seq)
        VALUES ('x', 1, 'a', 'team', 'update.upload', '/', 1)",
    ]);
    assert!(!added.await.is_empty());
}

#[tokio::test]
async fn a_rewritten_entry_is_found_even_with_its_row() {
    let found = tampered(&[
        "UPDATE log_entries SET entry = REPLACE(entry, '\"actor\":\"engineer\"', '\"actor\":\"somebody\"')
         WHERE entry LIKE '%\"actor\":\"engineer\"%'",
        "UPDATE audit SET actor = 'somebody' WHERE actor = 'engineer'",
    ])
    .await;
    assert!(
        found.iter().any(|f| matches!(f, Finding::Checkpoint(_))),
        "{found:?}"
    );
}

#[tokio::test]
async fn swapped_and_missing_entries_are_found() {
    let found = tampered(&[
        "UPDATE log_entries SET seq = 1000000 WHERE seq = 1",
        "UPDATE log_entries SET seq = 1 WHERE seq = 2",
        "UPDATE log_entries SET seq = 2 WHERE seq = 1000000",
    ])
    .await;
    assert!(
        found.iter().any(|f| matches!(f, Finding::Checkpoint(_))),
        "{found:?}"
    );
    let found = tampered(&["DELETE FROM log_entries WHERE seq = 2"]).await;
    assert!(
        found.contains(&Finding::Entry(2, "it is missing".to_owned())),
        "{found:?}"
    );
    let found = tampered(&["UPDATE log_tiles SET hashes = REPLACE(hashes, 'a', 'b')"]).await;
    assert!(
        found.iter().any(|f| matches!(f, Finding::Tiles(_))),
        "{found:?}"
    );
}

/// All of a data directory's log as it was, with its last entries dropped.
#[tokio::test]
async fn a_log_that_is_cut_off_is_found_by_the_copy_and_by_any_checkpoint_that_was_kept() {
    let service = Service::start().await;
    let (early, _) = checkpoint(&service).await;
    let head = db::log::head(&service.app.db).await.unwrap();
    released(&service).await;
    let (late, signed) = checkpoint(&service).await;
    // No one follows any more.
    let db = service.app.db.clone();
    let size = head.size;
    for sql in [
        format!("DELETE FROM log_entries WHERE seq >= {size}"),
        "DELETE FROM log_tiles".to_owned(),
        format!("DELETE FROM audit WHERE begin_seq >= {size}"),
        "UPDATE updates SET release_seq = NULL, released_at = NULL".to_owned(),
        format!("UPDATE log_head SET size = {size}, checkpoint = '{early}'"),
    ] {
        db.execute_unprepared(&sql).await.unwrap();
    }
    let mut tiles = resplice_tlog::tile::Tiles::default();
    for (seq, entry) in db::log::entries(&db, 0, 1000).await.unwrap() {
        tiles.push(seq, tree::leaf_hash(entry.as_bytes())).unwrap();
    }
    for (place, hashes) in tiles.iter() {
        db::log_tiles::set(&db, place, hashes).await.unwrap();
    }
    // By itself it is a good log …
    assert_eq!(findings(&service, &[]).await, []);
    // … but it had more entries once.
    let signer = read_key(&service.data().join("log/key")).unwrap();
    let file = service.data().join("log/checkpoint");
    let copy = read_checkpoint(&file, &signer.verifier()).unwrap().unwrap();
    assert_eq!(copy.size, signed.size);
    let kept = signer.verifier().open(&late).unwrap();
    let found = findings(&service, &[kept]).await;
    assert!(matches!(found.as_slice(), [Finding::Kept(..)]), "{found:?}");
    // The server does not go on with it either.
    service.upload().await;
    let answer = get(&service, Role::Vendor, "/log/checkpoint").await;
    assert_eq!(answer.status(), 500);
    assert!(!service.app.transparency.is_sound());
}

#[tokio::test]
async fn another_key_is_found_even_if_it_signs_all_anew() {
    let service = Service::start().await;
    released(&service).await;
    let genuine = key(&service).await;
    let (_, kept) = checkpoint(&service).await;
    let file = service.data().join("log/key");
    resplice_server::secret_file::write(&file, &"07".repeat(32)).unwrap();
    // Not with the old checkpoint …
    let found = findings(&service, &[]).await;
    assert!(
        found.iter().any(|f| matches!(f, Finding::Checkpoint(_))),
        "{found:?}"
    );
    // … and not with a new one.
    let signer = read_key(&file).unwrap();
    let head = db::log::head(&service.app.db).await.unwrap();
    let forged = db::log::Head {
        size: head.size,
        checkpoint: signer.sign(kept.size, kept.root),
    };
    db::log::set_head(&service.app.db, &forged).await.unwrap();
    let found = findings(&service, &[]).await;
    assert!(
        matches!(found.as_slice(), [Finding::Entry(0, _)]),
        "{found:?}"
    );
    let report = verify(&service.app.db, &genuine, &[kept]).await.unwrap();
    assert!(matches!(
        report.findings.as_slice(),
        [Finding::Checkpoint(_)]
    ));
}

#[tokio::test]
async fn a_log_that_was_tampered_with_is_not_signed_over() {
    let service = Service::start().await;
    released(&service).await;
    checkpoint(&service).await;
    let db = &service.app.db;
    let sql = "UPDATE log_tiles SET hashes = REPLACE(hashes, 'a', 'b')";
    db.execute_unprepared(sql).await.unwrap();
    let before = db::log::head(db).await.unwrap();
    service.upload().await;
    assert!(service.app.transparency.follow(db).await.is_err());
    assert_eq!(db::log::head(db).await.unwrap(), before);
}

#[tokio::test]
async fn the_programs_own_commands_verify_and_export() {
    let service = Service::start().await;
    released(&service).await;
    let genuine = key(&service).await;
    let (text, signed) = checkpoint(&service).await;
    let kept = service.stop().await;
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_resplice-server"));
        command
            .arg("audit")
            .args(words)
            .arg("--data")
            .arg(kept.data());
        command.envs(kept.environment());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = run(&["key"]);
    assert_eq!((code, said.trim()), (Some(0), genuine.to_string().as_str()));
    let file = kept.dir.path().join("kept");
    std::fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap();
    let key = genuine.to_string();
    let (code, said) = run(&["verify", "--key", &key, "--checkpoint", file]);
    assert_eq!(code, Some(0), "{said}");
    let directory = kept.dir.path().join("export");
    let (code, _) = run(&["export", directory.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let exported = std::fs::read_to_string(directory.join("checkpoint")).unwrap();
    let exported = genuine.open(&exported).unwrap();
    assert!(exported.size >= signed.size);
    let tile = directory.join(format!("tile/0/000.p/{}", exported.size));
    assert_eq!(
        std::fs::read(tile).unwrap().len() as u64,
        exported.size * 32
    );
    // Cut off, with its copy.
    std::fs::write(file, signed_by_nobody(&text)).unwrap();
    assert_eq!(run(&["verify", "--checkpoint", file]).0, Some(1));
}

fn signed_by_nobody(text: &str) -> String {
    text.replacen('\n', "\n1", 1)
}

#[tokio::test]
async fn the_audit_log_is_searched_by_who_what_and_to_what() {
    let service = Service::start().await;
    let update = released(&service).await;
    let own = service.client(Role::Team).update(update).await.unwrap();
    assert!(own.released.is_some());
    let search = async |query: &str| -> Vec<String> {
        let answer = get(&service, Role::Engineer, &format!("/audit?{query}")).await;
        let found: resplice_api::AuditEntries = answer.json().await.unwrap();
        found
            .entries
            .into_iter()
            .map(|entry| entry.action)
            .collect()
    };
    assert_eq!(
        search("action=update.").await,
        ["update.release", "update.upload"]
    );
    assert_eq!(search("q=UPDATE.REL").await, ["update.release"]);
    assert_eq!(search("q=%25").await, Vec::<String>::new());
    assert_eq!(search("actor=team").await, ["update.upload"]);
    assert!(
        search(&format!("q={update}"))
            .await
            .contains(&"update.release".to_owned())
    );
    assert!(search("failed=true").await.is_empty());
    let refused = service
        .client(Role::Engineer)
        .release(update, "again")
        .await;
    assert!(refused.is_err());
    assert_eq!(search("failed=true").await, ["update.release"]);
}

#[tokio::test]
async fn keys_are_told_with_their_expiries_and_nothing_secret() {
    let service = Service::start().await;
    released(&service).await;
    let text = get(&service, Role::Admin, "/keys")
        .await
        .text()
        .await
        .unwrap();
    assert!(!text.contains("PRIVATE"));
    let keys: resplice_api::Keys = serde_json::from_str(&text).unwrap();
    let shown: Vec<_> = keys
        .roles
        .iter()
        .map(|r| (r.role.as_str(), r.keys.len(), r.threshold, r.here))
        .collect();
    let expected = [
        ("root", 3, 2, 3),
        ("targets", 1, 1, 1),
        ("snapshot", 1, 1, 1),
        ("timestamp", 1, 1, 1),
    ];
    assert_eq!(shown, expected);
    assert!(!keys.waiting);
    for role in &keys.roles {
        assert!(
            role.version > 0 && role.expires.unwrap() > jiff::Timestamp::now(),
            "{role:?}"
        );
    }
    assert_eq!(keys.log, key(&service).await.to_string());
}
