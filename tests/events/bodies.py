"""Bodies of webhooks, as WhatsApp posts them."""

from __future__ import annotations

import hashlib
import hmac
import json

ACCOUNT, NUMBER = "900000000000001", "900000000000002"
SECRET = "an app secret of the tests"
T0 = 1_795_860_000


def status(message_id, kind="sent", at=T0, **fields):
    return {"id": message_id, "status": kind, "timestamp": str(at), "recipient_id": "15550100123", **fields}


def text(message_id, said="Yes", at=T0, sender="15550100123", **fields):
    own = {"from": sender, "id": message_id, "timestamp": str(at), "type": "text", "text": {"body": said}}
    return own | fields


def change(field="messages", **value):
    own = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}} | value
    return {"field": field, "value": own}


def body(*changes, account=ACCOUNT):
    document = {"object": "whatsapp_business_account", "entry": [{"id": account, "changes": list(changes)}]}
    return json.dumps(document).encode()


def statuses(*items):
    return body(change(statuses=list(items)))


def signed(content, secret=SECRET):
    made = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={made}", "Content-Type": "application/json"}
