"""webhook.py JSON: prints the kinds of signatures of a message that are good, by the reference library and by another one."""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

given = json.loads(sys.argv[1])
headers, body = given["headers"], given["body"]
good = []
try:
    Webhook(given["secret"]).verify(body, headers)
    good.append("v1")
except WebhookVerificationError:
    pass
key = base64.b64decode(given["public_key"].removeprefix("whpk_"))
key = Ed25519PublicKey.from_public_bytes(key)
signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
for signature in headers["webhook-signature"].split():
    kind, _, text = signature.partition(",")
    if kind == "v1a":
        try:
            key.verify(base64.b64decode(text), signed)
            good.append("v1a")
        except InvalidSignature:
            pass
print(" ".join(good))
