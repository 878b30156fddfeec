"""Parses mails with Python's own parser and says what is in them, as JSON."""

import email
import email.policy
import hashlib
import json
import sys


def part(message):
    found = {
        "type": message.get_content_type(),
        "defects": [repr(defect) for defect in message.defects],
        "disposition": message.get_content_disposition(),
        "name": message.get_filename(),
        "id": message["content-id"],
    }
    if message.is_multipart():
        found["parts"] = [part(inner) for inner in message.iter_parts()]
    elif message.get_content_maintype() == "text" and message.get_content_disposition() is None:
        found["text"] = message.get_content()
    else:
        found["sha256"] = hashlib.sha256(message.get_payload(decode=True)).hexdigest()
    return found


def mail(path):
    with open(path, "rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    headers = {name: str(message[name]) for name in ("subject", "content-language", "mime-version")}
    return headers | part(message)


print(json.dumps([mail(path) for path in sys.argv[1:]]))
