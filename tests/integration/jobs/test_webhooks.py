"""Webhooks over a real receiver, which takes messages, refuses them, hangs and redirects."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import asyncpg
import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.local.processes import ChildProcess
from deploy.local.servers import PostgresServer, RedisServer
from tests.conftest import new_database
from tests.remote_server import Asked, Handler, RemoteServer, answer
from tests.system import System

Delivery = dict[str, Any]


class Place:
    """A system whose webhooks reach 127.0.0.1 and are tried again soon, and a receiver there."""

    def __init__(self, system: System, receiver: RemoteServer, database_url: str) -> None:
        self.system = system
        self.api = system.client
        self.receiver = receiver
        self.database_url = database_url
        self.worker: ChildProcess = system.start_worker("worker", concurrency=4)
        self._paths = 0

    def path(self, handler: Handler | None = None) -> str:
        """A new path of the receiver, which answers 204 if nothing else is said."""
        self._paths += 1
        path = f"/hook/{self._paths}"
        self.receiver.handlers[path] = handler or answer(204)
        return path

    def webhook(self, path: str, **more: Any) -> dict[str, Any]:
        """A standing webhook there."""
        added = self.api.post("/api/webhooks", json={"url": self.receiver.url(path), **more})
        assert added.status_code == 201, added.text
        webhook: dict[str, Any] = added.json()
        assert added.headers["location"] == f"/api/webhooks/{webhook['id']}"
        return webhook

    def ping(self, webhook: dict[str, Any]) -> str:
        """Have it pinged; gives the delivery's id."""
        sent = self.api.post(f"/api/webhooks/{webhook['id']}/ping")
        assert sent.status_code == 202, sent.text
        assert (sent.json()["status"], sent.json()["attempts"]) == ("pending", 0)
        delivery_id: str = sent.json()["id"]
        return delivery_id

    def delivery(self, webhook: dict[str, Any], delivery_id: str | None = None) -> Delivery:
        """What became of a message: of the only one, if nothing else is said."""
        listed = self.api.get(f"/api/webhooks/{webhook['id']}/deliveries").json()["deliveries"]
        (found,) = (each for each in listed if delivery_id in (None, each["id"]))
        delivery: Delivery = found
        return delivery

    def came_to(
        self, webhook: dict[str, Any], condition: Callable[[Delivery], bool], *, of: str | None = None
    ) -> Delivery:
        """The delivery, once the condition holds."""
        deadline = time.monotonic() + 120
        while True:
            listed = self.api.get(f"/api/webhooks/{webhook['id']}/deliveries").json()["deliveries"]
            for each in listed:
                if of in (None, each["id"]) and condition(each):
                    found: Delivery = each
                    return found
            assert time.monotonic() < deadline, f"{listed}\n{self.system.log()[-4000:]}"
            time.sleep(0.1)

    def asked(self, path: str, count: int = 1) -> list[Asked]:
        """What was sent to a path, once so many requests have come."""
        deadline = time.monotonic() + 120
        while True:
            found = [each for each in self.receiver.asked if each.path == path]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, self.system.log()[-4000:]
            time.sleep(0.1)

    def change(self, statement: str) -> None:
        """Move time on, in a row."""
        self.rows(statement)

    def rows(self, statement: str) -> list[asyncpg.Record]:
        """What a statement finds in the database."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        return asyncio.run(fetch())


@pytest.fixture(scope="module")
def place(
    postgres_server: PostgresServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with new_database(postgres_server) as url, RemoteServer() as receiver:
        settings: dict[str, Any] = {
            "outbound_allowed_networks": "127.0.0.1",
            "webhook_backoff_base_seconds": 0.2,
            "webhook_timeout_seconds": 2,
            "reconcile_interval_seconds": 0.2,
        }
        with System(tmp_path_factory.mktemp("hooks"), database_url=url, redis=redis_server, **settings) as system:
            place = Place(system, receiver, url)
            system.start_api()
            system.start_monitor()
            yield place


def verified(secret: str, asked: Asked) -> dict[str, Any]:
    """The message, as the library of Standard Webhooks verifies it."""
    assert asked.method == "POST"
    assert asked.headers["content-type"] == "application/json"
    message: dict[str, Any] = Webhook(secret).verify(asked.body, dict(asked.headers))
    return message


def is_over(delivery: Delivery) -> bool:
    return delivery["ended_at"] is not None


def test_the_end_of_a_job_is_told(place: Place) -> None:
    everything, failures = place.path(), place.path()
    own = place.path()
    webhook = place.webhook(everything, description="All that ends.")
    of_failures = place.webhook(failures, events=["job.failed", "batch.ended"])
    before = place.api.get("/api/webhooks").json()["webhooks"]
    assert [each["id"] for each in before] == [webhook["id"], of_failures["id"]]
    assert all("secret" not in each for each in before)
    spec = {
        "operations": [{"op": "probe"}],
        "metadata": {"customer": "42"},
        "webhook": {"url": place.receiver.url(own)},
    }
    job = place.api.post("/api/jobs", data={"spec": json.dumps(spec)}, files={"file": ("a.wav", b"no audio")}).json()
    secret = job["webhook"]["secret"]
    assert secret.startswith("whsec_")
    (asked,) = place.asked(everything)
    message = verified(webhook["secret"], asked)
    # It is no audio.
    shown = place.api.get(f"/api/jobs/{job['id']}").json()
    assert message == {"type": "job.failed", "timestamp": shown["finished_at"], "data": shown}
    assert shown["webhook"] == {"id": job["webhook"]["id"], "url": place.receiver.url(own), "secret": None}
    assert secret not in asked.body.decode()
    (to_failures,) = place.asked(failures)
    assert verified(of_failures["secret"], to_failures)["data"]["metadata"] == {"customer": "42"}
    (to_own,) = place.asked(own)
    assert verified(secret, to_own)["data"]["id"] == job["id"]
    with pytest.raises(WebhookVerificationError):
        verified(webhook["secret"], to_own)
    delivery = place.came_to(webhook, is_over)
    assert (delivery["status"], delivery["response_status"], delivery["attempts"]) == ("delivered", 204, 1)
    assert (delivery["event"], delivery["subject_id"], delivery["due_at"]) == ("job.failed", job["id"], None)
    assert asked.headers["webhook-id"] == delivery["id"]
    # A canceled one is told to whom it concerns.
    job = place.api.post(
        "/api/jobs",
        json={
            "input": {"id": job["input"]["id"]},
            "operations": [{"op": "probe"}],
            "not_before": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        },
    ).json()
    place.api.post(f"/api/jobs/{job['id']}/cancel")
    assert verified(webhook["secret"], place.asked(everything, 2)[1])["type"] == "job.canceled"
    for each in (webhook, of_failures):
        assert place.api.delete(f"/api/webhooks/{each['id']}").status_code == 204
    assert place.api.get(f"/api/webhooks/{webhook['id']}").status_code == 404
    assert len(place.asked(failures)) == 1


def test_the_end_of_a_batch_is_told_once(place: Place) -> None:
    own = place.path()
    upload = place.api.post("/api/uploads", files={"file": ("a.wav", b"no audio")}).json()
    body = {
        "name": "Season 3",
        "webhook": {"url": place.receiver.url(own)},
        "jobs": [{"input": {"id": upload["id"]}, "operations": [{"op": "probe"}]}] * 3,
    }
    batch = place.api.post("/api/batches", json=body).json()
    (asked,) = place.asked(own)
    message = verified(batch["webhook"]["secret"], asked)
    assert (message["type"], message["data"]["id"]) == ("batch.ended", batch["id"])
    assert message["data"]["counts"]["failed"] == 3
    assert message["data"]["has_ended"]
    assert place.delivery(batch["webhook"])["subject_id"] == batch["id"]


def test_what_receivers_do(place: Place) -> None:
    """Together, since each takes its time."""
    asked_of_busy: list[float] = []

    def in_turn(*handlers: Handler) -> Handler:
        left = list(handlers)

        async def write(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

        return write

    async def busy(asked: Asked, writer: asyncio.StreamWriter) -> None:
        asked_of_busy.append(time.monotonic())
        await answer(429, retry_after="2")(asked, writer)

    async def busy_until(asked: Asked, writer: asyncio.StreamWriter) -> None:
        # In whole seconds, so that it may be one second less.
        await answer(503, retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True))(
            asked, writer
        )

    async def hang(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    elsewhere = place.path()
    paths = {
        "refuses once": place.path(in_turn(answer(500), answer(500, b"x" * 1_000_000), answer(200, b"ok"))),
        "gone": place.path(answer(410)),
        "busy": place.path(in_turn(busy, answer(204))),
        "busy until": place.path(in_turn(busy_until, answer(204))),
        "redirects": place.path(answer(302, location=place.receiver.url(elsewhere))),
        "hangs": place.path(hang),
        "endless": place.path(endless),
    }
    webhooks = {name: place.webhook(path, events=["ping"]) for name, path in paths.items()}
    # Of this machine, but not allowed: refused, and not sent to where it has got in all the same.
    webhooks["private"] = place.webhook("", events=["ping"])
    changed = place.api.patch(f"/api/webhooks/{webhooks['private']['id']}", json={"url": "http://127.0.0.2:9/"})
    assert (changed.status_code, changed.json()["errors"][0]["pointer"]) == (422, "#/url")
    place.change(f"UPDATE webhooks SET url = 'http://127.0.0.2:9/' WHERE id = '{webhooks['private']['id']}'")
    deliveries = {name: place.ping(webhook) for name, webhook in webhooks.items()}

    def once(name: str, condition: Callable[[Delivery], bool]) -> Delivery:
        return place.came_to(webhooks[name], condition, of=deliveries[name])

    refused = once("refuses once", is_over)
    assert (refused["status"], refused["attempts"], refused["response_status"]) == ("delivered", 3, 200)
    attempts = place.asked(paths["refuses once"], 3)
    assert len({each.headers["webhook-id"] for each in attempts}) == 1
    assert len({each.body for each in attempts}) == 1
    assert verified(webhooks["refuses once"]["secret"], attempts[-1])["type"] == "ping"

    gone = once("gone", is_over)
    assert (gone["status"], gone["attempts"], gone["response_status"]) == ("failed", 1, 410)
    disabled = place.api.get(f"/api/webhooks/{webhooks['gone']['id']}").json()
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "The receiver answered 410 Gone.")

    waited = once("busy", is_over)
    assert waited["status"] == "delivered"
    assert len(asked_of_busy) == 1
    first, second = place.asked(paths["busy"], 2)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 1
    assert once("busy until", is_over)["status"] == "delivered"
    first, second = place.asked(paths["busy until"], 2)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 2

    redirected = once("redirects", lambda each: each["attempts"] >= 2)
    assert redirected["response_status"] == 302
    assert "not followed" in redirected["error"]
    assert all(each.path != elsewhere for each in place.receiver.asked)

    hung = once("hangs", lambda each: each["error"] is not None)
    assert hung["response_status"] is None
    assert "2 seconds" in hung["error"] or "silent" in hung["error"]
    assert hung["took_seconds"] < 10

    assert once("endless", is_over)["status"] == "delivered"

    private = once("private", lambda each: each["error"] is not None)
    assert "not on the internet" in private["error"]
    for webhook in webhooks.values():
        place.api.delete(f"/api/webhooks/{webhook['id']}")


def test_a_secret_is_rotated_with_an_overlap(place: Place) -> None:
    path = place.path()
    webhook = place.webhook(path, events=["ping"], secret="whsec_" + "c2VjcmV0" * 4)
    assert webhook["secret"] == "whsec_" + "c2VjcmV0" * 4
    rotated = place.api.post(f"/api/webhooks/{webhook['id']}/rotate").json()
    assert rotated["secret"] != webhook["secret"]
    place.ping(webhook)
    (asked,) = place.asked(path)
    assert verified(webhook["secret"], asked) == verified(rotated["secret"], asked)
    # A day later the old one is no more.
    place.change("UPDATE webhooks SET previous_secret_expires_at = now() - interval '1 s'")
    place.ping(webhook)
    asked = place.asked(path, 2)[1]
    verified(rotated["secret"], asked)
    with pytest.raises(WebhookVerificationError):
        verified(webhook["secret"], asked)


def test_a_message_is_given_up_counted_and_replayed(place: Place) -> None:
    path = place.path(answer(500))
    webhook = place.webhook(path, events=["ping"])
    delivery_id = place.ping(webhook)
    place.asked(path)
    place.change(f"UPDATE webhook_deliveries SET give_up_at = now() WHERE id = '{delivery_id}'")
    failed = place.came_to(webhook, is_over)
    assert (failed["status"], failed["response_status"]) == ("failed", 500)
    metrics = httpx.get(f"http://127.0.0.1:{place.system.monitor_port}/metrics", trust_env=False)
    assert metrics.status_code == 200
    place.receiver.handlers[path] = answer(200)
    replay = f"/api/webhooks/{webhook['id']}/deliveries/{delivery_id}/replay"
    assert place.api.post(replay).json()["status"] == "pending"
    again = place.came_to(webhook, lambda each: each["status"] == "delivered")
    assert (again["id"], again["attempts"]) == (delivery_id, 1)
    messages = place.asked(path, 2)
    assert len({each.body for each in messages}) == 1
    assert {each.headers["webhook-id"] for each in messages} == {delivery_id}
    assert place.api.post(replay.replace(webhook["id"], delivery_id)).status_code == 404
    assert place.api.post(replay.replace(delivery_id, webhook["id"])).status_code == 404


def test_waits_grow_to_eight_hours_for_three_days(place: Place) -> None:
    webhook = place.webhook(place.path(answer(500)), events=["ping"])
    delivery_id = place.ping(webhook)
    # Between half and all of 0.2 s here, of four times as long after each further attempt, and of eight hours.
    for attempts, longest in ((2, 0.8), (3, 3.2), (12, 28_800.0)):
        if attempts > 3:
            place.change(
                f"UPDATE webhook_deliveries SET attempts = {attempts - 1}, due_at = now(), dispatched_at = NULL "
                f"WHERE id = '{delivery_id}'"
            )
        tried = place.came_to(webhook, has_failed(attempts))
        waits = (moment(tried["due_at"]) - moment(tried["attempted_at"])).total_seconds() - tried["took_seconds"]
        # What is told to the database after the attempt takes a little time too.
        assert longest / 2 <= waits <= longest + 1
    (row,) = place.rows(f"SELECT give_up_at - created_at AS tried FROM webhook_deliveries WHERE id = '{delivery_id}'")
    assert row["tried"] == timedelta(days=3)


def has_failed(attempts: int) -> Callable[[Delivery], bool]:
    """So often, and the next attempt is due."""
    return lambda each: each["attempts"] == attempts and moment(each["due_at"]) > moment(each["attempted_at"])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_deliveries_are_listed_page_by_page_while_more_come(place: Place) -> None:
    webhook = place.webhook(place.path(), events=["ping"])
    sent = [place.ping(webhook) for _ in range(5)]
    path = f"/api/webhooks/{webhook['id']}/deliveries"
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = place.api.get(path, params=query).json()
        seen += [each["id"] for each in page["deliveries"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        place.ping(webhook)
    assert seen == sent[::-1]


def test_a_disabled_webhook_is_sent_nothing(place: Place) -> None:
    path = place.path()
    webhook = place.webhook(path, events=["ping"])
    assert not place.api.patch(f"/api/webhooks/{webhook['id']}", json={"enabled": False}).json()["enabled"]
    place.ping(webhook)
    assert "disabled" in place.came_to(webhook, is_over)["error"]
    assert all(each.path != path for each in place.receiver.asked)
    assert place.api.patch(f"/api/webhooks/{webhook['id']}", json={"enabled": True}).json()["enabled"]
    place.ping(webhook)
    place.asked(path)


def test_a_worker_dies_in_the_middle_of_a_delivery(place: Place) -> None:
    released = False

    async def hang(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if released:
            await answer(204)(asked, writer)
        else:
            await asyncio.sleep(30)

    path = place.path(hang)
    webhook = place.webhook(path, events=["ping"])
    delivery_id = place.ping(webhook)
    place.asked(path)
    place.system.kill(place.worker)
    released = True
    assert place.delivery(webhook)["status"] == "pending"
    place.worker = place.system.start_worker("heir", concurrency=4)
    # So much later the dead one's lease has run out, and its message is published again.
    place.change(
        "UPDATE webhook_deliveries SET lease_expires_at = now(), dispatched_at = now() - interval '31 s' "
        f"WHERE id = '{delivery_id}'"
    )
    delivery = place.came_to(webhook, is_over)
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 2)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/url"),
        ({"url": "ftp://example.com"}, "#/url"),
        ({"url": "https://"}, "#/url"),
        ({"url": "https://a b"}, "#/url"),
        ({"url": "https://user:password@example.com/"}, "#/url"),
        ({"url": "https://example.com:99999/"}, "#/url"),
        ({"url": "https://example.com/", "secret": "whsec_c2hvcnQ="}, "#/secret"),
        ({"url": "https://example.com/", "secret": "x" * 40}, "#/secret"),
        ({"url": "https://example.com/", "events": ["job.began"]}, "#/events/0"),
        ({"url": "https://example.com/", "description": "\x00"}, "#/description"),
        ({"url": "https://example.com/", "colour": "red"}, "#/colour"),
    ],
)
def test_a_webhook_that_is_none(place: Place, body: dict[str, Any], pointer: str) -> None:
    refused = place.api.post("/api/webhooks", json=body)
    assert refused.status_code == 422, refused.text
    assert [each["pointer"] for each in refused.json()["errors"]] == [pointer]
