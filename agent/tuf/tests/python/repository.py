"""A TUF repository in memory, written by python-tuf, that a test can bend as it likes."""

import datetime
import hashlib
import threading
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp,
)

TOP = ("targets", "snapshot", "timestamp")


def in_days(days):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return now + datetime.timedelta(days=days)


def new_key(kind="ed25519"):
    return {
        "ed25519": CryptoSigner.generate_ed25519,
        "ecdsa": CryptoSigner.generate_ecdsa,
        "rsa-pss": CryptoSigner.generate_rsa,
        "rsa-pkcs1": lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256"),
    }[kind]()


class Repository:
    """Serves `files`, by path; `asked` says what was asked for."""

    def __init__(self, hashes=False, consistent=True):
        self.files = {}
        self.asked = []
        self.hashes = hashes
        self.slow = {}
        self.roles = {
            "root": Metadata(Root(expires=in_days(30), consistent_snapshot=consistent)),
            "timestamp": Metadata(Timestamp(expires=in_days(30))),
            "snapshot": Metadata(Snapshot(expires=in_days(30))),
            "targets": Metadata(Targets(expires=in_days(30))),
        }
        self.signers = {role: [] for role in self.roles}
        for role in self.roles:
            self.add_key(role)
        self.publish("root", *TOP, bump=False)
        self.first_root = self.files["metadata/1.root.json"]
        self._serve()

    def __getitem__(self, role):
        return self.roles[role].signed

    # --- Keys ---------------------------------------------------------------------------
    def add_key(self, role, key=None):
        key = key or new_key()
        self["root"].add_key(key.public_key, role)
        self.signers[role].append(key)
        return key

    def rotate(self, role):
        """All new keys; a new root is signed by the old ones as well."""
        old = self.signers[role]
        count = len(old)
        self["root"].roles[role].keyids.clear()
        self.signers[role] = []
        for _ in range(count):
            self.add_key(role)
        if role == "root":
            self.signers[role] += old

    # --- Publishing ---------------------------------------------------------------------
    def sign(self, role):
        metadata = self.roles[role]
        metadata.signatures.clear()
        for key in self.signers[role]:
            metadata.sign(key, append=True)
        return metadata.to_bytes()

    def publish(self, *roles, bump=True, announce=True):
        for role in roles:
            signed = self[role]
            if bump:
                signed.version += 1
            data = self.sign(role)
            self.put(role, data)
            if announce:
                self.announce(role, data)

    def announce(self, role, data):
        meta = MetaFile(self[role].version)
        if self.hashes:
            meta = MetaFile(self[role].version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
        if role == "snapshot":
            self["timestamp"].snapshot_meta = meta
        elif role not in ("root", "timestamp"):
            self["snapshot"].meta[f"{role}.json"] = meta

    def put(self, role, data):
        prefixed = role == "root" or (role != "timestamp" and self["root"].consistent_snapshot)
        version = f"{self[role].version}." if prefixed else ""
        self.files[f"metadata/{version}{quote(role, '')}.json"] = data

    def get(self, role, version=None):
        return self.files[self.path(role, version)]

    def path(self, role, version=None):
        version = version or self[role].version
        return "metadata/timestamp.json" if role == "timestamp" else f"metadata/{version}.{quote(role, '')}.json"

    def add_target(self, name, data, role="targets", hashes=("sha256",)):
        target = TargetFile.from_data(name, data, list(hashes))
        self[role].targets[name] = target
        directory, slash, file = name.rpartition("/")
        for digest in target.hashes.values():
            prefix = f"{digest}." if self["root"].consistent_snapshot else ""
            self.files[f"targets/{directory}{slash}{prefix}{file}"] = data
        return target

    def delegate(self, parent, name, paths=("*",), terminating=False, prefixes=None, key=None, expires=30):
        signed = self[parent]
        if signed.delegations is None:
            signed.delegations = Delegations({}, roles={})
        paths = None if prefixes else list(paths)
        signed.delegations.roles[name] = DelegatedRole(name, [], 1, terminating, paths, prefixes)
        key = key or new_key()
        signed.add_key(key.public_key, name)
        if name not in self.roles:
            self.roles[name] = Metadata(Targets(expires=in_days(expires)))
            self["snapshot"].meta[f"{name}.json"] = MetaFile(1)
            self.signers[name] = []
        self.signers[name].append(key)

    # --- Serving ------------------------------------------------------------------------
    def _serve(self):
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.lstrip("/")
                repository.asked.append(path)
                data = repository.files.get(path)
                if data is None and path.startswith("targets/"):
                    data = repository.files.get(unquote(path))
                if path in repository.slow:
                    return repository.slow[path](self)
                if data is None:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def metadata_asked(self):
        asked, self.asked = self.asked, []
        return [unquote(path.removeprefix("metadata/").removesuffix(".json")) for path in asked]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


__all__ = ["Repository", "in_days", "new_key", "TOP", "deepcopy"]
