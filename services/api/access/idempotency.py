"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again is done once.

How a route uses it, once it has read what the client wants:

    if await idempotency.is_new():
        await resources.admission.admit(caller)
    ...
    async with idempotency.once("create_job", spec.model_dump_json(), file.sha256) as once:
        if once.answer is None:
            made = await resources.jobs.create(..., commit_with=once.recording(answer_of))
            if once.answer is None:
                await once.record(answer_of(made))
    return once.response

With the header, `recording` gives what keeps the answer in the transaction that makes the thing; without it, None.
`record` alone is enough for what does no harm if a crash has it done twice. Whatever is raised inside gives the key
free again. The parts that `once` is given are what makes requests equal: take what the client
sent, not what was made of it. The secret of a `webhook` in the answer is not kept with it
(services/api/access/kept_answers.py).
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar
from uuid import UUID

import structlog
from fastapi import Depends, Header, Request, Response

from services.api.access.gate import Submitter
from services.api.access.kept_answers import with_secret, without_secret
from services.api.problems import ProblemError
from shared.store.errors import DATABASE_ERRORS
from shared.store.idempotency import Answer, Conflict, IdempotencyKeys, Reservation, ReservationLost, Transaction
from shared.store.webhooks import Webhooks

log = structlog.get_logger()

Made = TypeVar("Made")

_MOST_CHARACTERS = 255
# A string of RFC 9651, as the draft wants it; or the same without its quotes, as many clients send it.
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"', re.ASCII)
_BARE = re.compile(r"[A-Za-z0-9_.:/+=~-]+", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')
_RETRY_SECONDS = 1


class Once:
    """One request, whose answer is kept for the next of its kind."""

    def __init__(self, keys: IdempotencyKeys, reservation: Reservation | None, answer: Answer | None) -> None:
        self._keys = keys
        self._reservation = reservation
        self.answer = answer
        self._is_replay = answer is not None

    def recording(self, answer_of: Callable[[Made], Answer]) -> Callable[[Transaction, Made], Awaitable[None]] | None:
        """What keeps the answer in the transaction that makes what it tells of; None where none is to be kept."""
        reservation = self._reservation
        if reservation is None:
            return None

        async def record(connection: Transaction, made: Made) -> None:
            answer = answer_of(made)
            await self._keys.complete(connection, reservation, without_secret(answer))
            self.answer = answer

        return record

    async def record(self, answer: Answer) -> None:
        """Keep the answer in a transaction of its own."""
        if self._reservation is not None:
            await self._keys.complete_alone(self._reservation, without_secret(answer))
        self.answer = answer

    @property
    def response(self) -> Response:
        """The answer, the same each time but for a header that says that it was given before."""
        if self.answer is None:
            raise AssertionError("the request was not answered")
        headers = {} if self.answer.location is None else {"Location": self.answer.location}
        if self._is_replay:
            headers["Idempotent-Replayed"] = "true"
        return Response(
            self.answer.body, status_code=self.answer.status, headers=headers, media_type="application/json"
        )


class Idempotency:
    """The header of one request."""

    def __init__(self, keys: IdempotencyKeys, webhooks: Webhooks, key_id: UUID | None, key: str | None) -> None:
        self._keys = keys
        self._webhooks = webhooks
        self._key_id = key_id
        self._key = key

    async def is_new(self) -> bool:
        """Whether there is no answer yet: what was done before is no new work, and is not refused for its amount.

        Raises:
            DATABASE_ERRORS (shared.store.errors): the database fails.
        """
        return self._key is None or not await self._keys.was_answered(self._key, key_id=self._key_id)

    @asynccontextmanager
    async def once(self, *parts: str) -> AsyncIterator[Once]:
        """Do a request, if it has not been done.

        Raises:
            ProblemError: 409, it is being done; 422, the key was sent with another request.
            DATABASE_ERRORS (shared.store.errors): the database fails.
        """
        if self._key is None:
            yield Once(self._keys, None, None)
            return
        fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        found = await self._keys.reserve(self._key, key_id=self._key_id, fingerprint=fingerprint)
        match found:
            case Answer():
                yield Once(self._keys, None, await with_secret(found, self._webhooks))
            case Reservation():
                async with self._held(found):
                    yield Once(self._keys, found, None)
            case Conflict.OTHER_REQUEST:
                raise ProblemError(
                    422,
                    "idempotency-key-reused",
                    "Idempotency-Key was used",
                    "This Idempotency-Key was sent with another request within the last 24 hours; "
                    "make up a new one for each request.",
                )
            case Conflict.IN_FLIGHT:
                raise _in_flight()

    @asynccontextmanager
    async def _held(self, reservation: Reservation) -> AsyncIterator[None]:
        try:
            yield
        except ReservationLost:
            raise _in_flight() from None
        except BaseException:
            try:
                await self._keys.release(reservation)
            except DATABASE_ERRORS as error:
                log.warning("idempotency key not released, will run out", reason=type(error).__name__)
            raise


def _in_flight() -> ProblemError:
    return ProblemError(
        409,
        "request-in-flight",
        "The request is being done",
        "A request with this Idempotency-Key is being done; send it again in a moment for its answer.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )


def parsed(values: list[str]) -> str | None:
    """The key that a client sent, or None.

    Raises:
        ProblemError: 400, it is none.
    """
    if not values:
        return None
    value = values[0].strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else value
    if len(values) == 1 and 0 < len(key) <= _MOST_CHARACTERS and (quoted or _BARE.fullmatch(key)):
        return key
    raise ProblemError(
        400,
        "malformed-idempotency-key",
        "Malformed Idempotency-Key",
        f"Send one Idempotency-Key of 1 to {_MOST_CHARACTERS} printable ASCII characters in quotes, such as a UUID.",
    )


_DESCRIBED: dict[str, Any] = {"example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}


async def _idempotency(
    request: Request,
    caller: Submitter,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Made up by the client for this one request. If it is sent again within 24 hours with the "
            "same key, it is not done again, and gets the same answer.",
            json_schema_extra=_DESCRIBED,
        ),
    ] = None,
) -> Idempotency:
    # The parameter is there to be described: a header that is sent twice is seen in the request alone.
    del idempotency_key
    keys: IdempotencyKeys = request.app.state.idempotency_keys
    webhooks: Webhooks = request.app.state.webhooks
    return Idempotency(keys, webhooks, caller.key_id, parsed(request.headers.getlist("idempotency-key")))


InjectedIdempotency = Annotated[Idempotency, Depends(_idempotency)]
