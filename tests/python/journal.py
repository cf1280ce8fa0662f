"""Verifies a journal by securesystemslib alone: journal.py JOURNAL PUBLIC-KEY [RECEIPT].

Prints how many lines there are; ends with 1 and a word if one of them is not what it has to be. RECEIPT is a line that was
handed on: only with the last one it is known that nothing is missing at the end.
"""

import hashlib
import json
import sys

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

journal, public, *receipts = sys.argv[1:]
pem = open(public, encoding="ascii").read()
previous, count, seen = None, 0, set()
with open(journal, "rb") as lines:
    for line in lines:
        line = line.rstrip(b"\n")
        document = json.loads(line)
        (signature,) = document["signatures"]
        key = SSlibKey(signature["keyid"], "rsa", "rsa-pkcs1v15-sha256", {"public": pem})
        envelope = Envelope.from_dict(document)
        try:
            envelope.verify([key], 1)
        except VerificationError as error:
            sys.exit(f"line {count + 1}: {error}")
        statement = json.loads(envelope.payload)
        if envelope.payload_type != "application/vnd.in-toto+json" or statement["_type"] != "https://in-toto.io/Statement/v1":
            sys.exit(f"line {count + 1}: no in-toto statement")
        (subject,) = statement["subject"]
        if len(subject["digest"]["sha256"]) != 64 or not subject["name"]:
            sys.exit(f"line {count + 1}: no subject")
        if statement["predicate"]["previous"] != previous:
            sys.exit(f"line {count + 1}: not in its place")
        previous, count = "sha256:" + hashlib.sha256(line).hexdigest(), count + 1
        if statement["predicate"]["sequence"] != count:
            sys.exit(f"line {count}: says that it is another")
        seen.add(line)
for receipt in receipts:
    if open(receipt, "rb").read().rstrip(b"\n") not in seen:
        sys.exit("the receipt is no line of this journal")
print(count)
