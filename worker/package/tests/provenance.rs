//! Attacks on what is said of a package's origin, and its form for others.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic)]

use base64::{Engine, engine::general_purpose::STANDARD};
use resplice_package::{
    Error, MAX_PROVENANCE_BYTES, Package, Provenance, PublicKey, SecretKey, example,
    provenance::{Dependency, MODULE_SOURCES, PATCH},
};
use serde_json::{Value, json};

fn key() -> SecretKey {
    SecretKey::from_seed(&[42; 32])
}

fn package() -> Package {
    let bytes = Package::write(example::manifest(), example::members(), &key()).unwrap();
    Package::open(&bytes, &[key().public()]).unwrap()
}

fn provenance() -> Vec<u8> {
    Provenance::write(&package(), example::told(), &key()).unwrap()
}

fn open(bytes: &[u8]) -> Result<Provenance, String> {
    Provenance::open(bytes, &[key().public()]).map_err(|error| error.to_string())
}

fn payload(envelope: &[u8]) -> Value {
    let envelope: Value = serde_json::from_slice(envelope).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap());
    serde_json::from_slice(&payload.unwrap()).unwrap()
}

/// What a worker whose key is trusted, but whose program is bad, could write.
fn signed(statement: &Value, key: &SecretKey) -> Vec<u8> {
    let kind = "application/vnd.in-toto+json";
    let payload = statement.to_string();
    let message = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let signature = STANDARD.encode(key.sign(message.as_bytes()));
    let (payload, key) = (STANDARD.encode(payload), key.public());
    format!(
        r#"{{"payloadType":"{kind}","payload":"{payload}","signatures":[{{"keyid":"{key}","sig":"{signature}"}}]}}"#
    )
    .into_bytes()
}

#[test]
fn it_is_an_in_toto_statement_with_slsa_provenance() {
    let statement = payload(&provenance());
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subject = &statement["subject"][0];
    assert_eq!(subject["digest"]["sha256"], package().digest());
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["resolvedDependencies"][0]["name"], PATCH);
    let builder = &statement["predicate"]["runDetails"]["builder"];
    assert_eq!(
        builder["id"],
        format!("urn:resplice:worker:ed25519:{}", key().public())
    );
    assert_eq!(builder["version"]["resplice-worker"], "0.1.0");
    let opened = open(&provenance()).unwrap();
    opened.vouches_for(&package()).unwrap();
    assert_eq!(
        opened.digest_of(MODULE_SOURCES),
        Some("33".repeat(32).as_str())
    );
    assert_eq!(opened.built_by(), "resplice-worker 0.1.0");
}

#[test]
fn no_byte_of_it_can_be_changed() {
    let good = provenance();
    for at in 0..good.len() {
        for bit in [1, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            assert!(open(&bad).is_err(), "byte {at}, bit {bit}");
        }
    }
    let mut longer = good.clone();
    longer.push(b'\n');
    assert!(open(&longer).is_err());
    assert!(open(&good[..good.len() - 1]).is_err());
}

#[test]
fn a_statement_of_another_key_is_refused() {
    let other = SecretKey::from_seed(&[43; 32]);
    let statement = payload(&provenance());
    let foreign = signed(&statement, &other);
    assert!(open(&foreign).unwrap_err().contains("not trusted"));
    // Trusted, but it says that somebody else has built.
    let trusted = [key().public(), other.public()];
    let error = Provenance::open(&foreign, &trusted).unwrap_err();
    assert!(error.to_string().contains("builder"), "{error}");
    // Trusted and honest, but the package is not its own.
    let mut own = statement;
    own["predicate"]["runDetails"]["builder"]["id"] =
        json!(format!("urn:resplice:worker:ed25519:{}", other.public()));
    let own = Provenance::open(&signed(&own, &other), &trusted).unwrap();
    let error = own.vouches_for(&package()).unwrap_err();
    assert!(
        error.to_string().contains("another one the package"),
        "{error}"
    );
}

#[test]
fn what_contradicts_the_package_is_refused() {
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil); 5] = [
        ("it is about", |s| {
            s["subject"][0]["digest"]["sha256"] = json!("00".repeat(32));
        }),
        ("it is about", |s| s["subject"][0]["name"] = json!("x.rspl")),
        ("parameters", |s| {
            s["predicate"]["buildDefinition"]["externalParameters"]["target"] = json!("debian:x");
        }),
        ("parameters", |s| {
            s["predicate"]["buildDefinition"]["externalParameters"]["cves"] = json!([]);
        }),
        ("does not list patch", |s| {
            s["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"] =
                json!("00".repeat(32));
        }),
    ];
    for (what, spoil) in cases {
        let mut statement = payload(&provenance());
        spoil(&mut statement);
        let opened = open(&signed(&statement, &key())).unwrap();
        let error = opened.vouches_for(&package()).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn what_is_no_such_statement_is_refused() {
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil); 7] = [
        ("statement", |s| {
            s["_type"] = json!("https://in-toto.io/Statement/v0.1")
        }),
        ("predicate", |s| {
            s["predicateType"] = json!("https://slsa.dev/provenance/v0.2")
        }),
        ("unknown field", |s| s["more"] = json!(1)),
        ("build", |s| {
            s["predicate"]["buildDefinition"]["buildType"] = json!("urn:resplice:build:v2");
        }),
        ("digest", |s| {
            s["predicate"]["buildDefinition"]["resolvedDependencies"][1]["digest"]["sha256"] =
                json!("AA".repeat(32));
        }),
        ("input", |s| {
            let all = &mut s["predicate"]["buildDefinition"]["resolvedDependencies"];
            let twice = json!({"name": PATCH, "digest": {"sha256": "44".repeat(32)}});
            all.as_array_mut().unwrap().push(twice);
        }),
        ("sandbox", |s| {
            s["predicate"]["buildDefinition"]["internalParameters"]["sandbox"] = json!("\u{1b}[2J");
        }),
    ];
    for (what, spoil) in cases {
        let mut statement = payload(&provenance());
        spoil(&mut statement);
        let error = open(&signed(&statement, &key())).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn a_signature_of_another_kind_is_no_signature_here() {
    // A package's signature is over other bytes: neither passes for the other.
    let mut envelope: Value = serde_json::from_slice(&provenance()).unwrap();
    let payload = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let message = [b"resplice-package-v1\0".as_slice(), &payload].concat();
    envelope["signatures"][0]["sig"] = json!(STANDARD.encode(key().sign(&message)));
    let bytes = serde_json::to_vec(&envelope).unwrap();
    assert!(open(&bytes).unwrap_err().contains("altered"));
    envelope["payloadType"] = json!("application/json");
    assert!(open(&serde_json::to_vec(&envelope).unwrap()).is_err());
}

#[test]
fn a_large_one_is_refused_before_it_is_read() {
    let large = vec![b' '; MAX_PROVENANCE_BYTES + 1];
    let trusted: [PublicKey; 0] = [];
    let error = Provenance::open(&large, &trusted).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
    let mut told = example::told();
    told.more = (0..3000)
        .map(|n| Dependency::new(format!("input {n}"), "55".repeat(32)))
        .collect();
    assert!(Provenance::write(&package(), told, &key()).is_err());
}

#[test]
fn another_build_is_the_same_package_only_if_all_its_bytes_are() {
    let bytes = Package::write(example::manifest(), example::members(), &key()).unwrap();
    let package = package();
    let again = package
        .rebuilt(example::manifest(), example::members())
        .unwrap();
    assert!(again == bytes);
    let mut members = example::members();
    members.insert("report.json".to_owned(), b"{\"functions\":2}".to_vec());
    let other = package.rebuilt(example::manifest(), members).unwrap();
    assert!(other != bytes);
    assert!(Package::open(&other, &[key().public()]).is_err());
}
