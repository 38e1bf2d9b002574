"""Who a browser is, in a signed cookie: nothing is kept here, so any monitor knows it, also after a restart."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Self

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

# A working day. The cookie itself ends with the browser.
_VALID_SECONDS = 12 * 3600
_COOKIE = "wavemill_session"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session; before the login it has no name."""

    name: str | None
    csrf: str  # what its forms must send back

    @classmethod
    def begin(cls, name: str | None = None) -> Self:
        """A new one."""
        return cls(name, secrets.token_urlsafe(24))


class Sessions:
    """Reads and writes the cookie, which is signed with what follows from the admin key: a new key ends them all."""

    def __init__(self, admin_key: str) -> None:
        self._signer = URLSafeTimedSerializer(
            admin_key,
            salt="wavemill operations page",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def of(self, request: Request) -> Session | None:
        """The browser's session; None where it has none, or one that was made up or is too old."""
        try:
            name, csrf = self._signer.loads(request.cookies.get(_COOKIE, ""), max_age=_VALID_SECONDS)
        except (BadSignature, TypeError, ValueError):
            return None
        return Session(name, csrf)

    def write(self, request: Request, response: Response, session: Session) -> None:
        """Give the browser a session. Over HTTPS the cookie is never sent otherwise."""
        response.set_cookie(
            _COOKIE,
            str(self._signer.dumps([session.name, session.csrf])),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    @staticmethod
    def end(response: Response) -> None:
        """Take it away from the browser."""
        response.delete_cookie(_COOKIE, httponly=True, samesite="strict")
