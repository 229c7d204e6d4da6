//! Attacks on a package in transit or on the server's disk, each of which must
//! be refused; and the stability of what is written.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use resplice_package::{
    CORE_MODULE, Error, MAX_MANIFEST_BYTES, MAX_MEMBERS, MAX_PACKAGE_BYTES, MAX_PARTS, Manifest,
    Member, Package, REPORT, SecretKey, example, part_member, sha256_hex,
};
use std::collections::BTreeMap;

const CONTEXT: &[u8] = b"resplice-package-v1\0";

fn key() -> SecretKey {
    SecretKey::from_seed(&[42; 32])
}

fn package() -> Vec<u8> {
    Package::write(example::manifest(), example::members(), &key()).unwrap()
}

fn open(bytes: &[u8]) -> Result<Package, Error> {
    Package::open(bytes, &[key().public()])
}

/// A tar archive as an attacker would write it: any names, any order.
fn raw_archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// What a worker whose key is trusted, but whose program is bad, could write.
fn signed(manifest: &[u8], members: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let signature = key().sign(&[CONTEXT, manifest].concat());
    let signature = format!(
        "{{\"key\":\"{}\",\"signature\":\"{}\"}}",
        key().public(),
        hex::encode(signature)
    );
    let mut all: BTreeMap<&str, &[u8]> = members
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    all.insert("manifest.json", manifest);
    all.insert("signature.json", signature.as_bytes());
    raw_archive(&all.into_iter().collect::<Vec<_>>())
}

fn list(members: &BTreeMap<String, Vec<u8>>) -> Vec<Member> {
    members
        .iter()
        .map(|(name, bytes)| Member {
            name: name.clone(),
            sha256: sha256_hex(bytes),
            bytes: bytes.len() as u64,
        })
        .collect()
}

fn complete_manifest(members: &BTreeMap<String, Vec<u8>>) -> Manifest {
    Manifest {
        members: list(members),
        ..example::manifest()
    }
}

fn json(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).unwrap()
}

#[test]
fn the_bytes_of_a_package_are_stable() {
    // Golden: if this changes, every package ever published changes with it.
    assert_eq!(
        sha256_hex(&package()),
        "7e1465359bdda4b194553b0f956ffee990f41f0068ecdd4ab59af648ab3c6fb0"
    );
}

#[test]
fn what_was_written_is_read_back() {
    let package = open(&package()).unwrap();
    assert_eq!(package.manifest().id, example::ID);
    assert_eq!(package.signer(), key().public());
    assert_eq!(package.parts().unwrap()[0].bytes, b"the update module");
    assert_eq!(package.core_module().unwrap(), b"the core");
    assert_eq!(package.report().unwrap(), b"{\"functions\":1}");
    assert!(matches!(
        package.member("other"),
        Err(Error::MissingMember { .. })
    ));
}

#[test]
fn the_attackers_archive_helper_writes_what_the_writer_writes() {
    let members = example::members();
    assert_eq!(
        signed(&json(&complete_manifest(&members)), &members),
        package()
    );
}

#[test]
fn every_flipped_byte_is_refused() {
    let mut bytes = package();
    for offset in 0..bytes.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            bytes[offset] ^= mask;
            assert!(
                open(&bytes).is_err(),
                "byte {offset} ^ {mask:#x} was accepted"
            );
            bytes[offset] ^= mask;
        }
    }
    open(&bytes).unwrap();
}

#[test]
fn every_truncation_is_refused() {
    let bytes = package();
    for length in 0..bytes.len() {
        assert!(
            open(&bytes[..length]).is_err(),
            "{length} bytes were accepted"
        );
    }
}

#[test]
fn trailing_garbage_is_refused() {
    for extra in [&[0u8; 1][..], &[0; 512], &[0; 10240], b"x"] {
        let bytes = [&package()[..], extra].concat();
        assert!(matches!(open(&bytes), Err(Error::NotCanonical { .. })));
    }
}

#[test]
fn an_unknown_key_is_refused() {
    let other = SecretKey::from_seed(&[43; 32]);
    let bytes = Package::write(example::manifest(), example::members(), &other).unwrap();
    assert!(matches!(open(&bytes), Err(Error::UnknownKey { .. })));
    assert!(matches!(
        Package::open(&package(), &[]),
        Err(Error::UnknownKey { .. })
    ));
}

#[test]
fn another_keys_signature_under_a_trusted_name_is_refused() {
    let members = example::members();
    let manifest = json(&complete_manifest(&members));
    let forged = SecretKey::from_seed(&[43; 32]).sign(&[CONTEXT, &manifest].concat());
    let mut bytes = signed(&manifest, &members);
    let real = hex::encode(key().sign(&[CONTEXT, &manifest].concat()));
    let at = bytes
        .windows(128)
        .position(|w| w == real.as_bytes())
        .unwrap();
    bytes[at..at + 128].copy_from_slice(hex::encode(forged).as_bytes());
    assert!(matches!(open(&bytes), Err(Error::BadSignature)));
}

#[test]
fn a_signature_made_for_another_purpose_is_refused() {
    let members = example::members();
    let manifest = json(&complete_manifest(&members));
    let bare = key().sign(&manifest);
    let mut bytes = signed(&manifest, &members);
    let real = hex::encode(key().sign(&[CONTEXT, &manifest].concat()));
    let at = bytes
        .windows(128)
        .position(|w| w == real.as_bytes())
        .unwrap();
    bytes[at..at + 128].copy_from_slice(hex::encode(bare).as_bytes());
    assert!(matches!(open(&bytes), Err(Error::BadSignature)));
}

#[test]
fn an_extra_member_is_refused() {
    let mut members = example::members();
    let manifest = json(&complete_manifest(&members));
    members.insert("modules/extra.ko".to_owned(), b"evil".to_vec());
    assert!(matches!(
        open(&signed(&manifest, &members)),
        Err(Error::ExtraMember { name }) if name == "modules/extra.ko"
    ));
}

#[test]
fn a_duplicate_member_is_refused() {
    let bytes = package();
    // The first member again, in front of itself.
    let manifest = json(&complete_manifest(&example::members()));
    let first = &bytes[..512 + manifest.len().next_multiple_of(512)];
    let doubled = [first, &bytes].concat();
    assert!(matches!(open(&doubled), Err(Error::Archive { .. })));
    let twice = raw_archive(&[("a", b"1"), ("a", b"2")]);
    assert!(matches!(open(&twice), Err(Error::Archive { .. })));
}

#[test]
fn members_out_of_order_are_refused() {
    let swapped = raw_archive(&[("b", b"1"), ("a", b"2")]);
    assert!(matches!(open(&swapped), Err(Error::Archive { .. })));
}

#[test]
fn a_traversing_name_is_refused() {
    for name in [
        "../../etc/cron.d/x",
        "/etc/passwd",
        "modules/../../x",
        "./manifest.json",
        "a//b",
    ] {
        let bytes = raw_archive(&[(name, b"x")]);
        assert!(matches!(open(&bytes), Err(Error::BadName { .. })), "{name}");
        let mut members = example::members();
        members.insert(name.to_owned(), b"x".to_vec());
        let written = Package::write(example::manifest(), members, &key());
        assert!(matches!(written, Err(Error::BadName { .. })), "{name}");
    }
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Char,
        tar::EntryType::Directory,
        tar::EntryType::XHeader,
        tar::EntryType::GNULongName,
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_path("manifest.json").unwrap();
        header.set_link_name("report.json").unwrap();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(kind);
        header.set_cksum();
        let bytes = [&header.as_bytes()[..], &[0; 1024]].concat();
        assert!(
            matches!(open(&bytes), Err(Error::NotCanonical { .. })),
            "{kind:?}"
        );
    }
}

#[test]
fn an_oversize_package_is_refused() {
    let bytes = vec![0; MAX_PACKAGE_BYTES + 1];
    assert!(matches!(open(&bytes), Err(Error::TooLarge { .. })));
    let mut members = example::members();
    members.insert("big".to_owned(), vec![0; MAX_PACKAGE_BYTES]);
    let written = Package::write(example::manifest(), members, &key());
    assert!(matches!(written, Err(Error::TooLarge { .. })));
}

#[test]
fn a_member_that_claims_to_be_huge_is_refused() {
    let mut header = tar::Header::new_ustar();
    header.set_path("manifest.json").unwrap();
    for size in [u64::MAX, 1 << 62, MAX_PACKAGE_BYTES as u64, 513] {
        header.set_size(size);
        header.set_cksum();
        let bytes = [&header.as_bytes()[..], &[0; 1024]].concat();
        assert!(open(&bytes).is_err(), "{size}");
    }
}

#[test]
fn too_many_members_are_refused() {
    let names: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("m{n:02}")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b"x"[..])).collect();
    assert!(matches!(
        open(&raw_archive(&members)),
        Err(Error::Manifest { .. })
    ));
}

#[test]
fn an_oversize_manifest_is_refused_before_it_is_parsed() {
    let manifest = vec![b' '; MAX_MANIFEST_BYTES + 1];
    let bytes = signed(&manifest, &example::members());
    assert!(matches!(open(&bytes), Err(Error::TooLarge { .. })));
}

#[test]
fn a_wrong_format_number_is_refused() {
    let members = example::members();
    let manifest = Manifest {
        format: 1,
        ..complete_manifest(&members)
    };
    assert!(matches!(
        open(&signed(&json(&manifest), &members)),
        Err(Error::Format {
            found: 1,
            expected: 3
        })
    ));
    // A later format may have any other fields.
    let later = signed(b"{\"format\":4,\"new\":[]}", &members);
    assert!(matches!(open(&later), Err(Error::Format { found: 4, .. })));
}

#[test]
fn a_wrong_digest_or_size_is_refused_even_if_signed() {
    let members = example::members();
    let mut manifest = complete_manifest(&members);
    manifest.members[0].sha256 = sha256_hex(b"other");
    assert!(matches!(
        open(&signed(&json(&manifest), &members)),
        Err(Error::Digest { .. })
    ));
    let mut manifest = complete_manifest(&members);
    manifest.members[0].bytes += 1;
    assert!(matches!(
        open(&signed(&json(&manifest), &members)),
        Err(Error::Digest { .. })
    ));
}

#[test]
fn a_missing_member_is_refused() {
    for name in [
        part_member(example::ID, 0),
        CORE_MODULE.to_owned(),
        REPORT.to_owned(),
    ] {
        let mut members = example::members();
        let listed = json(&complete_manifest(&members));
        members.remove(&name);
        let absent = open(&signed(&listed, &members));
        assert!(matches!(absent, Err(Error::MissingMember { .. })), "{name}");
        let written = Package::write(example::manifest(), members, &key());
        assert!(
            matches!(written, Err(Error::MissingMember { .. })),
            "{name}"
        );
    }
    for only in ["manifest.json", "signature.json"] {
        assert!(matches!(
            open(&raw_archive(&[(only, b"{}")])),
            Err(Error::MissingMember { .. })
        ));
    }
    assert!(matches!(open(&[0; 1024]), Err(Error::MissingMember { .. })));
}

#[test]
fn a_second_encoding_of_a_manifest_is_refused_even_if_signed() {
    let members = example::members();
    let manifest = complete_manifest(&members);
    let spaced = serde_json::to_vec_pretty(&manifest).unwrap();
    assert!(matches!(
        open(&signed(&spaced, &members)),
        Err(Error::Manifest { .. })
    ));
    let text = String::from_utf8(json(&manifest)).unwrap();
    let unknown = text.replacen("{\"format\":3,", "{\"format\":3,\"extra\":true,", 1);
    assert_ne!(unknown, text);
    assert!(matches!(
        open(&signed(unknown.as_bytes(), &members)),
        Err(Error::Manifest { .. })
    ));
}

#[test]
fn values_that_could_mislead_a_host_are_refused_even_if_signed() {
    let members = example::members();
    let edits: [fn(&mut Manifest); 11] = [
        |m| m.supersedes = vec![m.id.clone()],
        |m| m.supersedes = vec!["resplice".to_owned()],
        |m| {
            m.supersedes = ["rsp_000000000002", "rsp_000000000001"]
                .map(str::to_owned)
                .to_vec()
        },
        |m| m.supersedes = (0..257).map(|n| format!("rsp_{n:012x}")).collect(),
        |m| m.id = "resplice".to_owned(),
        |m| m.id = "../x".to_owned(),
        |m| m.name = "\u{1b}[2Jharmless".to_owned(),
        |m| m.cves = vec!["CVE-x".to_owned()],
        |m| m.target.release = "6.1 ".to_owned(),
        |m| m.target.digest = "00".to_owned(),
        |m| m.parts[0].functions[0].name = "a\nb".to_owned(),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut manifest = complete_manifest(&members);
        edit(&mut manifest);
        let opened = open(&signed(&json(&manifest), &members));
        assert!(
            matches!(opened, Err(Error::Manifest { .. })),
            "edit {number}: {opened:?}"
        );
    }
}

/// An update of vmlinux and two modules.
fn three_parts() -> (Manifest, BTreeMap<String, Vec<u8>>) {
    let mut manifest = example::manifest();
    let mut members = example::members();
    for (number, object) in [(1, "alpha"), (2, "beta")] {
        manifest.parts.push(example::part(object));
        members.insert(part_member(example::ID, number), b"a part".to_vec());
    }
    (manifest, members)
}

#[test]
fn parts_come_with_their_modules_in_order() {
    let (manifest, members) = three_parts();
    let bytes = Package::write(manifest, members, &key()).unwrap();
    let package = open(&bytes).unwrap();
    let parts = package.parts().unwrap();
    let seen: Vec<_> = parts.iter().map(|p| (p.name.as_str(), p.object)).collect();
    let id = example::ID;
    assert_eq!(
        seen,
        [
            (id, "vmlinux"),
            (&format!("{id}_p1"), "alpha"),
            (&format!("{id}_p2"), "beta")
        ]
    );
}

#[test]
fn a_package_without_one_of_its_parts_is_refused() {
    let (manifest, members) = three_parts();
    for number in 0..3 {
        let mut members = members.clone();
        members.remove(&part_member(example::ID, number));
        let written = Package::write(manifest.clone(), members, &key());
        assert!(matches!(written, Err(Error::MissingMember { .. })));
    }
}

#[test]
fn a_part_twice_or_out_of_order_is_refused() {
    let (manifest, members) = three_parts();
    let edits: [fn(&mut Manifest); 3] = [
        |m| m.parts[2] = m.parts[1].clone(),
        |m| m.parts.swap(1, 2),
        |m| m.parts.swap(0, 1),
    ];
    for edit in edits {
        let mut manifest = manifest.clone();
        edit(&mut manifest);
        let written = Package::write(manifest, members.clone(), &key());
        assert!(matches!(written, Err(Error::Manifest { .. })));
    }
}

#[test]
fn a_foreign_module_is_refused() {
    let (manifest, members) = three_parts();
    for name in [
        part_member(example::ID, 3),
        part_member("rsp_ffffffffffff", 1),
        "modules/rootkit.ko".to_owned(),
    ] {
        let mut members = members.clone();
        members.insert(name.clone(), b"a module".to_vec());
        let written = Package::write(manifest.clone(), members, &key());
        assert!(
            matches!(written, Err(Error::ForeignModule { .. })),
            "{name}"
        );
    }
}

#[test]
fn more_parts_than_the_core_takes_are_refused() {
    let mut manifest = example::manifest();
    let mut members = example::members();
    for number in 1..=MAX_PARTS {
        manifest.parts.push(example::part(&format!("m{number:03}")));
        members.insert(part_member(example::ID, number), b"a part".to_vec());
    }
    let written = Package::write(manifest, members, &key());
    assert!(matches!(written, Err(Error::Manifest { .. })));
}
