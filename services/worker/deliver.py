"""One attempt at telling a webhook: claim, sign, send, and put on record what was answered."""

import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from services.worker.ending import patiently
from services.worker.outbound import Answer, Outbound, OutboundError, Times
from services.worker.signature import signed_headers
from shared.settings import Settings
from shared.store.deliveries import DELIVERED, FAILED, RETRIED, ClaimedDelivery, Deliveries, Tried
from shared.telemetry import logs
from shared.telemetry.tracing import span

log = structlog.get_logger()

IGNORED = "ignored"

# One that is silent for longer than an attempt can take has died with its worker.
_LEASE_MARGIN_SECONDS = 30.0
_GONE = 410
# With these a receiver may say when it wants to be asked again; no longer than that is waited.
_BUSY = frozenset({429, 503})
_LONGEST_RETRY_AFTER = 86_400.0
_FACTOR = 4.0
# Of the answer's body: enough for a receiver that sends a word, and for its connection to end in order.
_MOST_ANSWER_BYTES = 16 * 1024


class DeliveryRunner:
    """Runs attempts, one at a time."""

    def __init__(self, deliveries: Deliveries, outbound: Outbound, settings: Settings) -> None:
        self._deliveries = deliveries
        self._outbound = outbound
        self._settings = settings
        limit = settings.webhook_timeout_seconds
        self._times = Times(connect=limit, idle=limit, total=limit)

    async def run(self, delivery_id: UUID, *, traceparent: str | None) -> str:
        """Run one attempt, and say what became of it."""
        with (
            logs.bind(delivery_id=str(delivery_id)),
            span("deliver webhook", traceparent=traceparent, kind=SpanKind.CONSUMER) as delivery_span,
        ):
            lease = self._settings.webhook_timeout_seconds + _LEASE_MARGIN_SECONDS
            claim = await patiently(lambda: self._deliveries.claim(delivery_id, lease_seconds=lease))
            if claim is None:
                # The message came twice, or late, or it has been delivered.
                return IGNORED
            outcome = await self._attempt(claim)
            delivery_span.set_attribute("wavemill.outcome", outcome)
            return outcome

    async def _attempt(self, claim: ClaimedDelivery) -> str:
        if not claim.is_enabled:
            tried = Tried(0.0, error="The webhook was disabled.")
            return await self._give_up(claim, tried)
        began = time.monotonic()
        retry_after = 0.0
        try:
            with span("send", kind=SpanKind.CLIENT):
                status, retry_after = await self._send(claim)
        except OutboundError as error:
            tried = Tried(time.monotonic() - began, error=str(error))
        else:
            tried = Tried(time.monotonic() - began, status, None if _is_success(status) else _refusal(status))
        if tried.response_status is not None and _is_success(tried.response_status):
            await patiently(lambda: self._deliveries.succeed(claim, tried))
            log.info("webhook delivered", status=tried.response_status, attempt=claim.attempts)
            return DELIVERED
        if tried.response_status == _GONE:
            return await self._give_up(claim, tried, disable_because="The receiver answered 410 Gone.")
        return await self._try_later(claim, tried, retry_after)

    async def _send(self, claim: ClaimedDelivery) -> tuple[int, float]:
        """The status that was answered, and for how many seconds the receiver wants to be left alone."""
        body = claim.body.encode()
        headers = signed_headers(str(claim.delivery_id), int(time.time()), body, claim.secrets)
        headers["Content-Type"] = "application/json"
        async with self._outbound.request(
            "POST", claim.url, times=self._times, headers=headers, content=body
        ) as answer:
            await answer.beginning(_MOST_ANSWER_BYTES)
            return answer.status, _retry_after(answer)

    async def _try_later(self, claim: ClaimedDelivery, tried: Tried, retry_after: float) -> str:
        delay = max(self._backoff_seconds(claim.attempts), retry_after)
        if delay >= claim.seconds_left:
            return await self._give_up(claim, tried)
        await patiently(lambda: self._deliveries.retry(claim, tried, delay_seconds=delay))
        log.info("webhook not delivered, will be tried again", reason=tried.error, seconds=round(delay))
        return RETRIED

    async def _give_up(self, claim: ClaimedDelivery, tried: Tried, *, disable_because: str | None = None) -> str:
        await patiently(lambda: self._deliveries.give_up(claim, tried, disable_because=disable_because))
        log.warning("webhook given up", reason=tried.error, attempts=claim.attempts)
        return FAILED

    def _backoff_seconds(self, attempts: int) -> float:
        """Exponential, between half and all of it: a message is not tried again at once, nor all at the same time."""
        settings = self._settings
        # Bounded before it is a power: there is no limit to the number of attempts.
        power = _FACTOR ** min(attempts - 1, 32)
        ceiling = min(settings.webhook_backoff_base_seconds * power, settings.webhook_backoff_max_seconds)
        return random.uniform(0.5, 1.0) * ceiling


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"The receiver answered {status}; redirects are not followed, give the URL that it leads to."
    return f"The receiver answered {status}, which is not a 2xx status."


def _retry_after(answer: Answer) -> float:
    """RFC 9110, section 10.2.3: seconds, or a date."""
    if answer.status not in _BUSY:
        return 0.0
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdecimal():
        # Of a number of any length the first digits say that it is too many.
        return min(float(given[:9]), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(given)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER)
