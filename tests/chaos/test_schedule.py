"""The faults of a seed."""

from collections import Counter
from itertools import pairwise

from tests.chaos.schedule import Kind, drawn


def test_a_seed_has_its_faults_and_another_has_others() -> None:
    first, again, other = (drawn(seed, first=3.0, last=300.0, gap=(3.0, 6.0)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_kind_comes_before_any_comes_again_and_gaps_are_kept() -> None:
    faults = drawn(5, first=3.0, last=300.0, gap=(3.0, 6.0))
    whole = len(faults) // len(Kind)
    assert whole >= 2
    for deal in range(whole):
        dealt = faults[deal * len(Kind) : (deal + 1) * len(Kind)]
        assert Counter(fault.kind for fault in dealt) == Counter(Kind)
    gaps = [after.at - before.at for before, after in pairwise(faults)]
    assert faults[0].at == 3.0
    assert faults[-1].at < 300.0
    assert min(gaps) >= 2.98
    assert max(gaps) <= 6.02
