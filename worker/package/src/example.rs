//! A small, fixed package for the tests of this crate and of those that use it.

use crate::{
    CORE_MODULE, FORMAT, Function, Input, Manifest, Part, REPORT, Target, part_member,
    provenance::{Dependency, MODULE_SOURCES, Metadata, Set, Told},
};
use std::collections::BTreeMap;

/// The example's id.
pub const ID: &str = "rsp_00112233aabb";

/// A manifest as a worker would write it.
#[must_use]
pub fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        id: ID.to_owned(),
        update_id: "0199b1a2-0000-7000-8000-000000000001".to_owned(),
        name: "ipv6: check the routing header's length".to_owned(),
        cves: vec!["CVE-2026-72400".to_owned()],
        supersedes: vec!["rsp_0011aabbccdd".to_owned()],
        target: Target {
            id: "debian:6.1.0-50-cloud-amd64".to_owned(),
            release: "6.1.0-50-cloud-amd64".to_owned(),
            package_version: "6.1.176-1".to_owned(),
            digest: "11".repeat(32),
        },
        parts: vec![part("vmlinux")],
        members: Vec::new(),
        built_by: "resplice-worker 0.1.0".to_owned(),
        inputs: vec![Input {
            name: "patch".to_owned(),
            sha256: "22".repeat(32),
        }],
    }
}

/// A part that replaces one function of a kernel object.
#[must_use]
pub fn part(object: &str) -> Part {
    Part {
        object: object.to_owned(),
        functions: vec![Function {
            name: "seg6_validate_srh".to_owned(),
            unit: "net/ipv6/seg6.c".to_owned(),
            old_size: 251,
            new_size: 270,
        }],
    }
}

/// Members for it; the modules are not real ones.
#[must_use]
pub fn members() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        (part_member(ID, 0), b"the update module".to_vec()),
        (CORE_MODULE.to_owned(), b"the core".to_vec()),
        (REPORT.to_owned(), b"{\"functions\":1}".to_vec()),
    ])
}

/// What a worker would tell of the example's build.
#[must_use]
pub fn told() -> Told {
    Told {
        set: Set {
            sandbox: "local".to_owned(),
            cpus: vec!["max".to_owned()],
            modules_signed: false,
        },
        more: vec![Dependency::new(MODULE_SOURCES, "33".repeat(32))],
        metadata: Metadata {
            invocation_id: "local".to_owned(),
            started_on: "2026-01-02T03:04:05Z".to_owned(),
            finished_on: "2026-01-02T03:05:06Z".to_owned(),
        },
    }
}
