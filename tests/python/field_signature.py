"""Signs a hash as the field's desktop client does: RSA, PKCS#1 v1.5, SHA-512 over the bytes of the hash.

    field_signature.py KEY.pem HASH-IN-HEX      prints the signature in hexadecimal

The key is an unencrypted PKCS#8 PEM. Nothing but the standard library is used.
"""

import base64
import hashlib
import sys

# DigestInfo of SHA-512 (RFC 8017, section 9.2, note 1).
PREFIX = bytes.fromhex("3051300d060960864801650304020305000440")


def elements(der):
    """The contents of the elements of a DER sequence."""
    found = []
    while der:
        length, at = der[1], 2
        if length & 0x80:
            at = 2 + (length & 0x7F)
            length = int.from_bytes(der[2:at], "big")
        found.append(der[at : at + length])
        der = der[at + length :]
    return found


def main():
    path, digest = sys.argv[1:]
    lines = open(path, encoding="ascii").read().split("\n")
    der = base64.b64decode("".join(line for line in lines if not line.startswith("-----")))
    (pkcs8,) = elements(der)
    _version, _algorithm, octets = elements(pkcs8)
    (pkcs1,) = elements(octets)
    _version, n, _e, d = (int.from_bytes(number, "big") for number in elements(pkcs1)[:4])
    size = (n.bit_length() + 7) // 8
    message = PREFIX + hashlib.sha512(bytes.fromhex(digest)).digest()
    padded = b"\x00\x01" + b"\xff" * (size - len(message) - 3) + b"\x00" + message
    print(pow(int.from_bytes(padded, "big"), d, n).to_bytes(size, "big").hex())


main()
