"""What a benchmark says: rows with what they must reach, the machine, and a page that shows them."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil


@dataclass(frozen=True)
class Row:
    """One figure, and what it must reach. Rounds are given in the order in which they were run."""

    what: str
    wavemill: str
    """Wavemill's own figure, with its unit."""
    beside: str
    """The peer's, measured in the same run."""
    compared: Literal["ratio", "difference"]
    rounds: tuple[float, ...]
    """Of each round: the ratio, or the difference in its unit; none where it could not be measured."""
    must: float | None
    """None where there is nothing but an aim."""
    aim: float
    better: Literal["higher", "lower"]
    unit: str = "ms"
    """Of a difference."""
    faults: tuple[str, ...] = ()
    """Why it does not hold whatever its speed: a result that differs from the peer's; or why it was not measured."""

    @property
    def median(self) -> float | None:
        """Of the rounds."""
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def holds(self) -> bool | None:
        """Whether it reaches what it must, with the right result; None where it was not measured."""
        if not self.rounds:
            return None
        return not self.faults and (self.must is None or self._reaches(self.must))

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row of the table."""
        sign = "≥" if self.better == "higher" else "≤"
        measured = "not measured"
        if self.median is not None:
            spread = f"{self._shown(min(self.rounds))} to {self._shown(max(self.rounds))}"
            measured = f"{self._shown(self.median)} ({spread})"
        return (
            self.what,
            self.wavemill,
            self.beside,
            measured,
            "" if self.must is None else f"{sign} {self._shown(self.must)}",
            f"{sign} {self._shown(self.aim)}",
            "; ".join((self._verdict, *self.faults)),
        )

    @property
    def _verdict(self) -> str:
        if self.holds is None:
            return "not measured"
        if not self.holds:
            return "missed"
        if self.must is None:
            return "the aim" if self._reaches(self.aim) else "not the aim"
        return "yes, and the aim" if self._reaches(self.aim) else "yes"

    def _reaches(self, bound: float) -> bool:
        if self.median is None:
            return False
        return self.median >= bound if self.better == "higher" else self.median <= bound

    def _shown(self, figure: float) -> str:
        return f"{figure:.2f} x" if self.compared == "ratio" else f"{figure:.0f} {self.unit}"


HEADINGS = ("measured", "Wavemill", "beside it", "median (rounds)", "must", "aim", "holds")


@dataclass(frozen=True)
class Machine:
    """Where and when."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    at: str
    load_before: float
    """Load average of the last minute, before the benchmark itself began."""

    @classmethod
    def this(cls) -> "Machine":
        """This one, now."""
        return cls(
            processor=_processor(),
            cores=os.cpu_count() or 0,
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            load_before=round(os.getloadavg()[0], 2),
        )

    def __str__(self) -> str:
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gib} GiB, {self.system}, Python {self.python}; "
            f"{self.at}; load average before the run {self.load_before}"
        )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Outcome:
    """One run of a benchmark."""

    name: str
    machine: Machine
    rows: Sequence[Row]
    notes: Sequence[str]
    raw: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether no row misses what it must reach; a row that was not measured says so in the table."""
        return not any(row.holds is False for row in self.rows)

    def table(self) -> str:
        """The rows as a table of Markdown."""
        lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells for row in self.rows)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def keep(self, folder: Path) -> Path:
        """Write everything that was measured as JSON; gives the file."""
        folder.mkdir(parents=True, exist_ok=True)
        stamp = self.machine.at.replace(":", "").replace("-", "").removesuffix("+0000")
        path = folder / f"{self.name}-{stamp}.json"
        kept = {
            "machine": asdict(self.machine),
            "rows": [asdict(row) | {"median": row.median, "holds": row.holds} for row in self.rows],
            "notes": list(self.notes),
            "raw": dict(self.raw),
        }
        path.write_text(json.dumps(kept, indent=1) + "\n")
        return path

    def write_into(self, page: Path) -> None:
        """Put the machine, the table and the notes between this benchmark's markers on a page.

        Raises:
            ValueError: the page has no such markers.
        """
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        text = page.read_text()
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise ValueError(f"{page} lacks the markers of the benchmark {self.name}")
        notes = "\n".join(f"- {note}" for note in self.notes)
        page.write_text(f"{before}{begin}\n{self.machine}.\n\n{self.table()}\n\n{notes}\n{end}{after}")
