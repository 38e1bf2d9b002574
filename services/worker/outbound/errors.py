"""Why a request to somebody else's server came to nothing. The message is a sentence that a user may read."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import httpx


class OutboundError(Exception):
    """A request to somebody else's server came to nothing."""

    code: ClassVar[str]
    is_transient: ClassVar[bool] = False
    """Whether the same request may succeed a little later."""


class UrlRefused(OutboundError):
    """No request is ever made to such a URL."""

    code = "url_refused"


class AddressRefused(OutboundError):
    """The host is within some network, and not on the internet."""

    code = "address_refused"


class HostUnknown(OutboundError):
    """No name server knows the host."""

    code = "host_unknown"


class CertificateRefused(OutboundError):
    """Who answers does not prove to be the host."""

    code = "certificate_refused"


class TooManyRedirects(OutboundError):
    """The answer was to go elsewhere, again and again."""

    code = "too_many_redirects"


class AnswerTooLarge(OutboundError):
    """There is more than is wanted."""

    code = "answer_too_large"


class Unreachable(OutboundError):
    """There is no connection, or no answer on it."""

    code = "host_unreachable"
    is_transient = True


class TooSlow(OutboundError):
    """The time is over."""

    code = "host_too_slow"
    is_transient = True


class StatusRefused(OutboundError):
    """The server does not give what is asked for."""

    code = "url_answer_refused"


class StatusFailed(OutboundError):
    """The server cannot answer at the moment."""

    code = "url_answer_failed"
    is_transient = True


class Encoded(OutboundError):
    """The file comes packed, which nobody asked for."""

    code = "url_answer_encoded"


class BrokenOff(OutboundError):
    """The answer had begun, and has no end."""

    code = "connection_broke_off"
    is_transient = True


ERRORS = (
    *(UrlRefused, AddressRefused, HostUnknown, CertificateRefused, TooManyRedirects, AnswerTooLarge, StatusRefused),
    *(Encoded, StatusFailed, Unreachable, TooSlow, BrokenOff),
)


@contextmanager
def in_our_words(host: str) -> Iterator[None]:
    """Raise what httpx raises in the block as one of these errors.

    Raises:
        OutboundError: the block failed.
    """
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
        raise UrlRefused("The URL cannot be requested; look for a mistake in it.") from None
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise TooSlow(f"The server {host} took no connection in time.") from None
    except httpx.TimeoutException:
        raise TooSlow(f"The server {host} fell silent.") from None
    except httpx.ConnectError as error:
        if _is_about_certificate(error):
            raise CertificateRefused(f"The certificate of the server {host} is not valid for it.") from None
        raise Unreachable(f"The server {host} cannot be reached.") from None
    except httpx.TransportError:
        raise BrokenOff(f"The connection to the server {host} broke off.") from None


def _is_about_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
