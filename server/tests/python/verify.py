"""verify.py SERVER ROOT DIR NAME: fetches a target with python-tuf, trusting ROOT; prints its sha256."""

import hashlib
import os
import sys

from tuf.ngclient import Updater

server, root, directory, name = sys.argv[1:]
os.makedirs(os.path.join(directory, "metadata"), exist_ok=True)
os.makedirs(os.path.join(directory, "targets"), exist_ok=True)
with open(root, "rb") as file:
    trusted = file.read()
updater = Updater(
    os.path.join(directory, "metadata"),
    f"{server}/repo/metadata/",
    target_dir=os.path.join(directory, "targets"),
    target_base_url=f"{server}/repo/targets/",
    bootstrap=trusted,
)
updater.refresh()
info = updater.get_targetinfo(name)
if info is None:
    sys.exit(f"there is no target {name}")
with open(updater.download_target(info), "rb") as file:
    print(hashlib.sha256(file.read()).hexdigest())
