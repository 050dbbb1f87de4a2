"""A password as Postgres keeps it: a SCRAM-SHA-256 verifier, from which the password cannot be read."""

import hashlib
import hmac
import os
import unicodedata
from base64 import b64encode

_ITERATIONS = 4096


def scram_verifier(password: str) -> str:
    """Return the verifier of RFC 5803 in Postgres's notation: `SCRAM-SHA-256$iterations:salt$stored:server`."""
    # What SASLprep (RFC 4013) does to a password without unassigned or forbidden characters.
    prepared = unicodedata.normalize("NFKC", password)
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *parts)
