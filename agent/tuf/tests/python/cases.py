"""What a client of The Update Framework must do, case by case, against repositories that python-tuf writes.

cases.py SHIM [WORD…]: runs the cases whose names contain one of the words, or all. Says which fail; exits 1 then.
The program is run as the conformance suite runs a client: its exit code, the metadata that it keeps, the targets that
it stores and the files that it asks for are all that is looked at.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tuf.api.metadata import Metadata

from repository import TOP, Repository, in_days, new_key

CASES = {}


def case(*parameters):
    """Registers a case, once for each parameter."""

    def register(function):
        name = function.__name__.replace("_", "-")
        if parameters:
            for parameter in parameters:
                CASES[f"{name}[{parameter}]"] = partial(function, parameter=parameter)
        else:
            CASES[name] = function
        return function

    return register


class Client:
    """The program under test with its directories, and a repository for it."""

    def __init__(self, **options):
        self.repo = Repository(**options)
        self.home = tempfile.mkdtemp()
        self.metadata = os.path.join(self.home, "metadata")
        self.targets = os.path.join(self.home, "targets")
        os.mkdir(self.metadata)
        os.mkdir(self.targets)
        self.said = ""

    def close(self):
        self.repo.close()
        shutil.rmtree(self.home)

    def run(self, *arguments):
        command = [SHIM, "--metadata-dir", self.metadata, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.said = done.stderr
        assert done.returncode in (0, 1), f"exit code {done.returncode}: {done.stderr}"
        return done.returncode == 0

    def init(self, root=None):
        path = os.path.join(self.home, "root.json")
        with open(path, "wb") as file:
            file.write(root or self.repo.first_root)
        return self.run("init", path)

    def refresh(self):
        return self.run("--metadata-url", f"{self.repo.url}/metadata/", "refresh")

    def download(self, name):
        return self.run(
            "--metadata-url", f"{self.repo.url}/metadata/", "--target-name", name,
            "--target-base-url", f"{self.repo.url}/targets/", "--target-dir", self.targets, "download",
        )  # fmt: skip

    def kept(self):
        """Role and version of all that is kept; nothing but metadata may lie there."""
        return {
            name.removesuffix(".json"): Metadata.from_file(os.path.join(self.metadata, name)).signed.version
            for name in sorted(os.listdir(self.metadata))
        }

    def bytes_of(self, role):
        with open(os.path.join(self.metadata, f"{role}.json"), "rb") as file:
            return file.read()

    def keep(self, role, data):
        with open(os.path.join(self.metadata, f"{role}.json"), "wb") as file:
            file.write(data)

    def stored(self):
        return sorted(
            open(os.path.join(self.targets, name), "rb").read() for name in os.listdir(self.targets)
        )

    def begin(self):
        assert self.init(), self.said
        assert self.refresh(), self.said
        self.repo.asked.clear()

    def accepts(self):
        assert self.refresh(), self.said

    def refuses(self, *words):
        before = self.kept()
        assert not self.refresh(), "it was accepted"
        for word in words:
            assert word in self.said, f"{word!r} is not in {self.said!r}"
        return before


def versions(root, timestamp, snapshot, targets):
    return {"root": root, "snapshot": snapshot, "targets": targets, "timestamp": timestamp}


def alter(repo, role, change):
    """Changes what a published file says without signing it anew."""
    path = repo.path(role)
    value = json.loads(repo.files[path])
    change(value)
    repo.files[path] = json.dumps(value, separators=(",", ":")).encode()


# --- The workflow -----------------------------------------------------------------------
@case()
def the_first_refresh_asks_for_each_role_once(c):
    assert c.init()
    assert c.repo.asked == [] and c.kept() == {"root": 1}
    c.accepts()
    assert c.repo.metadata_asked() == ["2.root", "timestamp", "1.snapshot", "1.targets"]
    assert c.kept() == versions(1, 1, 1, 1)


@case()
def with_nothing_new_only_root_and_timestamp_are_asked_for(c):
    c.begin()
    c.accepts()
    assert c.repo.metadata_asked() == ["2.root", "timestamp"]


@case()
def a_new_timestamp_alone_is_kept(c):
    c.begin()
    c.repo.publish("timestamp")
    c.accepts()
    assert c.kept() == versions(1, 2, 1, 1)
    assert c.repo.metadata_asked() == ["2.root", "timestamp"]


@case()
def files_are_kept_as_they_came(c):
    for role in ("targets", "snapshot", "timestamp"):
        c.repo.publish(role)
        alter(c.repo, role, lambda value: value.update({"note": "\u00fcber", "a": [1, 2]}))
    c.begin()
    for role in ("targets", "snapshot", "timestamp"):
        assert c.bytes_of(role) == c.repo.get(role)
    assert c.bytes_of("root") == c.repo.first_root


@case()
def a_download_refreshes_first(c):
    assert c.init()
    assert not c.download("no such thing")
    assert c.kept() == versions(1, 1, 1, 1)


@case()
def unknown_members_are_let_be_and_are_signed(c):
    c.begin()
    root = c.repo["root"]
    root.unrecognized_fields["x"] = {"b": [True, None], "a": "\u20ac\"\\\n"}
    root.keys[root.roles["root"].keyids[0]].unrecognized_fields["x"] = 1
    root.roles["root"].unrecognized_fields["x"] = "y"
    c.repo.publish("root")
    c.accepts()
    assert c.kept()["root"] == 2
    c.repo.publish("root")
    alter(c.repo, "root", lambda value: value["signed"].update({"x": 1}))
    c.refuses("signed by 0")


@case()
def a_repository_without_consistent_snapshots_works(c):
    c.close()
    c.__init__(consistent=False)
    c.repo.add_target("a/b", b"b")
    c.repo.publish(*TOP)
    c.begin()
    assert c.download("a/b"), c.said
    assert c.stored() == [b"b"]


# --- Root -------------------------------------------------------------------------------
@case("version", "expires", "keys", "roles", "_type", "spec_version")
def an_initial_root_without_a_member_is_refused_and_nothing_is_asked(c, parameter):
    value = json.loads(c.repo.first_root)
    del value["signed"][parameter]
    assert not c.init(json.dumps(value).encode())
    assert not c.refresh()
    assert c.repo.asked == []


@case()
def an_initial_root_that_nobody_signed_is_refused_and_nothing_is_asked(c):
    value = json.loads(c.repo.first_root)
    value["signatures"][0]["sig"] = "00" * 64
    c.init(json.dumps(value).encode())
    assert not c.refresh()
    assert c.repo.asked == []


ROTATIONS = {
    # versions of root: keys, threshold, signers; and how many are accepted
    "one key to another": ([([1], 1, [1]), ([2], 1, [1, 2]), ([2], 1, [2])], 3),
    "with signatures of strangers": ([([1], 1, [3, 1, 4]), ([2], 1, [3, 2, 1, 4]), ([2], 1, [3, 2, 4])], 3),
    "three of five in all mixtures": ([([0, 1, 2, 3, 4], 3, s) for s in ([0, 2, 4], [0, 4, 1], [0, 1, 3])], 3),
    "one of five": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 1])], 2),
    "all of five": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]), ([5, 6, 7, 8, 9], 3, [5, 6, 7])], 3),
    "threshold up": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [1, 2])], 2),
    "threshold down": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1, 2]), ([1, 2, 3], 1, [1])], 3),
    "not signed by the old key": ([([1], 1, [1]), ([2], 1, [2, 3])], 1),
    "not signed by the new key": ([([1], 1, [1]), ([2], 1, [1, 3])], 1),
    "too few new keys": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4])], 1),
    "too few old keys": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 5])], 1),
    "the new threshold is not reached": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [2])], 1),
    "the old threshold is not reached": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1])], 1),
    "the second of three is wrong": ([([1], 1, [1]), ([1], 1, [2]), ([1], 1, [1])], 1),
}


@case(*ROTATIONS)
def root_rotation(c, parameter):
    roots, accepted = ROTATIONS[parameter]
    keys = [new_key() for _ in range(10)]
    repo = c.repo
    repo["root"].version = 0
    for ids, threshold, signers in roots:
        repo["root"].roles["root"].keyids.clear()
        repo["root"].roles["root"].threshold = threshold
        for at in ids:
            repo["root"].add_key(keys[at].public_key, "root")
        repo.signers["root"] = [keys[at] for at in signers]
        repo.publish("root")
    assert c.init(repo.get("root", 1)), c.said
    assert c.refresh() == (accepted == len(roots)), c.said
    assert c.bytes_of("root") == repo.get("root", accepted)


@case()
def a_root_version_that_is_left_out_is_refused(c):
    c.begin()
    c.repo["root"].version += 1
    c.repo.publish("root")
    c.repo.files["metadata/2.root.json"] = c.repo.files.pop("metadata/3.root.json")
    c.refuses("version 2 was announced")
    assert c.kept()["root"] == 1


@case()
def an_expired_root_on_the_way_is_passed_and_as_the_newest_refused(c):
    c.begin()
    c.repo["root"].expires = in_days(-1)
    c.repo.publish("root")
    c.repo["root"].expires = in_days(9)
    c.repo.publish("root")
    c.accepts()
    c.repo["root"].expires = in_days(-1)
    c.repo.publish("root")
    c.repo.publish(*TOP)
    c.refuses("root.json has expired")
    # Step 5.3.10 comes after the root is kept, and before anything else is asked for.
    assert c.kept() == versions(4, 1, 1, 1)
    assert c.repo.metadata_asked()[-1] == "5.root"


@case()
def roots_without_end_are_not_followed_without_end(c):
    assert c.init()
    for _ in range(300):
        c.repo.publish("root")
    c.refresh()
    assert c.kept()["root"] == 257


# --- Signatures and keys ----------------------------------------------------------------
@case("root", "timestamp", "snapshot", "targets")
def what_is_not_signed_is_refused_and_nothing_after_it_is_kept(c, parameter):
    c.repo.signers[parameter] = []
    if parameter == "root":
        c.repo.publish("root")
    else:
        c.repo.publish(*TOP)
    assert c.init()
    c.refuses("signed by 0 of the keys")
    order = ["root", "timestamp", "snapshot", "targets"]
    known = order[: max(1, order.index(parameter))]
    assert sorted(c.kept()) == sorted(known), c.kept()
    assert c.kept()["root"] == 1


@case("timestamp", "snapshot", "targets")
def a_role_is_signed_by_its_own_keys_and_enough_of_them(c, parameter):
    c.begin()
    repo = c.repo
    keys = [new_key() for _ in range(6)]
    role = repo["root"].roles[parameter]

    def sign(ids, threshold, signers):
        role.keyids.clear()
        role.threshold = threshold
        for at in ids:
            repo["root"].add_key(keys[at].public_key, parameter)
        repo.signers[parameter] = [keys[at] for at in signers]
        repo.publish("root", *TOP)

    sign([1], 1, [3, 1, 4])
    c.accepts()
    sign([0, 1, 2, 3, 4], 3, [4, 1, 2])
    c.accepts()
    for signers in ([0, 4], [0, 1, 5], []):
        sign([0, 1, 2, 3, 4], 3, signers)
        c.refuses("3 are needed")


@case("ed25519", "ecdsa", "rsa-pss", "rsa-pkcs1")
def keys_of_all_kinds_count_and_their_wrong_signatures_do_not(c, parameter):
    c.begin()
    key = c.repo.add_key("root", new_key(parameter))
    c.repo["root"].roles["root"].threshold = 2
    c.repo.publish("root")
    c.accepts()
    assert c.kept()["root"] == 2
    old = json.loads(c.repo.get("root"))["signatures"]
    c.repo.publish("root")
    wrong = next(s["sig"] for s in old if s["keyid"] == key.public_key.keyid)

    def replace(value):
        for signature in value["signatures"]:
            if signature["keyid"] == key.public_key.keyid:
                signature["sig"] = wrong

    alter(c.repo, "root", replace)
    c.refuses("signed by 1 of the keys that may, 2 are needed")
    assert c.kept()["root"] == 2


@case("", "zz", "00", "00" * 64)
def a_wrong_signature_beside_enough_right_ones_does_no_harm(c, parameter):
    c.begin()
    other = c.repo.add_key("timestamp").public_key.keyid
    c.repo.publish("root", "timestamp")

    def spoil(value):
        for signature in value["signatures"]:
            if signature["keyid"] == other:
                signature["sig"] = parameter

    alter(c.repo, "timestamp", spoil)
    c.accepts()
    assert c.kept()["timestamp"] == 2


@case()
def one_key_under_many_ids_counts_once(c):
    c.begin()
    key = c.repo.signers["snapshot"][0].public_key
    root = c.repo["root"]
    ids = []
    for number in range(4):
        twin = json.loads(json.dumps(key.to_dict()))
        root.keys[f"{number:064}"] = type(key).from_dict(f"{number:064}", twin)
        root.roles["snapshot"].keyids.append(f"{number:064}")
        ids.append(f"{number:064}")
    root.roles["snapshot"].threshold = 3
    c.repo.publish("root", *TOP)

    def copies(value):
        signature = value["signatures"][0]["sig"]
        value["signatures"] += [{"keyid": id, "sig": signature} for id in ids]

    alter(c.repo, "snapshot", copies)
    c.refuses("signed by 1 of the keys that may, 3 are needed")


@case()
def a_key_that_a_role_lists_twice_is_refused(c):
    c.begin()
    c.repo.publish("root")

    def twice(value):
        value["signed"]["roles"]["snapshot"]["keyids"] *= 2

    alter(c.repo, "root", twice)
    c.refuses("lists a key twice")


@case()
def a_key_that_signs_twice_is_refused(c):
    c.begin()
    c.repo.publish(*TOP)
    alter(c.repo, "snapshot", lambda value: value["signatures"].append(value["signatures"][0]))
    c.refuses("has signed twice")


@case()
def more_keys_needed_than_there_are_is_refused(c):
    c.begin()
    c.repo["root"].roles["snapshot"].threshold = 2
    c.repo.publish("root", *TOP)
    c.refuses("2 are needed")
    assert c.kept()["root"] == 2


@case()
def a_key_id_need_not_be_the_keys_digest(c):
    c.begin()
    key = c.repo["root"].keys[c.repo["root"].roles["snapshot"].keyids[0]]
    key.unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    c.repo.publish("root", *TOP)
    c.accepts()


@case()
def an_id_without_a_key_does_not_count(c):
    c.begin()
    c.repo["root"].roles["snapshot"].keyids.append("ab" * 32)
    c.repo.publish("root", *TOP)
    c.accepts()


# --- Rollback ---------------------------------------------------------------------------
@case()
def a_rolled_back_timestamp_is_refused(c):
    old = c.repo.get("timestamp")
    c.repo.publish("timestamp")
    c.begin()
    c.repo.files["metadata/timestamp.json"] = old
    c.refuses("rolled back")
    assert c.kept() == versions(1, 2, 1, 1)


@case(False, True)
def a_rolled_back_snapshot_is_refused(c, parameter):
    c.repo.hashes = parameter
    c.repo.publish(*TOP)
    c.begin()
    c.repo["snapshot"].version = 0
    c.repo.publish("snapshot", "timestamp")
    c.refuses("rolled back")
    assert c.kept() == versions(1, 2, 2, 2)
    assert c.repo.metadata_asked()[-1] == "timestamp"


@case(False, True)
def rolled_back_targets_are_refused(c, parameter):
    c.repo.hashes = parameter
    c.repo.publish(*TOP)
    c.begin()
    c.repo["targets"].version = 0
    c.repo.publish(*TOP)
    c.refuses("rolled back")
    assert c.kept() == versions(1, 3, 2, 2)


@case()
def a_kept_snapshot_that_has_expired_still_keeps_targets_from_being_rolled_back(c):
    c.repo.publish(*TOP)
    c.begin()
    # As if time had gone by since it was kept.
    c.repo["snapshot"].expires = in_days(-1)
    c.keep("snapshot", c.repo.sign("snapshot"))
    c.repo["snapshot"].expires = in_days(9)
    c.repo["targets"].version = 0
    c.repo.publish(*TOP)
    c.refuses("rolled back")
    assert c.kept() == versions(1, 3, 2, 2)


@case()
def a_role_that_vanishes_from_the_snapshot_is_refused(c):
    c.repo.delegate("targets", "x", paths=["x/*"])
    c.repo.publish("x", bump=False)
    c.repo.publish(*TOP)
    c.begin()
    del c.repo["snapshot"].meta["x.json"]
    c.repo.publish("snapshot", "timestamp")
    c.refuses("does not list x.json any more")
    assert c.kept()["snapshot"] == 2


@case()
def the_same_version_with_other_content_changes_nothing(c):
    c.begin()
    c.repo["timestamp"].snapshot_meta.version = 100
    c.repo.publish("timestamp", bump=False)
    c.accepts()
    assert c.repo.metadata_asked()[-1] == "timestamp"
    assert Metadata.from_bytes(c.bytes_of("timestamp")).signed.snapshot_meta.version == 1


# --- Fast-forward -----------------------------------------------------------------------
@case("timestamp", "snapshot", "targets")
def after_a_fast_forward_new_keys_bring_versions_back(c, parameter):
    c.repo[parameter].version = 9999
    roles = TOP[TOP.index(parameter):]
    c.repo.publish(*roles)
    c.begin()
    assert c.kept()[parameter] == 10000
    # Without new keys there is no way back.
    c.repo[parameter].version = 0
    c.repo.publish(*roles)
    c.refuses("rolled back")
    c.repo.rotate("timestamp" if parameter == "timestamp" else "snapshot")
    if parameter == "snapshot":
        c.repo.rotate("timestamp")
    c.repo[parameter].version = 0
    c.repo.publish("root", *roles)
    c.accepts()
    assert c.kept()[parameter] == 1


@case()
def one_revoked_key_of_several_brings_versions_back_too(c):
    c.repo.add_key("timestamp")
    c.repo["timestamp"].version = 9999
    c.repo.publish("root", "timestamp")
    c.begin()
    stolen = c.repo.signers["timestamp"].pop()
    c.repo["root"].roles["timestamp"].keyids.remove(stolen.public_key.keyid)
    c.repo["timestamp"].version = 0
    c.repo.publish("root", "timestamp")
    c.accepts()
    assert c.kept()["timestamp"] == 1


# --- Freeze -----------------------------------------------------------------------------
@case("timestamp", "snapshot", "targets")
def expired_metadata_is_refused_and_not_kept(c, parameter):
    c.begin()
    c.repo[parameter].expires = in_days(-1)
    c.repo.publish(*TOP)
    c.refuses("has expired")
    assert c.kept()[parameter] == 1


@case("timestamp", "snapshot", "targets")
def metadata_that_expires_while_it_is_kept_is_refused_and_then_replaced(c, parameter):
    c.begin()
    # As if time had gone by since it was kept.
    c.repo[parameter].expires = in_days(-1)
    expired = c.repo.sign(parameter)
    c.keep(parameter, expired)
    c.repo.files[c.repo.path(parameter)] = expired
    c.refuses("has expired")
    c.repo[parameter].expires = in_days(1)
    c.repo.publish(*TOP)
    c.accepts()
    assert c.kept() == versions(1, 2, 2, 2)


# --- Mix and match ----------------------------------------------------------------------
@case("snapshot", "targets")
def another_version_than_the_one_announced_is_refused(c, parameter):
    c.begin()
    c.repo.publish(*TOP)
    c.repo.files[c.repo.path(parameter)] = c.repo.get(parameter, 1)
    c.refuses("version 2 was announced")
    assert c.kept()[parameter] == 1


@case("snapshot", "targets")
def another_digest_than_the_one_announced_is_refused(c, parameter):
    c.repo.hashes = True
    c.repo.publish(*TOP)
    c.begin()
    c.repo.publish(*TOP)
    # The same signature, written otherwise.
    alter(c.repo, parameter, lambda value: value["signatures"][0].update(sig=value["signatures"][0]["sig"].upper()))
    c.refuses("sha256 differs")
    assert c.kept()[parameter] == 2


@case()
def a_targets_version_that_no_snapshot_announces_is_not_asked_for(c):
    c.begin()
    c.repo.publish("targets", announce=False)
    c.accepts()
    assert c.repo.metadata_asked() == ["2.root", "timestamp"]


@case()
def metadata_of_another_repository_under_shared_keys_takes_the_announced_versions(c):
    c.repo.publish(*TOP)
    c.begin()
    other = Repository()
    try:
        other.roles["root"] = c.repo.roles["root"]
        other.signers = c.repo.signers
        for role in TOP:
            other.files[other.path(role)] = other.sign(role)
        # Everything of the other one, which is younger in its versions.
        for role in TOP:
            c.repo.files[c.repo.path(role)] = other.get(role)
        c.refuses("rolled back")
    finally:
        other.close()


# --- Endless data -----------------------------------------------------------------------
def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(1 << 14):
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


@case("2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json")
def a_file_without_end_is_cut_off(c, parameter):
    c.begin()
    c.repo.publish(*TOP)
    c.repo.slow[f"metadata/{parameter}"] = endless
    c.refuses("has more than")


@case("2.snapshot.json", "2.targets.json")
def a_file_that_is_longer_than_announced_is_cut_off(c, parameter):
    c.repo.hashes = True
    c.begin()
    c.repo.publish(*TOP)
    c.repo.files[f"metadata/{parameter}"] += b" "
    c.refuses("has more than")


# --- Reading ----------------------------------------------------------------------------
BAD = {
    "no JSON": lambda data: data[:-2],
    "a member twice": lambda data: data.replace(b'"version"', b'"version": 1, "version"', 1),
    "a fraction": lambda data: data.replace(b'"version": 2', b'"version": 2.0', 1),
    "the version as text": lambda data: data.replace(b'"version": 2', b'"version": "2"', 1),
    "a negative version": lambda data: data.replace(b'"version": 2', b'"version": -2', 1),
    "version 0": lambda data: data.replace(b'"version": 2', b'"version": 0', 1),
    "another type": lambda data: data.replace(b'"_type": "timestamp"', b'"_type": "snapshot"'),
    "another specification": lambda data: data.replace(b'"spec_version": "1.', b'"spec_version": "2.'),
    "a day for a time": lambda data: data.replace(b"T", b" "),
    "nothing": lambda data: b"",
    "depth": lambda data: b"[" * 60000,
}


@case(*BAD)
def what_is_no_metadata_is_refused(c, parameter):
    c.begin()
    c.repo.publish("timestamp")
    path = "metadata/timestamp.json"
    value = json.loads(c.repo.files[path])
    good = json.dumps(value).encode()
    bad = BAD[parameter](good)
    assert bad != good
    c.repo.files[path] = bad
    c.refuses()
    assert c.kept()["timestamp"] == 1


# --- Targets ----------------------------------------------------------------------------
@case("file.txt", "a/b/c.txt", "with space", "caf\u00e9", "a%2fb", "q?x#y", "~.-_")
def a_target_is_stored(c, parameter):
    c.repo.add_target(parameter, b"one")
    c.repo.publish(*TOP)
    assert c.init()
    assert c.download(parameter), c.said
    assert c.stored() == [b"one"]
    # What lies there already is not fetched again.
    c.repo.asked.clear()
    assert c.download(parameter)
    assert not [path for path in c.repo.asked if path.startswith("targets/")]
    # And a new version of it takes its place.
    c.repo.add_target(parameter, b"two")
    c.repo.publish(*TOP)
    assert c.download(parameter)
    assert c.stored() == [b"two"]


@case("sha256", "sha512", "both")
def a_target_with_any_known_digest_is_stored(c, parameter):
    hashes = ("sha256", "sha512") if parameter == "both" else (parameter,)
    c.repo.add_target("t", b"one", hashes=hashes)
    c.repo.publish(*TOP)
    assert c.init()
    assert c.download("t"), c.said
    assert c.stored() == [b"one"]


@case()
def a_target_with_unknown_digests_is_refused(c):
    target = c.repo.add_target("t", b"one")
    target.hashes = {"md4": target.hashes["sha256"]}
    c.repo.publish(*TOP)
    assert c.init()
    assert not c.download("t")
    assert c.stored() == []


@case("sha256", "sha512")
def a_target_that_one_of_its_digests_denies_is_refused(c, parameter):
    target = c.repo.add_target("t", b"one", hashes=("sha256", "sha512"))
    digest = target.hashes[parameter]
    target.hashes[parameter] = digest[::-1]
    c.repo.files[f"targets/{digest[::-1]}.t"] = b"one"
    c.repo.publish(*TOP)
    assert c.init()
    assert not c.download("t")
    assert c.stored() == []


@case(b"two", b"one and more", b"on", b"")
def another_file_in_the_targets_place_is_refused(c, parameter):
    target = c.repo.add_target("t", b"one")
    c.repo.publish(*TOP)
    c.repo.files[f"targets/{target.hashes['sha256']}.t"] = parameter
    assert c.init()
    assert not c.download("t")
    assert c.stored() == []


@case("../evil", "/etc/evil", "a/../../evil", "a//b", "a/./b")
def a_target_name_that_leads_elsewhere_is_refused(c, parameter):
    c.repo.add_target(parameter, b"one")
    c.repo.publish(*TOP)
    assert c.init()
    assert not c.download(parameter)
    assert "can't be the name" in c.said
    assert c.stored() == []
    assert sorted(os.listdir(c.home)) == ["metadata", "root.json", "targets"]


# --- Delegations ------------------------------------------------------------------------
GRAPHS = {
    # (parent, role, paths, terminating)…; the order in which roles are asked
    "one": ([("targets", "A", "*", 0)], "A"),
    "two": ([("targets", "A", "*", 0), ("targets", "B", "*", 0)], "AB"),
    "depth first": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("A", "C", "*", 0), ("A", "D", "*", 0)], "ACDB"),
    "deeper": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("A", "C", "*", 0), ("C", "D", "*", 0)], "ACDB"),
    "terminating": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("A", "C", "*", 1), ("A", "D", "*", 0)], "AC"),
    "descendants of a terminating role": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("A", "C", "*", 1), ("C", "D", "*", 0)], "ACD"),
    "other paths": ([("targets", "A", "*.py", 0), ("targets", "B", "*", 0), ("A", "C", "*", 0)], "B"),
    "other paths deeper": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("A", "C", "*.py", 0), ("C", "D", "*", 0)], "AB"),
    "a circle": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("B", "C", "*", 0), ("C", "D", "*", 0), ("D", "B", "*", 0)], "ABCD"),
    "one role of two": ([("targets", "A", "*", 0), ("targets", "B", "*", 0), ("B", "C", "*", 0), ("A", "C", "*", 0)], "ACB"),
    "a terminating role that is not asked": ([("targets", "A", "*.py", 1), ("targets", "B", "*", 0)], "B"),
}


@case(*GRAPHS)
def the_search_goes(c, parameter):
    edges, expected = GRAPHS[parameter]
    for parent, role, path, terminating in edges:
        c.repo.delegate(parent, role, [path], bool(terminating))
    c.repo.publish(*sorted({role for _, role, _, _ in edges}), bump=False)
    c.repo.publish(*TOP)
    assert c.init()
    assert not c.download("missing")
    asked = c.repo.metadata_asked()[4:]
    assert asked == [f"1.{role}" for role in expected], asked


@case("README.md", "releases/x/v1", "releases/y/v1.zip", "releases/z/v1.zip")
def a_delegated_target_is_found_where_all_agree(c, parameter):
    c.repo.delegate("targets", "A", ["*.doc", "*.md"])
    c.repo.delegate("targets", "B", ["releases/*/*"])
    c.repo.delegate("B", "C", ["releases/x/*"])
    c.repo.delegate("B", "D", ["releases/y/*.zip"])
    for role, name in (("A", "README.md"), ("C", "releases/x/v1"), ("D", "releases/y/v1.zip"), ("D", "releases/z/v1.zip")):
        c.repo.add_target(name, name.encode(), role)
    c.repo.publish("A", "B", "C", "D", bump=False)
    c.repo.publish(*TOP)
    assert c.init()
    found = "/z/" not in parameter
    assert c.download(parameter) == found, c.said
    assert c.stored() == ([parameter.encode()] if found else [])


@case()
def hash_prefixes_say_who_speaks_for_a_target(c):
    import hashlib

    digest = hashlib.sha256(b"some/name").hexdigest()
    c.repo.delegate("targets", "A", prefixes=["00000000"])
    c.repo.delegate("targets", "B", prefixes=["ffffffff", digest[:3]])
    c.repo.add_target("some/name", b"one", "B")
    c.repo.publish("A", "B", bump=False)
    c.repo.publish(*TOP)
    assert c.init()
    assert c.download("some/name"), c.said
    assert c.stored() == [b"one"]


@case("?", "#", "/x", "../x", "a b", "\u00e9", "%2f", ".x.new")
def odd_role_names_stay_in_their_place(c, parameter):
    c.repo.delegate("targets", parameter)
    c.repo.publish(parameter, bump=False)
    c.repo.publish(*TOP)
    assert c.init()
    assert not c.download("missing")
    assert c.repo.metadata_asked()[-1] == f"1.{parameter}"
    assert len(c.kept()) == 5
    assert sorted(os.listdir(c.home)) == ["metadata", "root.json", "targets"]


@case("root", "timestamp", "snapshot", "targets")
def a_delegated_role_can_not_take_a_top_level_roles_name(c, parameter):
    c.begin()
    c.repo.publish("targets", "snapshot", "timestamp")

    def delegate(value):
        role = {"name": parameter, "keyids": [], "threshold": 1, "terminating": False, "paths": ["*"]}
        value["signed"]["delegations"] = {"keys": {}, "roles": [role]}

    metadata = json.loads(c.repo.get("targets"))
    delegate(metadata)
    # Signed properly, by the key that may.
    from securesystemslib.formats import encode_canonical

    key = c.repo.signers["targets"][0]
    signature = key.sign(encode_canonical(metadata["signed"]).encode())
    metadata["signatures"] = [signature.to_dict()]
    c.repo.files[c.repo.path("targets")] = json.dumps(metadata).encode()
    c.refuses("can't be the name of a delegated role")


@case("unsigned", "expired", "missing", "other version", "other keys")
def a_delegated_role_is_checked_like_any_other(c, parameter):
    c.repo.delegate("targets", "A", expires=-1 if parameter == "expired" else 9)
    c.repo.add_target("t", b"one", "A")
    if parameter == "unsigned":
        c.repo.signers["A"] = []
    if parameter == "other keys":
        c.repo.signers["A"] = c.repo.signers["targets"]
    if parameter == "other version":
        c.repo["A"].version = 2
    c.repo.publish("A", bump=False)
    if parameter == "other version":
        c.repo.files["metadata/3.A.json"] = c.repo.files.pop("metadata/2.A.json")
        c.repo["snapshot"].meta["A.json"].version = 3
    if parameter == "missing":
        del c.repo.files["metadata/1.A.json"]
    c.repo.publish(*TOP)
    assert c.init()
    c.accepts()
    assert not c.download("t")
    assert c.stored() == []
    assert "A" not in c.kept()


@case()
def a_delegated_role_that_expires_while_it_is_kept_is_refused_and_then_replaced(c):
    c.repo.delegate("targets", "A")
    c.repo.add_target("one", b"one", "A")
    c.repo.add_target("two", b"two", "A")
    c.repo.publish("A", bump=False)
    c.repo.publish(*TOP)
    c.begin()
    assert c.download("one"), c.said
    # As if time had gone by since it was kept.
    c.repo["A"].expires = in_days(-1)
    expired = c.repo.sign("A")
    c.keep("A", expired)
    c.repo.files[c.repo.path("A")] = expired
    assert not c.download("two")
    assert c.stored() == [b"one"]
    c.repo["A"].expires = in_days(1)
    c.repo.publish("A", *TOP)
    assert c.download("two"), c.said
    assert c.stored() == [b"one", b"two"]
    assert c.kept()["A"] == 2


@case()
def a_graph_of_roles_without_end_is_not_walked_to_its_end(c):
    names = [f"r{number:02}" for number in range(40)]
    for parent, role in zip(["targets", *names], names):
        c.repo.delegate(parent, role)
    c.repo.publish(*names, bump=False)
    c.repo.publish(*TOP)
    assert c.init()
    assert not c.download("missing")
    assert len(c.repo.metadata_asked()) == 4 + 32


# --- What lies on disk ------------------------------------------------------------------
@case("root", "timestamp", "snapshot", "targets")
def a_kept_file_that_others_can_write_is_refused(c, parameter):
    c.begin()
    for mode in (0o620, 0o602):
        os.chmod(os.path.join(c.metadata, f"{parameter}.json"), mode)
        assert not c.refresh()
        assert "others may write it" in c.said, c.said
    os.chmod(os.path.join(c.metadata, f"{parameter}.json"), 0o600)
    c.accepts()


@case("root", "timestamp", "snapshot", "targets")
def a_kept_file_that_is_a_link_is_refused(c, parameter):
    c.begin()
    path = os.path.join(c.metadata, f"{parameter}.json")
    os.rename(path, os.path.join(c.home, "elsewhere"))
    os.symlink(os.path.join(c.home, "elsewhere"), path)
    assert not c.refresh()
    assert "no plain file" in c.said, c.said


@case("timestamp", "snapshot", "targets")
def a_damaged_file_is_fetched_anew(c, parameter):
    c.begin()
    path = os.path.join(c.metadata, f"{parameter}.json")
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0")
    c.accepts()
    assert c.kept() == versions(1, 1, 1, 1)


def run_one(name):
    client = Client()
    try:
        CASES[name](client)
        client.kept()
        return None
    except Exception:
        return f"{traceback.format_exc(limit=-3)}    the client said: {client.said}"
    finally:
        client.close()


def main():
    names = [name for name in CASES if len(sys.argv) < 3 or any(word in name for word in sys.argv[2:])]
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for name, error in zip(names, pool.map(run_one, names)):
            if error:
                failed += 1
                print(f"FAILED {name}\n{error}")
    print(f"{len(names) - failed} of {len(names)} cases passed")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    SHIM = sys.argv[1]
    sys.exit(main())
