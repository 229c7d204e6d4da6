//! Feeds and advisories, read by others than our own code.

use crate::support::{Service, TARGET, new_update, run, tool};
use reqwest::{StatusCode, header};
use resplice_api::{Channel, NewRelease, NewRevocation, Role, Token, Update};
use resplice_server::feeds::Settings;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const ADDRESS: &str = "https://updates.example.org";

fn settings(public: bool) -> Settings {
    Settings {
        public,
        address: Some(ADDRESS.to_owned()),
        publisher: Some("Example & Sons <x>".to_owned()),
        contact: Some("security@example.org".to_owned()),
    }
}

async fn public() -> Service {
    Service::with(|config| config.feeds = settings(true)).await
}

async fn get(service: &Service, path: &str, token: Option<&Token>) -> reqwest::Response {
    let request = reqwest::Client::new().get(format!("{}{path}", service.url));
    let request = match token {
        Some(token) => request.bearer_auth(token.secret()),
        None => request,
    };
    request.send().await.unwrap()
}

async fn bytes(service: &Service, path: &str) -> Vec<u8> {
    let answer = get(service, path, None).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

async fn json(service: &Service, path: &str) -> Value {
    serde_json::from_slice(&bytes(service, path).await).unwrap()
}

/// A released update whose fields are these.
async fn released(service: &Service, name: &str, cves: &[&str], notes: &str) -> Update {
    let mut new = new_update(&[TARGET]);
    name.clone_into(&mut new.name);
    notes.clone_into(&mut new.notes);
    new.cves = cves.iter().map(|&cve| cve.to_owned()).collect();
    let (update, _) = service.built_from(&new).await;
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "good").await.unwrap()
}

fn csaf(update: &Update) -> String {
    let year = &update.released.as_ref().unwrap().at.to_string()[..4];
    format!("/csaf/{year}/resplice-{}.json", update.id)
}

fn osv(update: &Update) -> String {
    format!("/feeds/osv/RESPLICE-{}.json", update.id)
}

/// Writes what is served under a path into a file of the directory.
async fn save(service: &Service, directory: &Path, path: &str) -> PathBuf {
    let file = directory.join(path.rsplit('/').next().unwrap());
    std::fs::write(&file, bytes(service, path).await).unwrap();
    file
}

#[tokio::test]
async fn feeds_are_for_vendors_and_people_unless_they_are_public() {
    let service = Service::start().await;
    let update = released(&service, "a fix", &["CVE-2026-1234"], "").await;
    let paths = |service: &Service| {
        let own = csaf(&update);
        let key = service.app.feed_key.fingerprint();
        vec![
            "/feeds/edge.atom".to_owned(),
            "/feeds/osv/modified_id.csv".to_owned(),
            osv(&update),
            format!("{own}.sha256"),
            format!("{own}.sha512"),
            format!("{own}.asc"),
            own,
            format!("/csaf/{}", service.app.publisher().rolie_file()),
            format!("/csaf/openpgp/{key}.asc"),
            "/.well-known/csaf/provider-metadata.json".to_owned(),
        ]
    };
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    for path in paths(&service) {
        let status = get(&service, &path, None).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        for role in [Role::Vendor, Role::Team, Role::Engineer, Role::Admin] {
            let token = service.any_token(role).await;
            let answer = get(&service, &path, Some(&token)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path} as {role}");
            let cache = answer.headers()[header::CACHE_CONTROL].to_str().unwrap();
            assert!(cache.starts_with("private"), "{path}: {cache}");
        }
        for token in [enrolled.token.clone(), service.token(Role::Worker)] {
            let status = get(&service, &path, Some(&token)).await.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let service = service
        .restart_with(|config| config.feeds = settings(true))
        .await;
    for path in paths(&service) {
        assert_eq!(get(&service, &path, None).await.status(), 200, "{path}");
    }
    for absent in [
        "/feeds/nightly.atom",
        "/feeds/edge",
        "/feeds/osv/x.json",
        "/csaf/2026/x.json",
        "/csaf/openpgp/00.asc",
        "/csaf/feed-tlp-amber.json",
        &csaf(&update).replace("/20", "/19"),
        &csaf(&update).to_uppercase().replace("/CSAF", "/csaf"),
        &format!("{}.md5", csaf(&update)),
    ] {
        assert_eq!(get(&service, absent, None).await.status(), 404, "{absent}");
    }
}

#[tokio::test]
async fn nothing_is_told_before_the_release_and_a_channel_gets_what_got_there() {
    let service = public().await;
    let (update, _) = service.built().await;
    let feed = |channel: Channel| format!("/feeds/{channel}.atom");
    let id = update.id.to_string();
    let has = async |path: &str| {
        let text = String::from_utf8(bytes(&service, path).await).unwrap();
        text.contains(&id)
    };
    let index = "/feeds/osv/modified_id.csv";
    assert!(!has(&feed(Channel::Edge)).await && !has(index).await);
    assert!(!has("/csaf/feed-tlp-white.json").await);
    assert_eq!(get(&service, &osv(&update), None).await.status(), 404);
    let engineer = service.client(Role::Engineer);
    let release = NewRelease {
        channel: Some(Channel::Candidate),
        ..NewRelease::because("internal words")
    };
    let update = engineer.release_with(update.id, &release).await.unwrap();
    assert!(has(&feed(Channel::Edge)).await && has(&feed(Channel::Candidate)).await);
    assert!(!has(&feed(Channel::Stable)).await);
    assert!(has(index).await && has("/csaf/feed-tlp-white.json").await);
    let before = json(&service, &csaf(&update)).await;
    assert_eq!(before["document"]["tracking"]["version"], "1");
    let words = "internal words";
    let promoted = engineer.promote(update.id, Channel::Stable, words).await;
    promoted.unwrap();
    assert!(has(&feed(Channel::Stable)).await);
    let after = json(&service, &csaf(&update)).await;
    assert_eq!(after["document"]["tracking"]["version"], "2");
    // What people tell each other inside stays there.
    for path in [feed(Channel::Edge), csaf(&update), osv(&update)] {
        let text = String::from_utf8(bytes(&service, &path).await).unwrap();
        assert!(!text.contains("internal words"), "{path}");
    }
}

#[tokio::test]
async fn who_has_it_already_gets_no_body() {
    let service = public().await;
    released(&service, "a fix", &[], "").await;
    let address = format!("{}/feeds/edge.atom", service.url);
    let answer = reqwest::get(&address).await.unwrap();
    let (tag, date) = (
        answer.headers()[header::ETAG].clone(),
        answer.headers()[header::LAST_MODIFIED].clone(),
    );
    let http = reqwest::Client::new();
    for (name, value) in [
        (header::IF_NONE_MATCH, tag.clone()),
        (header::IF_MODIFIED_SINCE, date),
    ] {
        let again = http.get(&address).header(name, value).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::ETAG], tag);
        assert!(again.bytes().await.unwrap().is_empty());
    }
    released(&service, "another fix", &[], "").await;
    let again = http.get(&address).header(header::IF_NONE_MATCH, tag);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::OK);
}

const HOSTILE: &str = "]]> <script>alert(1)</script> & \"quoted\" 'it' &amp; \u{202f}…";

#[tokio::test]
async fn another_reader_of_atom_sees_what_was_released() {
    let service = public().await;
    let notes = "</content><entry>\n\u{1}\u{1b}[31m";
    let first = released(
        &service,
        HOSTILE,
        &["CVE-2026-1234", "CVE-2026-1235"],
        notes,
    )
    .await;
    let second = released(&service, "a fix", &[], "").await;
    let directory = tempfile::tempdir().unwrap();
    let file = save(&service, directory.path(), "/feeds/edge.atom").await;
    let mut reader = Command::new(tool("feeds/bin/python"));
    reader
        .args(["-B", "tests/python/feeds.py", "atom"])
        .arg(file);
    let seen: Value = serde_json::from_str(&run(reader).await.unwrap()).unwrap();
    assert_eq!(seen["version"], "atom10");
    let entries = seen["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["id"], format!("urn:uuid:{}", second.id));
    assert_eq!(entries[1]["id"], format!("urn:uuid:{}", first.id));
    assert_eq!(entries[1]["title"], HOSTILE);
    let text = entries[1]["text"].as_str().unwrap();
    assert!(
        text.contains("</content><entry>\n\u{fffd}\u{fffd}[31m"),
        "{text}"
    );
    let terms = serde_json::json!(["CVE-2026-1234", "CVE-2026-1235"]);
    assert_eq!(entries[1]["terms"], terms);
    let links = &entries[1]["links"];
    assert_eq!(links["alternate"], format!("{ADDRESS}{}", csaf(&first)));
    assert_eq!(links["related"], format!("{ADDRESS}{}", osv(&first)));
}

/// Updates of all kinds that there are, released.
async fn all_kinds(service: &Service) -> Vec<Update> {
    let old = released(service, "a first fix", &["CVE-2026-1234"], "").await;
    let mut newer = new_update(&[TARGET]);
    newer.supersedes = vec![old.id];
    let (newer, _) = service.built_from(&newer).await;
    let engineer = service.client(Role::Engineer);
    let newer = engineer.release(newer.id, "").await.unwrap();
    let gone = released(service, "a bad fix", &["CVE-2026-1236"], "").await;
    for undo in [false, true] {
        let reason = "it </loses> packets".to_owned();
        let new = NewRevocation { reason, undo };
        engineer.revoke(gone.id, &new).await.unwrap();
    }
    let cves = ["CVE-2026-1234", "CVE-2026-1235", "CVE-2026-1234"];
    vec![
        gone,
        old,
        newer,
        released(service, "no CVE", &[], "notes").await,
        released(service, HOSTILE, &cves, "\u{1}</x>").await,
    ]
}

#[tokio::test]
async fn records_are_good_by_the_schema_of_osv() {
    let service = public().await;
    let updates = all_kinds(&service).await;
    let directory = tempfile::tempdir().unwrap();
    let mut check = Command::new(tool("feeds/bin/python"));
    let schema = "osv/lib/python3.11/site-packages/osv/osv-schema/validation/schema.json";
    check
        .args(["-B", "tests/python/feeds.py", "osv"])
        .arg(tool(schema));
    for update in &updates {
        check.arg(save(&service, directory.path(), &osv(update)).await);
    }
    assert_eq!(run(check).await.unwrap().trim(), updates.len().to_string());
    let index = bytes(&service, "/feeds/osv/modified_id.csv").await;
    let index = String::from_utf8(index).unwrap();
    for update in &updates {
        assert!(index.contains(&format!(",RESPLICE-{}\n", update.id)));
    }
}

#[tokio::test]
async fn documents_are_good_by_another_validator_of_csaf() {
    let service = public().await;
    let updates = all_kinds(&service).await;
    let directory = tempfile::tempdir().unwrap();
    let library = tool("csaf/node_modules/@secvisogram/csaf-validator-lib");
    let mut check = Command::new("node");
    check.arg("tests/node/csaf.mjs").arg(&library);
    for update in &updates {
        check.arg(save(&service, directory.path(), &csaf(update)).await);
    }
    // The validator must see what is wrong.
    let bad = directory.path().join("bad.json");
    let mut document = json(&service, &csaf(&updates[0])).await;
    document["vulnerabilities"][0]["remediations"] = serde_json::json!([]);
    std::fs::write(&bad, document.to_string()).unwrap();
    check.arg(&bad);
    let said = run(check).await.unwrap();
    assert_eq!(said.lines().count(), updates.len() + 1, "{said}");
    for line in said.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert!(answer["tests"].as_u64().unwrap() > 60, "{line}");
        let is_bad = answer["file"] == bad.display().to_string();
        let found = !answer["found"].as_array().unwrap().is_empty();
        assert_eq!(found, is_bad, "{line}");
    }
}

#[tokio::test]
async fn what_was_revoked_is_told_with_the_reason_and_is_no_fix_any_more() {
    let service = public().await;
    let gone = all_kinds(&service).await.remove(0);
    let document = json(&service, &csaf(&gone)).await;
    assert_eq!(document["document"]["tracking"]["version"], "3");
    let status = &document["vulnerabilities"][0]["product_status"];
    assert_eq!(status["fixed"], Value::Null);
    let remedy = &document["vulnerabilities"][0]["remediations"][0];
    assert_eq!(remedy["category"], "none_available");
    assert!(
        remedy["details"]
            .as_str()
            .unwrap()
            .contains("it </loses> packets")
    );
    let record = json(&service, &osv(&gone)).await;
    assert!(record["withdrawn"].is_string());
    let feed = String::from_utf8(bytes(&service, "/feeds/edge.atom").await).unwrap();
    assert!(feed.contains("<title>Revoked: a bad fix</title>"), "{feed}");
    assert!(feed.contains("Reason: it &lt;/loses&gt; packets"), "{feed}");
}

#[tokio::test]
async fn a_provider_names_its_feed_and_the_feed_its_documents_with_their_digests() {
    let service = public().await;
    let updates = all_kinds(&service).await;
    let metadata = json(&service, "/.well-known/csaf/provider-metadata.json").await;
    let feed = &metadata["distributions"][0]["rolie"]["feeds"][0]["url"];
    let local = |url: &Value| {
        url.as_str()
            .unwrap()
            .strip_prefix(ADDRESS)
            .unwrap()
            .to_owned()
    };
    let feed = json(&service, &local(feed)).await;
    let entries = feed["feed"]["entry"].as_array().unwrap();
    assert_eq!(entries.len(), updates.len());
    let directory = tempfile::tempdir().unwrap();
    for entry in entries {
        let own = local(&entry["content"]["src"]);
        save(&service, directory.path(), &own).await;
        for link in entry["link"].as_array().unwrap() {
            let file = save(&service, directory.path(), &local(&link["href"])).await;
            let kind = file.extension().unwrap().to_str().unwrap().to_owned();
            if let "sha256" | "sha512" = kind.as_str() {
                let mut sum = Command::new(format!("{kind}sum"));
                sum.current_dir(directory.path()).arg("--check").arg(file);
                run(sum).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn gnupg_and_sequoia_verify_an_advisory_and_refuse_an_altered_one() {
    let service = public().await;
    let update = released(&service, "a fix", &[], "").await;
    let metadata = json(&service, "/.well-known/csaf/provider-metadata.json").await;
    let key = &metadata["public_openpgp_keys"][0];
    let fingerprint = key["fingerprint"].as_str().unwrap();
    let path = key["url"].as_str().unwrap().strip_prefix(ADDRESS).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let key = save(&service, directory.path(), path).await;
    let document = save(&service, directory.path(), &csaf(&update)).await;
    let signature = format!("{}.asc", csaf(&update));
    let signature = save(&service, directory.path(), &signature).await;
    let home = directory.path().join("gnupg");
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir")
            .arg(&home)
            .args(["--batch", "--status-fd=1"]);
        gpg
    };
    std::fs::create_dir(&home).unwrap();
    let mut import = gpg();
    import.arg("--import").arg(&key);
    let said = run(import).await.unwrap();
    assert!(said.contains(&fingerprint.to_uppercase()), "{said}");
    let by_gpg = || {
        let mut verify = gpg();
        verify.arg("--verify").arg(&signature).arg(&document);
        run(verify)
    };
    let by_sequoia = || {
        let mut verify = Command::new("sqv");
        verify.arg("--keyring").arg(&key);
        verify.arg(&signature).arg(&document);
        run(verify)
    };
    let said = by_gpg().await.unwrap();
    assert!(said.contains("VALIDSIG"), "{said}");
    let said = by_sequoia().await.unwrap();
    assert_eq!(said.trim().to_lowercase(), fingerprint);
    let mut altered = std::fs::read(&document).unwrap();
    altered[20] ^= 1;
    std::fs::write(&document, altered).unwrap();
    by_gpg().await.unwrap_err();
    by_sequoia().await.unwrap_err();
}

#[tokio::test]
async fn the_key_outlives_a_restart_and_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let service = public().await;
    let first = service.app.feed_key.fingerprint();
    let file = service.data().join("feeds/openpgp.key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let service = service.restart().await;
    assert_eq!(service.app.feed_key.fingerprint(), first);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = resplice_server::feeds::read_key(&file).unwrap_err();
    assert!(format!("{refused:#}").contains("chmod 600"));
}
