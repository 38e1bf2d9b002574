"""Who may see the operations page, and who may act on it: a monitor as a process, asked over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from deploy.local.servers import RedisServer
from shared.store.audit import AuditTrail
from shared.store.queue_pauses import QueuePauses
from tests.integration.monitor.conftest import House
from tests.integration.monitor.monitor_process import MonitorProcess
from tests.operator import KEY, Operator, form_fields

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

Start = Callable[..., AbstractContextManager[Operator]]


@pytest.fixture
def start(house: House, database_url: str, redis_server: RedisServer, tmp_path: Path) -> Start:
    """Start a monitor with some settings; gives a browser on it that has not logged in."""

    @contextmanager
    def started(**settings: object) -> Iterator[Operator]:
        monitor = MonitorProcess(database_url=database_url, redis=redis_server, folder=tmp_path, **settings)
        with monitor, Operator(monitor.port) as operator:
            yield operator

    return started


async def nothing_was_done(house: House) -> bool:
    return not await QueuePauses(house.database).all() and not await AuditTrail(house.database).page(
        before=None, limit=1
    )


async def test_with_a_key_nothing_is_seen_before_the_login_and_all_of_it_after(start: Start, house: House) -> None:
    (job_id,) = await house.create()
    with start(admin_key=KEY) as operator:
        for path in ("/", "/jobs", f"/jobs/{job_id}", "/search?job=0", "/audit", "/confirm?act=pause&target=low"):
            answer = operator.client.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login"), path
        assert operator.client.get("/metrics").status_code == 200
        asked = f"/jobs/{job_id}"
        answer = operator.client.get(asked)
        assert answer.url.path == "/login"
        answer = operator.client.post("/login", data={**form_fields(answer.text), "key": KEY, "name": "Ada"})
        # On to what was asked for.
        assert answer.url.path == asked
        assert str(job_id) in answer.text
        answer = operator.client.post("/logout", data={"csrf": operator.token()})
        assert answer.url.path == "/login"
        assert operator.client.get("/", follow_redirects=False).status_code == 303


async def test_a_wrong_key_is_refused_and_soon_no_more_are_looked_at(start: Start, house: House) -> None:
    with start(admin_key=KEY) as operator:
        for wrong in ("", "x", KEY[:-1], KEY + "x", "ключ"):
            answer = operator.log_in(wrong)
            assert (answer.status_code, "not the admin key" in answer.text) == (401, True)
        # Not even the right one now.
        answer = operator.log_in(KEY)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 300
        assert operator.client.get("/", follow_redirects=False).status_code == 303
        assert await nothing_was_done(house)


async def test_a_form_without_the_sessions_token_does_nothing(start: Start, house: House) -> None:
    with start(admin_key=KEY) as operator, Operator(operator.client.base_url.port or 0) as other:
        assert operator.log_in().status_code == 200
        fields = {"act": "pause", "target": "low"}
        other.log_in()
        for token in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": other.token()}):
            answer = operator.client.post("/actions", data={**fields, **token})
            assert answer.status_code == 403, token
        # With the right one too, if the browser says that the form is another site's.
        right = {**fields, "csrf": operator.token()}
        answer = operator.client.post("/actions", data=right, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert operator.client.post("/login", data={"key": KEY}).status_code == 403
        assert operator.client.post("/logout", data={}).status_code == 403
        # By address alone nothing is done.
        assert operator.client.get("/actions", params=right).status_code == 405
        assert await nothing_was_done(house)
        assert operator.client.post("/actions", data=right).status_code == 200
        assert list(await QueuePauses(house.database).all()) == ["low"]


async def test_who_is_not_logged_in_does_nothing(start: Start, house: House) -> None:
    with start(admin_key=KEY) as operator:
        token = form_fields(operator.page("/login"))["csrf"]
        answer = operator.client.post("/actions", data={"csrf": token, "act": "pause", "target": "low"})
        assert answer.status_code == 403
        for forged in ("x", "W251bGwsIngiXQ.aaaaaa.bbbbbb"):
            operator.client.cookies.clear()
            operator.client.cookies.set("wavemill_session", forged)
            assert operator.client.get("/", follow_redirects=False).status_code == 303
        assert await nothing_was_done(house)


async def test_another_key_ends_every_session(start: Start, house: House) -> None:
    with start(admin_key=KEY) as operator:
        operator.log_in()
        cookie = operator.client.cookies["wavemill_session"]
    with start(admin_key=KEY) as operator:
        operator.client.cookies.set("wavemill_session", cookie)
        assert operator.client.get("/", follow_redirects=False).status_code == 200
    with start(admin_key=KEY[::-1]) as operator:
        operator.client.cookies.set("wavemill_session", cookie)
        assert operator.client.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("with_key", [True, False])
async def test_a_read_only_page_shows_and_does_nothing(start: Start, house: House, with_key: bool) -> None:
    (job_id,) = await house.create()
    settings = {"admin_key": KEY, "monitor_read_only": True} if with_key else {}
    with start(**settings) as operator:
        if with_key:
            operator.log_in()
        page = operator.page(f"/jobs/{job_id}")
        assert str(job_id) in page
        assert "/confirm" not in page
        assert "/confirm" not in operator.page("/")
        token = operator.token() if with_key else "x"
        for act, target in (("pause", "low"), ("cancel", str(job_id)), ("drain", "w"), ("requeue", "x")):
            assert operator.client.get("/confirm", params={"act": act, "target": target}).status_code == 403
            answer = operator.client.post("/actions", data={"csrf": token, "act": act, "target": target})
            assert answer.status_code == 403
        assert (await house.view(job_id)).status == "queued"
        assert await nothing_was_done(house)


async def test_without_a_key_it_is_shown_on_its_own_machine_only(start: Start) -> None:
    with start() as operator:
        assert "Queues" in operator.page("/")
        for header, value in (
            ("Host", "wavemill.example"),
            ("Host", "127.0.0.1.attacker.example"),
            ("X-Forwarded-For", "192.0.2.7"),
            ("Forwarded", "for=192.0.2.7"),
            ("Via", "1.1 proxy"),
        ):
            answer = operator.client.get("/", headers={header: value})
            assert (answer.status_code, "WAVEMILL_ADMIN_KEY" in answer.text) == (403, True), header
        assert operator.client.get("/login").status_code == 403
    with start(monitor_host="0.0.0.0") as operator:
        assert operator.client.get("/").status_code == 403
        assert operator.client.get("/metrics").status_code == 200


async def test_the_cookie_is_for_this_page_alone(start: Start) -> None:
    with start(admin_key=KEY) as operator:
        plain = operator.client.get("/login").headers["set-cookie"].lower().split("; ")
        assert {"httponly", "samesite=strict", "path=/"} <= set(plain)
        assert "secure" not in plain
        # As a proxy on this machine says it, which ends TLS.
        operator.client.cookies.clear()
        answer = operator.client.get("/login", headers={"X-Forwarded-Proto": "https"})
        assert "secure" in answer.headers["set-cookie"].lower().split("; ")


async def test_every_answer_tells_the_browser_what_not_to_do(start: Start) -> None:
    with start(admin_key=KEY) as operator:
        operator.log_in()
        for path, status in (
            ("/", 200),
            ("/login", 200),
            ("/nothing", 404),
            ("/jobs/x", 422),
            ("/static/live.js", 200),
        ):
            answer = operator.client.get(path)
            assert answer.status_code == status
            policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
            assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert ("no-store" in answer.headers["cache-control"]) == (not path.startswith("/static")), path


async def test_a_login_leads_nowhere_else(start: Start) -> None:
    with start(admin_key=KEY) as operator:
        for to in ("https://attacker.example/", "//attacker.example/", "/\\attacker.example", "javascript:alert(1)"):
            fields = form_fields(operator.page("/login"))
            answer = operator.client.post("/login", data={**fields, "to": to, "key": KEY}, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), to


def test_a_form_that_is_too_large_is_not_read(start: Start) -> None:
    with start(admin_key=KEY) as operator:
        operator.page("/login")
        answer = operator.client.post("/login", data={"key": "x" * 100_000})
        assert answer.status_code == 403
