//! A record for each update in the form of OSV (schema 1.7).
//!
//! The id's prefix is not one of those that OSV lists as databases of its own:
//! these records are for whoever takes them from here.

use crate::{Publisher, Update, file, kernel};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What the ids of advisories begin with.
pub const PREFIX: &str = "RESPLICE";

/// The record of an update. One that was taken back is withdrawn.
#[must_use]
pub fn record(publisher: &Publisher, update: &Update) -> Vec<u8> {
    let mut record = json!({
        "schema_version": "1.7.0",
        "id": update.advisory(),
        "modified": update.changed().to_string(),
        "published": update.released().to_string(),
        "summary": update.name,
        "affected": update.packages.iter().map(affected).collect::<Vec<_>>(),
        "references": [
            {"type": "ADVISORY", "url": publisher.csaf(update)},
        ],
        "database_specific": {
            "update_id": update.id.to_string(),
            "channel": update.entered.last().map(|entered| entered.channel.as_str()),
        },
    });
    // One vulnerability has one record; an update that closes several is not theirs.
    let ids = if update.cves.len() == 1 {
        "aliases"
    } else {
        "related"
    };
    let (cves, others) = update.vulnerabilities();
    let all: Vec<_> = cves.into_iter().chain(others).collect();
    if !all.is_empty() {
        record[ids] = json!(all);
    }
    let mut details: Vec<String> = Vec::new();
    details.extend(update.revocation().map(|revoked| {
        let change = crate::Change::Revoked(revoked);
        format!("{}.", change.words())
    }));
    details.extend(Some(update.notes.clone()).filter(|notes| !notes.is_empty()));
    if !details.is_empty() {
        record["details"] = json!(details.join("\n\n"));
    }
    // Since the first time.
    if let Some(revoked) = update.revoked.first() {
        record["withdrawn"] = json!(revoked.at.max(update.released()).to_string());
    }
    file(&record)
}

/// A kernel that the update is for. Every version of the package that is named
/// after this kernel's release is affected: the update changes the kernel while it
/// runs, and no version of the package.
fn affected(package: &crate::Package) -> Value {
    let kernel = kernel::of_target(&package.target);
    let mut named = json!({"ecosystem": kernel.ecosystem, "name": kernel.package});
    if let Some(purl) = kernel.purl {
        named["purl"] = json!(purl);
    }
    json!({
        "package": named,
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        "database_specific": {
            "kernel_release": kernel.release,
            "target": package.target,
            "live_update": {"sha256": package.sha256, "bytes": package.bytes},
        },
    })
}

/// What there is, as OSV's own export lists it: a line for each record with the
/// time of its last change and its id, the latest change first.
#[must_use]
pub fn index(updates: &[Update]) -> Vec<u8> {
    let mut lines: Vec<(Timestamp, String)> = updates
        .iter()
        .map(|update| (update.changed(), update.advisory()))
        .collect();
    lines.sort_by(|a, b| b.cmp(a));
    let line = |(at, id): &(Timestamp, String)| format!("{at},{id}\n");
    let text: String = lines.iter().map(line).collect();
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::update::tests::{at, example, revoked};

    fn read(update: &Update) -> Value {
        let publisher = crate::publisher::tests::example();
        serde_json::from_slice(&record(&publisher, update)).unwrap()
    }

    #[test]
    fn an_update_for_one_vulnerability_is_its_alias_and_one_for_more_is_related() {
        let mut update = example();
        assert_eq!(read(&update)["aliases"], json!(["CVE-2026-72400"]));
        update.cves.push("CVE-2026-72401".to_owned());
        let record = read(&update);
        assert_eq!(record["related"].as_array().unwrap().len(), 2);
        assert_eq!(record["aliases"], Value::Null);
        update.cves.clear();
        assert_eq!(read(&update)["related"], Value::Null);
    }

    #[test]
    fn a_revoked_update_is_withdrawn_and_says_why() {
        let record = read(&revoked());
        assert_eq!(record["withdrawn"], json!(at(60).to_string()));
        assert_eq!(record["modified"], record["withdrawn"]);
        assert!(
            record["details"]
                .as_str()
                .unwrap()
                .contains("it loses packets")
        );
    }

    #[test]
    fn the_index_has_the_latest_change_first() {
        let text = String::from_utf8(index(&[example(), revoked()])).unwrap();
        let first = format!("{},{}\n", at(60), revoked().advisory());
        assert!(text.starts_with(&first), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
