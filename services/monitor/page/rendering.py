"""Templates to answers, and how values are written in them."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.monitor.page.actions import WORDINGS, Act
from services.monitor.page.security_headers import STATIC
from shared.schema.jobs import JobStatus

_FOLDER = Path(__file__).parent
STATIC_FOLDER = _FOLDER / "static"
_NOTHING = "\u2013"


def _asset(name: str) -> str:
    """The address of a static file, which changes with its content."""
    digest = hashlib.sha256((STATIC_FOLDER / name).read_bytes()).hexdigest()
    return f"{STATIC}{name}?{digest[:12]}"


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units, as "2 min 5 s"."""
    if seconds is None:
        return _NOTHING
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    for size, unit, smaller_size, smaller in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    raise AssertionError("not reached: a minute is the smallest of the sizes")


def elapsed(seconds: float | None) -> str:
    """A length of time that was measured: to a hundredth of a second, where it is short."""
    return duration(seconds) if seconds is None or seconds >= 10 else f"{seconds:.2f} s"


def age(moment: datetime | None) -> str:
    """How long ago a moment was."""
    return _NOTHING if moment is None else duration((datetime.now(UTC) - moment).total_seconds())


def clock(moment: datetime | None) -> str:
    """A moment in UTC, to the second."""
    return _NOTHING if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def size(count: int) -> str:
    """Bytes in a unit that suits them."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def number(value: int | None) -> str:
    """A number with its thousands apart."""
    return _NOTHING if value is None else f"{value:,}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        # Every template, whatever it is called: file names and error messages come from anywhere.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "elapsed": elapsed,
        "age": age,
        "clock": clock,
        "size": size,
        "number": number,
    }
    environment.globals |= {
        "style_url": _asset("page.css"),
        "script_url": _asset("live.js"),
        "icon_url": _asset("icon.svg"),
        "WORDINGS": WORDINGS,
        "Act": Act,
        "STATUSES": list(JobStatus),
    }
    return environment


_templates = _environment()


def render(template: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(_templates.get_template(template).render(values), status_code=http_status)


def message(title: str, text: str, *, status: int, again_after: int | None = None) -> HTMLResponse:
    """A page that says one thing; the browser may ask again after some seconds."""
    return render("message.html", http_status=status, title=title, text=text, again_after=again_after, visitor=None)
