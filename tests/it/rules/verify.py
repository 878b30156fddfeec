"""Verifies and parses mails with programs that others wrote: dkimpy, and Python's email package.

Arguments: a file with one `NAME RECORD` of DNS a line, then mails. Prints one line of JSON a mail.
"""

import email
import email.policy
import json
import sys

import dkim

records = dict(line.rstrip("\n").split(" ", 1) for line in open(sys.argv[1]))


def answer(name, timeout=5):
    return records[name.decode().rstrip(".")].encode()


def clean(text):
    """Octets outside ASCII in a header, which Python keeps as halves of characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def signatures(raw):
    found = dkim.DKIM(raw)
    count = sum(name.lower() == b"dkim-signature" for name, _ in found.headers)
    for n in range(count):
        try:
            good = found.verify(n, dnsfunc=answer)
        except dkim.DKIMException as error:
            good = str(error)
        fields = dkim.util.parse_tag_value(found.headers[n][1])
        yield [fields[b"a"].decode(), fields[b"d"].decode(), fields[b"s"].decode(), good]


for path in sys.argv[2:]:
    raw = open(path, "rb").read()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    text = mail.get_body(["plain"])
    html = mail.get_body(["html"])
    defects = [repr(defect) for part in mail.walk() for defect in part.defects]
    defects += [f"{name}: {defect!r}" for name, value in mail.items() for defect in value.defects]
    print(
        json.dumps(
            {
                "signatures": list(signatures(raw)),
                "headers": [[name, clean(str(value))] for name, value in mail.items()],
                "from": [[a.display_name, a.addr_spec] for a in mail["From"].addresses],
                "to": [clean(a.addr_spec) for a in mail["To"].addresses],
                "text": text.get_content(),
                "html": html.get_content(),
                "defects": [clean(defect) for defect in defects],
            }
        )
    )
