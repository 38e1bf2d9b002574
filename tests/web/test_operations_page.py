"""The operations page in a real browser: what is there updates by itself, and an operator clicks through it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from redis import Redis

from deploy.local.processes import LOCALHOST
from deploy.local.servers import RedisServer
from tests.audio_files import noise, recording
from tests.operator import KEY
from tests.programs import program
from tests.system import System

PATIENCE_MS = 30_000
# Minutes of work: two AAC encodes of an hour.
SLOW: tuple[dict[str, object], ...] = (
    {"op": "transcode", "format": "aac", "sample_rate": 48000},
    {"op": "transcode", "format": "aac", "sample_rate": 44100},
)
# As a client may call a file; in a page it must be text.
HOSTILE = "<img src=x onerror=document.title='owned'>.wav"


@pytest.fixture
def chromium() -> str:
    return program("chromium")


@pytest.fixture
def system(
    chromium: str, postgres_url: str, redis_server: RedisServer, redis: Redis, tmp_path: Path
) -> Iterator[System]:
    with System(tmp_path, database_url=postgres_url, redis=redis_server, admin_key=KEY) as system:
        system.start(concurrency=1)
        yield system


@pytest.fixture
def browser(chromium: str, system: System) -> Iterator[Browser]:
    """A browser. Playwright holds the thread's event loop, which `system` needs before it and after it."""
    with sync_playwright() as playwright:
        # Its sandbox wants another user than root, and a kernel's leave; the pages are our own.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(system: System, browser: Browser) -> Iterator[Page]:
    """A page that has been logged in to. A script that fails, or that the policy refuses, fails the test."""
    context = browser.new_context(base_url=f"http://{LOCALHOST}:{system.monitor_port}")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/jobs")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Admin key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"http://{LOCALHOST}:{system.monitor_port}/jobs")
    yield page
    assert [text for text in complaints if "ERR_INTERNET_DISCONNECTED" not in text] == []
    context.close()


def test_the_board_follows_a_job_without_being_loaded_again(system: System, page: Page, tmp_path: Path) -> None:
    hour = noise(tmp_path / "hour.wav", seconds=3600, channels=1, rate=8000)
    page.goto("/")
    expect(page.locator("#recent")).to_contain_text("None.")
    page.evaluate("window.loadedOnce = true")
    job_id = system.submit(hour, *SLOW, filename=HOSTILE)["id"]
    expect(page.locator("#recent")).to_contain_text(HOSTILE)
    expect(page.locator("#recent img")).to_have_count(0)
    expect(page.locator("#workers")).to_contain_text("1 of 1 busy")
    bar = page.locator("#workers progress")
    seen: set[str | None] = set()
    deadline = time.monotonic() + 60
    while len(seen) < 3:
        assert time.monotonic() < deadline, seen
        seen.add(bar.get_attribute("value"))
        time.sleep(0.2)
    expect(page.locator("#live")).to_have_text("live")
    page.context.set_offline(True)
    expect(page.locator("#live")).to_contain_text("no answer")
    page.context.set_offline(False)
    expect(page.locator("#live")).to_have_text("live")
    system.client.post(f"/api/jobs/{job_id}/cancel")
    expect(page.locator("#recent .status")).to_have_text("canceled")
    expect(page.locator("#workers")).to_contain_text("Idle.")
    assert page.evaluate("window.loadedOnce") is True
    assert "owned" not in page.title()


def test_an_operator_pauses_finds_cancels_retries_and_resumes(system: System, page: Page) -> None:
    page.goto("/")
    row = page.locator("#queues tr", has_text="default")
    row.get_by_role("link", name="Pause").click()
    expect(page.get_by_role("heading")).to_have_text("Pause a queue?")
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.locator(".notice")).to_contain_text("No job of the queue is begun.")
    expect(row).to_contain_text("paused")

    job_id = system.submit(recording(), {"op": "probe"})["id"]
    page.get_by_role("searchbox").fill(job_id[:-4])
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(job_id)
    expect(page.locator("#job .status").first).to_have_text("queued")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Back").click()
    expect(page.locator("#job .status").first).to_have_text("queued")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job .status").first).to_have_text("canceled")
    page.get_by_role("link", name="Retry").click()
    page.get_by_role("button", name="Retry the job").click()
    expect(page.locator("#job .status").first).to_have_text("queued")

    page.get_by_role("link", name="Board").click()
    row.get_by_role("link", name="Resume").click()
    page.get_by_role("button", name="Resume the queue").click()
    assert system.finished(job_id)["status"] == "succeeded"
    expect(page.locator("#recent .status")).to_have_text("succeeded")

    page.get_by_role("link", name="Audit", exact=True).first.click()
    expect(page.locator(".audit tbody tr")).to_have_count(4)
    expect(page.locator(".audit")).to_contain_text("Ada (127.0.0.1)")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading")).to_have_text("Log in")


def test_it_works_without_scripts_and_updates_all_the_same(system: System, browser: Browser) -> None:
    context = browser.new_context(
        base_url=f"http://{LOCALHOST}:{system.monitor_port}", java_script_enabled=False, color_scheme="dark"
    )
    page = context.new_page()
    expect.set_options(timeout=PATIENCE_MS)
    page.goto("/")
    page.get_by_label("Admin key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#recent")).to_contain_text("None.")
    system.submit(recording(), {"op": "probe"})
    expect(page.locator("#recent .status")).to_have_text("succeeded")
    context.close()


def test_it_fits_a_phone_and_is_dark_where_that_is_wanted(system: System, page: Page) -> None:
    long_name = "a-recording-with-a-name-that-goes-on-" * 5 + ".wav"
    job_id = system.submit(b"no audio", {"op": "probe"}, filename=long_name)["id"]
    system.finished(job_id)
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/", "/jobs", f"/jobs/{job_id}", "/audit", "/confirm?act=pause&target=low"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 247, 248)", "rgb(20, 24, 27)"]
