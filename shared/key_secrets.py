"""The secret of an API key: 256 random bits, of which only the digest is kept."""

import hashlib
import re
import secrets

MARK = "wm_"
_BYTES = 32
# What `secrets.token_urlsafe` makes of 32 bytes.
_SECRET = re.compile(rf"{MARK}[A-Za-z0-9_-]{{43}}", re.ASCII)
# Of a secret's 43 random characters; those that are left have 208 bits.
_SHOWN = len(MARK) + 8


def new_secret() -> str:
    """A secret that nobody can guess."""
    return MARK + secrets.token_urlsafe(_BYTES)


def is_secret(text: str) -> bool:
    """Whether this has the form of a secret."""
    return _SECRET.fullmatch(text) is not None


def digest_of(secret: str) -> str:
    """SHA-256, in hexadecimal digits. Random bits need no slow hash: nobody can try them all."""
    return hashlib.sha256(secret.encode()).hexdigest()


def shown_part(secret: str) -> str:
    """Its beginning, by which its holder knows it again."""
    return secret[:_SHOWN]
