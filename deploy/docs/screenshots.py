"""`make screenshots`: the pictures of docs/images/, taken of a real Wavemill under load by the system's chromium."""

import importlib.util
import io
import json
import os
import random
import secrets
import shutil
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from deploy.local.errors import LocalError
from deploy.local.processes import free_port
from deploy.local.servers import PostgresServer, RedisServer
from deploy.local.stack import CHECKOUT, Plan, Stack

IMAGES = CHECKOUT / "docs" / "images"
LOAD_SECONDS = 150.0
_KEY = secrets.token_urlsafe(32)
_RECORDING_PACKAGE = "moonshine_voice"
_WIDTH = 1200
_PHONE = (390, 780)
_SETTLE_SECONDS = 8.0


class Load:
    """Clients that submit short clips all the time, long episodes now and then, and files that are no audio."""

    def __init__(self, api_url: str) -> None:
        self._client = httpx.Client(base_url=api_url, timeout=60, trust_env=False)
        self._random = random.Random(5)
        frames = _recording()
        self._clip, self._episode = _wav(frames, seconds=3), _wav(frames, seconds=1800)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._submit, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.close()

    def _submit(self) -> None:
        number = 0
        while not self._stopping.wait(self._random.uniform(0.1, 0.5)):
            number += 1
            priority = self._random.choice(("high", "default", "default", "low"))
            self._post(self._clip, f"interview-{number:03}.wav", priority, {"op": "loudness"}, {"op": "waveform"})
            if number % 23 == 0:
                self._post(b"ID3, and then nothing", f"upload-{number:03}.mp3", "default", {"op": "probe"})
            if number % 60 == 1:
                master = {"op": "normalize", "target_lufs": -16, "format": "mp3"}
                self._post(self._episode, f"episode-{number:03}.wav", "default", master, {"op": "spectrogram"})

    def _post(self, audio: bytes, filename: str, priority: str, *operations: dict[str, object]) -> None:
        spec = json.dumps({"operations": operations, "priority": priority})
        self._client.post("/api/jobs", data={"spec": spec}, files={"file": (filename, audio)}).raise_for_status()


def main() -> int:
    """Exit code 0 when the pictures are written."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium on the PATH; install it, as by `apt-get install chromium`.", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    try:
        with _stack() as plan, Load(plan.api_url), sync_playwright() as playwright:
            print(f"Under load for {LOAD_SECONDS:.0f} s ...", flush=True)
            time.sleep(LOAD_SECONDS)
            # Its sandbox wants another user than root, and a kernel's leave; the pages are our own.
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            _take_all(browser.new_context(base_url=plan.monitor_url).new_page())
            browser.close()
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _take_all(page: Page) -> None:
    page.set_viewport_size({"width": _WIDTH, "height": 900})
    page.goto("/")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Admin key").fill(_KEY)
    page.get_by_role("button", name="Log in").click()
    _act(page, "#queues tr:has-text('low') a", "operations-confirm")
    _act(page, "#workers article:has-text('worker2') a.button")
    time.sleep(_SETTLE_SECONDS)
    page.goto("/")
    # Until it says that it is live.
    page.wait_for_selector("#live.is-live")
    _take(page, "operations-board")
    page.emulate_media(color_scheme="dark")
    _take(page, "operations-board-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": _PHONE[0], "height": _PHONE[1]})
    _take(page, "operations-phone")
    page.set_viewport_size({"width": _WIDTH, "height": 760})
    page.locator("#failed table a.id").first.click()
    page.wait_for_selector("#live.is-live")
    _take(page, "operations-job")


def _act(page: Page, link: str, name: str | None = None) -> None:
    page.locator(link).first.click()
    if name is not None:
        page.set_viewport_size({"width": 700, "height": 420})
        _take(page, name)
        page.set_viewport_size({"width": _WIDTH, "height": 900})
    page.locator("button.main").click()


def _take(page: Page, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot()))
    path = IMAGES / f"{name}.png"
    # A page has few colours: a palette holds them in a third of the bytes.
    picture.convert("RGB").quantize(128).save(path, optimize=True)
    print(f"{path.relative_to(CHECKOUT)}: {path.stat().st_size // 1024} KiB", flush=True)


@contextmanager
def _stack() -> Iterator[Plan]:
    """A Wavemill with two workers, which shares nothing with what the environment or `.env` names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAVEMILL_", "OTEL_"))}
    with tempfile.TemporaryDirectory(prefix="wavemill-screenshots-") as folder, PostgresServer() as postgres:
        api_port, monitor_port = free_port(), free_port()
        plan = Plan(
            environment={
                **kept,
                "DATABASE_URL": postgres.url,
                "REDIS_DB": "0",
                "WAVEMILL_DATA_DIR": folder,
                "WAVEMILL_BLOB_URL": (Path(folder) / "blobs").as_uri(),
                "WAVEMILL_API_PORT": str(api_port),
                "WAVEMILL_MONITOR_PORT": str(monitor_port),
                "WAVEMILL_ADMIN_KEY": _KEY,
            },
            redis=RedisServer(Path(folder) / "redis"),
            api_port=api_port,
            monitor_port=monitor_port,
            workers=2,
        )
        with Stack(plan, lambda _service, _line: None):
            yield plan


def _recording() -> bytes:
    """Speech, 48 kHz mono, 16 bit; the package is not imported, but has it."""
    package = importlib.util.find_spec(_RECORDING_PACKAGE)
    if package is None or package.origin is None:
        raise LocalError(f"The package {_RECORDING_PACKAGE} is not installed, whose recording is the load.")
    with wave.open(str(Path(package.origin).parent / "assets" / "two_cities.wav")) as file:
        frames: bytes = file.readframes(file.getnframes())
    return frames


def _wav(frames: bytes, *, seconds: int) -> bytes:
    """So much of the frames, again and again."""
    wanted = seconds * 48000 * 2
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 48000, 0, "NONE", ""))
        written.writeframes((frames * (wanted // len(frames) + 1))[:wanted])
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
