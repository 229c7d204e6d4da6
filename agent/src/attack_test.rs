//! Attacks on a host and on the way to it, and the tests that are named for them.
//!
//! | attack | test |
//! |---|---|
//! | arbitrary software | `tuf/tests/attacks.rs`: `arbitrary_software_is_refused` |
//! | wrong target | there: `the_wrong_target_is_refused`; `vouch_test.rs`: `only_what_plan_and_repository_agree_on_is_taken`; `steps_test.rs`: `what_is_not_for_this_host_is_refused_with_both_values` |
//! | rollback | there: `rollback_is_refused_file_by_file_and_as_a_whole`; `vouch_test.rs`: `a_server_that_was_set_back_is_not_believed_and_says_why`; `bundle_test.rs`: `an_older_bundle_than_the_last_one_is_refused` |
//! | indefinite freeze | there: `an_indefinite_freeze_is_noticed`; `bundle_test.rs`: `an_expired_bundle_is_refused` |
//! | endless data | there: `endless_data_is_cut_off_before_it_is_in_memory` |
//! | mix-and-match | there: `mix_and_match_is_refused` |
//! | fast-forward | there: `a_fast_forward_is_undone_by_new_keys` |
//! | stolen online key | there: `stolen_online_keys_can_not_announce_software` |
//! | another repository under shared keys | there: `metadata_of_another_repository_under_shared_keys_can_not_replace_what_is_known` |
//! | a release that nobody else sees, a log that was forked or cut | `ledger_test.rs`: `a_fork_or_a_cut_log_is_refused_and_named`, `an_entry_that_is_missing_or_of_something_else_is_refused` |
//! | stolen worker key | below: `a_stolen_worker_key_is_worth_nothing_once_it_is_revoked_nor_without_the_repository` |
//! | replayed enrolment | `server/tests/service/access.rs`: `a_replayed_enrolment_is_refused_and_the_host_keeps_its_token` |
//! | fixes undone by a server without the targets keys | `revoke_test.rs`: `a_plan_alone_undoes_nothing` |
//! | another host's identity | there: `a_host_can_not_act_as_another_one` |
//! | traversing names | `tuf/tests/attacks.rs`: `traversing_target_names_are_refused_before_anything_is_asked_for`; `bundle_test.rs`: `hostile_tar_files_are_refused_before_anything_is_read_from_them` |
//! | symbolic links | below: `metadata_behind_a_symbolic_link_is_not_believed` |
//! | key files that others can read | below: `keys_that_others_can_read_are_not_used` |
//! | damaged files | `flip_test.rs`; `bundle_test.rs`: `a_flipped_bit_in_what_is_read_of_a_bundle_lets_nothing_in`; and `ten_thousand_random_byte_flips…` in `tuf/tests/attacks.rs` |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::Expected,
    rig::{Rig, package_bytes, worker},
    vouch::{self, Vouched, tests::Repository},
};
use resplice_api::{Token, package_target};
use resplice_package::{SecretKey, example};
use resplice_tuf::{Store, kept::Kept};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

#[test]
fn a_stolen_worker_key_is_worth_nothing_once_it_is_revoked_nor_without_the_repository() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let good = package_bytes("good", |_| ());
    let evil = package_bytes("evil", |_| ());
    // With the worker's key alone: the repository vouches for another package.
    let update = example::manifest().update_id;
    let name = package_target(update.parse().unwrap(), &agent.enrolment.target);
    let digest = resplice_package::sha256_hex(&good);
    let repository = Repository::new(1, &[(&name, good.len() as u64, &digest)]);
    vouch::begin(&rig.state, repository.root()).unwrap();
    let vouched = Vouched::refresh_by(&agent, &repository).unwrap();
    let (_, target) = vouched.for_this_host().remove(0);
    let expected = Expected {
        update: &update,
        target: &target,
    };
    assert_eq!(
        agent.verify(&evil, Some(expected)).unwrap_err().code,
        "digest"
    );
    assert!(agent.verify(&good, Some(expected)).is_ok());
    // With the repository as well, once the key is no longer trusted.
    agent.enrolment.worker_keys = vec![SecretKey::from_seed(&[43; 32]).public()];
    assert_ne!(agent.enrolment.worker_keys[0], worker().public());
    for package in [&good, &evil] {
        assert_eq!(agent.verify(package, None).unwrap_err().code, "package");
    }
}

#[test]
fn metadata_behind_a_symbolic_link_is_not_believed() {
    let rig = Rig::new();
    let agent = rig.agent();
    let repository = Repository::new(1, &[]);
    vouch::begin(&rig.state, repository.root()).unwrap();
    Vouched::refresh_by(&agent, &repository).unwrap();
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let path = rig.state.repository().join(format!("{role}.json"));
        let moved = rig.path("moved");
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
        let store = Store::open(&rig.state.repository()).unwrap();
        assert!(Kept::read(&store).is_err(), "{role}");
        assert!(Vouched::refresh_by(&agent, &repository).is_err(), "{role}");
        fs::remove_file(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
    }
    Vouched::refresh_by(&agent, &repository).unwrap();
}

#[test]
fn keys_that_others_can_read_are_not_used() {
    let rig = Rig::new();
    let key = rig.state.host_key();
    SecretKey::generate_file(&key).unwrap();
    rig.state
        .store_token(&Token::new("0123456789abcdef").unwrap())
        .unwrap();
    let token = rig.state.path().join("token");
    for mode in [0o640, 0o604, 0o660, 0o666] {
        let set = |mode| {
            for path in [&key, &token] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        set(mode);
        assert!(SecretKey::load(&key).is_err(), "{mode:o}");
        assert!(rig.state.token().is_err(), "{mode:o}");
        set(0o600);
        assert!(SecretKey::load(&key).is_ok() && rig.state.token().is_ok());
    }
}
