"""Who may see the page, and who may act on it.

With an admin key: who has logged in with it. Without one: nobody acts, and who is on this machine sees.
"""

import hmac
import ipaddress
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl

import structlog
from fastapi import Request

from services.monitor.page.login_limit import LoginLimit
from services.monitor.page.sessions import Session, Sessions
from shared.settings import Settings

log = structlog.get_logger()

_LONGEST_NAME = 60
_LARGEST_FORM = 8192
_MOST_FIELDS = 16
# A proxy on this machine passes on requests of others; these say so.
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class PageOff(Exception):
    """There is no admin key, and the visitor is not on this machine."""


class LoginNeeded(Exception):
    """The visitor has not logged in, or too long ago."""


class Refused(Exception):
    """A form is not taken; the message says why, and what to do."""


class TooManyLogins(Exception):
    """Wrong keys came too often."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(wait_seconds)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may see the page."""

    session: Session | None
    why_not_act: str | None  # None: may act
    address: str

    @property
    def may_act(self) -> bool:
        """Whether the actions work for this visitor."""
        return self.why_not_act is None

    @property
    def who(self) -> str:
        """For the audit."""
        name = (self.session and self.session.name) or "nobody"
        return f"{name} ({self.address})"


class Access:
    """Decides."""

    def __init__(self, settings: Settings) -> None:
        key = settings.admin_key.get_secret_value() if settings.admin_key else None
        self._key = key
        self._sessions = Sessions(key) if key else None
        self._read_only = settings.monitor_read_only
        self._serves_loopback = _is_loopback(settings.monitor_host)
        self._limit = LoginLimit()

    def visitor(self, request: Request) -> Visitor:
        """Who asks, and may see.

        Raises:
            PageOff, LoginNeeded: they may not.
        """
        if self._sessions is None:
            if not (self._serves_loopback and _is_of_this_machine(request)):
                raise PageOff
            return Visitor(None, "There is no admin key: set WAVEMILL_ADMIN_KEY to act here.", _address(request))
        session = self._sessions.of(request)
        if session is None or session.name is None:
            raise LoginNeeded
        why_not = "This page is read-only (WAVEMILL_MONITOR_READ_ONLY)." if self._read_only else None
        return Visitor(session, why_not, _address(request))

    def sessions(self) -> Sessions:
        """The sessions.

        Raises:
            PageOff: there are none, since there is no admin key.
        """
        if self._sessions is None:
            raise PageOff
        return self._sessions

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form that this browser was given.

        Raises:
            PageOff: there is no admin key.
            Refused: it is another's, or is none.
        """
        session = self.sessions().of(request)
        fields = await _fields(request)
        # Browsers say where a form comes from; what they do not say the token proves.
        is_foreign = request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}
        token = fields.get("csrf", "")
        if session is None or is_foreign or not hmac.compare_digest(token.encode(), session.csrf.encode()):
            raise Refused("This form is not from here, or is too old. Go back, load the page again, and repeat it.")
        return fields

    def log_in(self, request: Request, fields: dict[str, str]) -> Session | None:
        """A session for who has the key; None for a wrong one.

        Raises:
            TooManyLogins: wrong ones came too often.
        """
        address = _address(request)
        wait = self._limit.wait_seconds(address)
        if wait > 0:
            log.warning("login refused: too many wrong keys", address=address)
            raise TooManyLogins(wait)
        if self._key is None or not hmac.compare_digest(fields.get("key", "").encode(), self._key.encode()):
            self._limit.failed(address)
            log.warning("login with a wrong key", address=address)
            return None
        return Session.begin(_name(fields.get("name", "")))


async def _fields(request: Request) -> dict[str, str]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_FORM:
            raise Refused("The form is too large.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise Refused("The form cannot be read.") from None


def _name(given: str) -> str:
    printable = "".join(character for character in given if unicodedata.category(character)[0] != "C")
    return printable.strip()[:_LONGEST_NAME] or "admin"


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_of_this_machine(request: Request) -> bool:
    """Not passed on by a proxy, nor by the browser of a page elsewhere whose name leads here (DNS rebinding)."""
    return (
        _is_loopback(_address(request))
        and _is_loopback(request.url.hostname or "")
        and not any(header in request.headers for header in _OF_PROXIES)
    )
