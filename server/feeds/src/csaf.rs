//! CSAF 2.0: a document of the profile VEX for each update (section 4.5), the
//! ROLIE feed of all of them (section 7.1.15), and what the provider says of
//! itself (section 7.1.7).

use crate::{Change, Publisher, Update, file, kernel};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use crate::publisher::csaf_path as path;

/// The document of an update. Whatever happens to the update makes a new revision.
#[must_use]
pub fn document(publisher: &Publisher, update: &Update) -> Vec<u8> {
    file(&json!({
        "document": head(publisher, update),
        "product_tree": product_tree(publisher, update),
        "vulnerabilities": vulnerabilities(publisher, update),
    }))
}

fn head(publisher: &Publisher, update: &Update) -> Value {
    let changes = update.changes();
    let revision = |(index, (at, change)): (usize, &(Timestamp, Change<'_>))| {
        json!({
            "date": at.to_string(),
            "number": (index + 1).to_string(),
            "summary": format!("{}.", change.words()),
        })
    };
    let revisions: Vec<Value> = changes.iter().enumerate().map(revision).collect();
    let title = match update.revocation() {
        Some(_) => format!("Revoked: {}", update.name),
        None => update.name.clone(),
    };
    let mut notes = vec![json!({
        "category": "summary",
        "title": "About this document",
        "text": "It is about a live update: one that changes a running kernel, without a reboot. \
                 A kernel is fixed while the update is in effect there.",
    })];
    if !update.notes.is_empty() {
        notes.push(json!({"category": "description", "title": "Notes", "text": update.notes}));
    }
    let standing = |newer: &&crate::Successor| newer.revoked.is_none();
    let successors = update.superseded_by.iter().filter(standing).map(|newer| {
        let note = format!("The update {} takes the place of this one.", newer.id);
        json!({"category": "general", "title": "Superseded", "text": note})
    });
    notes.extend(successors);
    json!({
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "lang": "en",
        "title": title,
        "distribution": {"tlp": {"label": publisher.tlp()}},
        "publisher": publisher_of(publisher),
        "notes": notes,
        "references": [
            {"category": "self", "summary": "This document", "url": publisher.csaf(update)},
            {"category": "external", "summary": "The same in the form of OSV", "url": publisher.osv(update)},
        ],
        "tracking": {
            "id": update.advisory(),
            "status": "final",
            "version": revisions.len().to_string(),
            "initial_release_date": update.released().to_string(),
            "current_release_date": update.changed().to_string(),
            "revision_history": revisions,
            "generator": {"engine": {"name": "Resplice", "version": env!("CARGO_PKG_VERSION")}},
        },
    })
}

fn publisher_of(publisher: &Publisher) -> Value {
    let mut value = json!({
        "category": "vendor",
        "name": publisher.name,
        "namespace": publisher.address,
    });
    if let Some(contact) = &publisher.contact {
        value["contact_details"] = json!(contact);
    }
    value
}

/// The product ids of a package: the kernel, and the kernel with the update in it.
fn ids(index: usize) -> (String, String, String) {
    let number = index + 1;
    (
        format!("kernel-{number}"),
        format!("update-{number}"),
        format!("updated-kernel-{number}"),
    )
}

fn product_tree(publisher: &Publisher, update: &Update) -> Value {
    let (mut kernels, mut builds, mut relationships) = (Vec::new(), Vec::new(), Vec::new());
    for (index, package) in update.packages.iter().enumerate() {
        let kernel = kernel::of_target(&package.target);
        let (kernel_id, update_id, both) = ids(index);
        let name = format!("Linux kernel {} of {}", kernel.release, kernel.vendor);
        let build = format!("Live update {} for {}", update.id, kernel.release);
        let hashes = json!({"hashes": [{
            "filename": resplice_api::package_target(update.id, &package.target),
            "file_hashes": [{"algorithm": "sha256", "value": package.sha256}],
        }]});
        let mut product = json!({"name": name, "product_id": kernel_id});
        if let Some(purl) = kernel.purl {
            product["product_identification_helper"] = json!({"purl": purl});
        }
        kernels.push(json!({
            "category": "vendor",
            "name": kernel.vendor,
            "branches": [{
                "category": "product_name",
                "name": "Linux kernel",
                "branches": [{"category": "product_version", "name": kernel.release, "product": product}],
            }],
        }));
        builds.push(json!({
            "category": "product_version",
            "name": format!("{} for {}", update.id, kernel.release),
            "product": {
                "name": build,
                "product_id": update_id,
                "product_identification_helper": hashes,
            },
        }));
        relationships.push(json!({
            "category": "installed_on",
            "product_reference": update_id,
            "relates_to_product_reference": kernel_id,
            "full_product_name": {
                "name": format!("{build} in effect on the {name}"),
                "product_id": both,
                "product_identification_helper": hashes,
            },
        }));
    }
    let mut branches = merged(kernels);
    branches.push(json!({
        "category": "vendor",
        "name": publisher.name,
        "branches": [{"category": "product_name", "name": "Live update", "branches": builds}],
    }));
    json!({"branches": branches, "relationships": relationships})
}

/// One branch for each vendor, with all of its kernels.
fn merged(vendors: Vec<Value>) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for mut vendor in vendors {
        let kernels = vendor["branches"][0]["branches"].take();
        match merged
            .iter_mut()
            .find(|seen| seen["name"] == vendor["name"])
        {
            Some(seen) => {
                if let (Some(all), Value::Array(more)) =
                    (seen["branches"][0]["branches"].as_array_mut(), kernels)
                {
                    all.extend(more);
                }
            }
            None => {
                vendor["branches"][0]["branches"] = kernels;
                merged.push(vendor);
            }
        }
    }
    merged
}

/// What the update closes: its CVE ids, or the update itself if it has none.
fn vulnerabilities(publisher: &Publisher, update: &Update) -> Vec<Value> {
    let (cves, others) = update.vulnerabilities();
    let own = update.advisory();
    let mut all: Vec<Value> = cves.iter().map(|cve| json!({"cve": cve})).collect();
    let foreign = others
        .iter()
        .map(|id| ("Named by who made the update", *id));
    let foreign: Vec<_> = if all.is_empty() && others.is_empty() {
        vec![("Resplice", own.as_str())]
    } else {
        foreign.collect()
    };
    all.extend(
        foreign
            .into_iter()
            .map(|(system, id)| json!({"ids": [{"system_name": system, "text": id}]})),
    );
    for vulnerability in &mut all {
        vulnerability["notes"] = json!([
            {"category": "description", "title": "What the update says", "text": update.name},
        ]);
        describe(vulnerability, publisher, update);
    }
    all
}

/// How the products stand. Of an update that was taken back nobody vouches for the
/// fix any more, and it is no remedy.
fn describe(vulnerability: &mut Value, publisher: &Publisher, update: &Update) {
    let (mut kernels, mut updated) = (Vec::new(), Vec::new());
    for index in 0..update.packages.len() {
        let (kernel, _, both) = ids(index);
        kernels.push(kernel);
        updated.push(both);
    }
    let remediation = match update.revocation() {
        None => json!({
            "category": "vendor_fix",
            "date": update.released().to_string(),
            "details": format!("Apply the live update {}: `resplice apply` on the host.", update.id),
            "product_ids": kernels,
            "restart_required": {"category": "none"},
            "url": publisher.csaf(update),
        }),
        Some(revoked) => json!({
            "category": "none_available",
            "date": revoked.at.max(update.released()).to_string(),
            "details": format!("{}.", Change::Revoked(revoked).words()),
            "product_ids": (kernels.iter().chain(&updated).collect::<Vec<_>>()),
        }),
    };
    let status = match update.revocation() {
        None => "fixed",
        Some(_) => "under_investigation",
    };
    vulnerability["product_status"] = json!({"known_affected": kernels, status: updated});
    vulnerability["remediations"] = json!([remediation]);
}

/// The ROLIE feed of all documents, the latest change first.
#[must_use]
pub fn rolie(publisher: &Publisher, updates: &[Update]) -> Vec<u8> {
    let mut newest: Vec<&Update> = updates.iter().collect();
    newest.sort_by_key(|update| (std::cmp::Reverse(update.changed()), update.id));
    let entry = |update: &&Update| {
        let own = publisher.csaf(update);
        json!({
            "id": update.advisory(),
            "title": update.name,
            "link": [
                {"rel": "self", "href": own},
                {"rel": "hash", "href": format!("{own}.sha256")},
                {"rel": "hash", "href": format!("{own}.sha512")},
                {"rel": "signature", "href": format!("{own}.asc")},
            ],
            "published": update.released().to_string(),
            "updated": update.changed().to_string(),
            "content": {"type": "application/json", "src": own},
            "format": {
                "schema": "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json",
                "version": "2.0",
            },
        })
    };
    let label = publisher.tlp();
    file(&json!({"feed": {
        "id": format!("resplice-csaf-feed-tlp-{}", label.to_lowercase()),
        "title": format!("Live kernel updates (TLP:{label})"),
        "link": [{"rel": "self", "href": publisher.rolie()}],
        "category": [{"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"}],
        "updated": changed(updates).to_string(),
        "entry": newest.iter().map(entry).collect::<Vec<_>>(),
    }}))
}

/// When something happened to an update last.
fn changed(updates: &[Update]) -> Timestamp {
    let last = updates.iter().map(Update::changed).max();
    last.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What the provider says of itself. It is a trusted provider: each document has
/// hashes and a signature.
#[must_use]
pub fn provider_metadata(publisher: &Publisher, fingerprint: &str, updates: &[Update]) -> Vec<u8> {
    let label = publisher.tlp();
    file(&json!({
        "canonical_url": publisher.metadata(),
        "metadata_version": "2.0",
        "role": "csaf_trusted_provider",
        "last_updated": changed(updates).to_string(),
        "list_on_CSAF_aggregators": publisher.public,
        "mirror_on_CSAF_aggregators": publisher.public,
        "publisher": publisher_of(publisher),
        "public_openpgp_keys": [
            {"fingerprint": fingerprint, "url": publisher.key(fingerprint)},
        ],
        "distributions": [{"rolie": {"feeds": [{
            "summary": format!("All live kernel updates (TLP:{label})"),
            "tlp_label": label,
            "url": publisher.rolie(),
        }]}}],
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::update::tests::{at, example, revoked};

    fn read(update: &Update) -> Value {
        let publisher = crate::publisher::tests::example();
        serde_json::from_slice(&document(&publisher, update)).unwrap()
    }

    #[test]
    fn a_kernel_is_affected_and_fixed_with_the_update_in_effect() {
        let document = read(&example());
        let status = &document["vulnerabilities"][0]["product_status"];
        assert_eq!(status["known_affected"], json!(["kernel-1", "kernel-2"]));
        let fixed = json!(["updated-kernel-1", "updated-kernel-2"]);
        assert_eq!(status["fixed"], fixed);
        let remedy = &document["vulnerabilities"][0]["remediations"][0];
        assert_eq!(remedy["category"], "vendor_fix");
        let vendors = document["product_tree"]["branches"].as_array().unwrap();
        assert_eq!(vendors.len(), 2, "one of both kernels, one of the updates");
        let kernels = vendors[0]["branches"][0]["branches"].as_array().unwrap();
        assert_eq!(kernels.len(), 2);
    }

    #[test]
    fn a_revocation_is_a_revision_after_which_there_is_no_fix() {
        let (before, after) = (read(&example()), read(&revoked()));
        assert_eq!(before["document"]["tracking"]["version"], "1");
        let tracking = &after["document"]["tracking"];
        assert_eq!(tracking["version"], "2");
        assert_eq!(tracking["current_release_date"], at(60).to_string());
        let vulnerability = &after["vulnerabilities"][0];
        assert_eq!(vulnerability["product_status"]["fixed"], Value::Null);
        let remedy = &vulnerability["remediations"][0];
        assert_eq!(remedy["category"], "none_available");
        assert!(
            remedy["details"]
                .as_str()
                .unwrap()
                .contains("it loses packets")
        );
    }

    #[test]
    fn a_revocation_that_goes_further_is_another_revision() {
        let mut update = revoked();
        let mut further = update.revoked[0].clone();
        update.revoked[0].undo = false;
        further.at = at(90);
        update.revoked.push(further);
        let document = read(&update);
        assert_eq!(document["document"]["tracking"]["version"], "3");
        let details = &document["vulnerabilities"][0]["remediations"][0]["details"];
        assert!(details.as_str().unwrap().contains("hosts undo it"));
    }

    #[test]
    fn what_has_no_cve_has_the_updates_own_id() {
        let mut update = example();
        update.cves.clear();
        let document = read(&update);
        let ids = &document["vulnerabilities"][0]["ids"];
        assert_eq!(ids[0]["text"], update.advisory());
        update.cves = vec!["GHSA-1".to_owned()];
        let ids = read(&update)["vulnerabilities"][0]["ids"].clone();
        assert_eq!(ids[0]["text"], "GHSA-1");
    }

    #[test]
    fn what_is_not_public_is_amber() {
        let mut publisher = crate::publisher::tests::example();
        publisher.public = false;
        let bytes = document(&publisher, &example());
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            document["document"]["distribution"]["tlp"]["label"],
            "AMBER"
        );
        let bytes = provider_metadata(&publisher, "ab", &[]);
        let metadata: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(metadata["list_on_CSAF_aggregators"], false);
        let url = &metadata["distributions"][0]["rolie"]["feeds"][0]["url"];
        assert_eq!(url, "https://updates.example.org/csaf/feed-tlp-amber.json");
    }

    #[test]
    fn the_same_update_gives_the_same_bytes_at_its_address() {
        let publisher = crate::publisher::tests::example();
        assert_eq!(
            document(&publisher, &example()),
            document(&publisher, &example())
        );
        let path = path(&example());
        assert_eq!(
            path,
            "2026/resplice-01990000-0000-7000-8000-000000000001.json"
        );
    }
}
