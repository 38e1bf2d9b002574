"""The duties for keys: jobs whose turn it is, and idempotency keys whose day is over."""

from sqlalchemy import update

from services.monitor.duties import Outcome
from services.monitor.duties.forgotten_idempotency_keys import ForgottenIdempotencyKeys
from services.monitor.duties.held_jobs import HeldJobs
from shared.key_secrets import new_secret
from shared.schema.keys import KeyLimits, Scope
from shared.store.api_keys import ApiKeys
from shared.store.idempotency import IdempotencyKeys
from shared.store.records import Usage
from shared.store.tables import idempotency_keys
from shared.store.turns import Turns
from tests.integration.monitor.conftest import House


async def test_the_next_jobs_of_a_key_are_published_when_others_end(house: House) -> None:
    limits = KeyLimits(max_running_jobs=1)
    key = await ApiKeys(house.database).create(new_secret(), name="k", scopes=[Scope.SUBMIT], limits=limits)
    first, second, third = await house.create(3, key_id=key.id)
    duty = HeldJobs(Turns(house.database), house.publisher, batch=10)

    assert await duty.perform() == Outcome(1)
    assert house.carried() == [first]
    lease = await house.claim(first)
    assert await duty.perform() == Outcome(0)
    await house.jobs.fail(lease, code="not_audio", message="No audio.", usage=Usage())
    assert await duty.perform() == Outcome(1)
    assert set(house.carried()) == {first, second}
    await house.jobs.cancel(second)
    assert await duty.perform() == Outcome(1)
    assert set(house.carried()) == {first, second, third}
    assert await duty.perform() == Outcome(0)


async def test_idempotency_keys_are_forgotten_after_a_day_in_bounded_batches(house: House) -> None:
    keys = IdempotencyKeys(house.database)
    for name in ("a", "b", "c"):
        await keys.reserve(name, key_id=None, fingerprint="ab" * 32)
    duty = ForgottenIdempotencyKeys(keys, batch=2)
    assert await duty.perform() == Outcome(0)
    async with house.database.write() as connection:
        await connection.execute(update(idempotency_keys).values(created_at=house.database.now(-86_401)))
    assert await duty.perform() == Outcome(2, more=True)
    assert await duty.perform() == Outcome(1)
    assert await duty.perform() == Outcome(0)
