"""The judgement of a run's alerts sees one too many, and one that was missed."""

from dataclasses import replace

from tests.chaos.evidence import AttemptRow
from tests.chaos.test_verdict import sound
from tests.chaos.verdict import WRONG_ALERT
from tests.chaos.watching import Alerts, breaches
from tests.deploy.test_alert_rules import ALERTS

NONE: frozenset[str] = frozenset()
LOST = frozenset({"AttemptsLost"})


def test_an_alert_without_a_reason_is_a_breach() -> None:
    (breach,) = breaches(Alerts(frozenset({"TwoReconcilers", "AttemptsLost"}), NONE), sound())
    assert breach.kind == WRONG_ALERT
    assert "TwoReconcilers" in breach.what
    assert {"TwoReconcilers", "AttemptsLost"} <= ALERTS.keys()


def test_lost_attempts_have_to_raise_their_alert() -> None:
    evidence = sound()
    # One is no alarm yet, as the rule says.
    assert breaches(Alerts(NONE, NONE), evidence) == []
    lost = [AttemptRow("9", number, "lost", True) for number in (1, 2)]
    evidence = replace(evidence, attempts=[*evidence.attempts, *lost])
    (breach,) = breaches(Alerts(NONE, NONE), evidence)
    assert "3 attempts were lost" in breach.what
    assert breaches(Alerts(LOST, LOST), evidence) == []
    # A run may end while it is about to fire.
    assert breaches(Alerts(NONE, LOST), evidence) == []
