"""The figures of runs: as a table for the terminal, and as docs/reliability.md."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from string import Template

from tests.chaos import verdict
from tests.chaos.load import Answer
from tests.chaos.run import Outcome
from tests.chaos.schedule import Kind
from tests.system import ROOT

PAGE = ROOT / "docs" / "reliability.md"
_TEMPLATE = Path(__file__).with_name("reliability.md.template")


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures in Markdown: one column for each run."""
    rows: list[tuple[str, Callable[[Outcome], object]]] = [
        ("length of the run, s", lambda run: round(run.seconds)),
        ("submissions accepted (202)", lambda run: run.by_answer.get(Answer.ACCEPTED, 0)),
        ("refused (503, try again)", lambda run: run.by_answer.get(Answer.REFUSED, 0)),
        ("answer unknown: the connection broke", lambda run: run.by_answer.get(Answer.UNKNOWN, 0)),
        ("... of these, jobs that were there", _unknown_but_there),
        ("jobs succeeded", lambda run: _by_status(run)["succeeded"]),
        ("jobs failed: no audio, as they should", lambda run: _failed(run, is_audio=False)),
        ("jobs failed: attempts spent on faults", lambda run: _failed(run, is_audio=True)),
        ("jobs canceled", lambda run: _by_status(run)["canceled"]),
        ("canceled, and tried again as their user wanted", _reopened),
        ("attempts lost with their worker", lambda run: _by_outcome(run)["lost"]),
        ("attempts handed back at a shutdown", lambda run: _by_outcome(run)["handed_back"]),
        ("attempts retried after a store's outage", lambda run: _by_outcome(run)["retried"]),
        ("event streams followed", lambda run: sum(one.followed for one in run.evidence.submissions)),
        ("events seen", lambda run: sum(len(one.events) for one in run.evidence.submissions)),
        ("faults", lambda run: len(run.faults)),
        ("alerts that they raised", _alerts),
        *((f"**{kind}**", _breaches_of(kind)) for kind in verdict.KINDS),
        ("longest recovery of a job from a dead worker, s", lambda run: f"{run.longest_recovery:.1f}"),
        ("last job ended after the last fault, s", lambda run: f"{run.quiet_after:.1f}"),
        ("blobs left by lost attempts and broken requests", lambda run: len(run.orphaned)),
    ]
    return _markdown(["", *(f"seed {run.plan.seed}" for run in outcomes)], rows, outcomes)


def faults_table(outcomes: Sequence[Outcome]) -> str:
    """How often each fault was done, in Markdown."""
    rows = [(str(kind), _done_of(kind)) for kind in Kind]
    return _markdown(["fault", *(f"seed {run.plan.seed}" for run in outcomes)], rows, outcomes)


def write_page(outcomes: Sequence[Outcome], machine: str) -> None:
    """Write docs/reliability.md from the runs."""
    template = Template(_TEMPLATE.read_text())
    page = template.substitute(machine=machine, figures=table(outcomes), faults=faults_table(outcomes))
    PAGE.write_text(page)


def _markdown(
    head: Sequence[str], rows: Sequence[tuple[str, Callable[[Outcome], object]]], runs: Sequence[Outcome]
) -> str:
    lines = [
        head,
        ["---", *["---:" for _ in runs]],
        *([name, *(str(value(run)) for run in runs)] for name, value in rows),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _breaches_of(kind: str) -> Callable[[Outcome], object]:
    return lambda run: f"**{run.by_kind.get(kind, 0)}**"


def _alerts(run: Outcome) -> str:
    return "not looked at" if run.alerts is None else ", ".join(run.alerts) or "none"


def _done_of(kind: Kind) -> Callable[[Outcome], object]:
    return lambda run: Counter(fault.kind for fault, _ in run.faults)[kind]


def _by_status(run: Outcome) -> Counter[str]:
    return Counter(job.status for job in run.evidence.jobs)


def _by_outcome(run: Outcome) -> Counter[str | None]:
    return Counter(attempt.outcome for attempt in run.evidence.attempts)


def _failed(run: Outcome, *, is_audio: bool) -> int:
    sort = {submission.filename: submission.recipe.is_audio for submission in run.evidence.submissions}
    return sum(job.status == "failed" and sort.get(job.filename) is is_audio for job in run.evidence.jobs)


def _reopened(run: Outcome) -> int:
    return sum(case.reopened for case in verdict.cases(run.evidence).values())


def _unknown_but_there(run: Outcome) -> int:
    there = {job.filename for job in run.evidence.jobs}
    return sum(submission.filename in there for submission in run.answered(Answer.UNKNOWN))
