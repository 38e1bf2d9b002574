"""Any chain of edits on any audio: samples come out, all of them numbers, or an error that says why not."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.worker.audio import errors
from services.worker.audio.edits import Chain, Holds
from services.worker.audio.inputs import Extra, Inputs
from services.worker.audio.layouts import STANDARD_LAYOUTS
from services.worker.audio.limits import Limits
from services.worker.audio.pcm import Block, Pcm, Resolution
from shared.schema.edits import Edits
from tests.unit.audio.signals import save, voice_like

SECONDS = st.floats(0, 2) | st.floats(0, 60)
DBFS = st.floats(-80, 0)


def edit(kind: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"edit": st.just(kind), **parameters})


EDITS = st.one_of(
    edit("trim", start_seconds=st.floats(0, 0.2), duration_seconds=st.floats(0.01, 9)),
    edit("fade", in_seconds=SECONDS, out_seconds=st.floats(0.001, 60)),
    edit("intro", input=st.just("a"), crossfade_seconds=SECONDS),
    edit("outro", input=st.just("a"), crossfade_seconds=SECONDS),
    edit("concatenate", inputs=st.just(["a", "a"]), crossfade_seconds=SECONDS),
    edit("trim_silence", threshold_dbfs=DBFS, padding_seconds=SECONDS),
    edit("remove_silence", threshold_dbfs=DBFS, min_seconds=st.floats(0.6, 2)),
    edit("high_pass", frequency_hz=st.floats(5, 4000), order=st.integers(1, 8)),
    edit("denoise", reduction_db=st.floats(1, 60)),
)
SIGNALS = st.tuples(
    st.sampled_from([50, 1000, 8000, 44_100, 192_000]),
    st.integers(1, 8),
    st.sampled_from([1, 2, 99, 7000, 30_000]),
    st.sampled_from([0, 1e-3, 0.5, 1e6]),
)
"""Sample rate, channels, frames, and the largest sample."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A further input: half a second of stereo."""
    path = save(tmp_path_factory.mktemp("inputs") / "a.wav", voice_like(0.5, 11_025, 2), 11_025)
    inputs = Inputs({"a": Extra(path)}, Limits())
    inputs.check(frozenset({"a"}))
    return inputs


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=st.lists(EDITS, min_size=1, max_size=4), signal=SIGNALS, size=st.sampled_from([1500, 1 << 17]))
def test_any_edits(
    tmp_path: Path, inputs: Inputs, chain: list[dict[str, Any]], signal: tuple[int, int, int, float], size: int
) -> None:
    rate, channels, frames, loudest = signal
    samples = (loudest * np.random.default_rng(frames).uniform(-1, 1, (channels, frames))).astype(np.float32)
    edits = TypeAdapter(Edits).validate_python(chain)

    def blocks() -> Iterator[Block]:
        for start in range(0, frames, size):
            yield Block.ready(samples[:, start : start + size], 0.0)

    own = Chain(edits, Pcm(rate, STANDARD_LAYOUTS[channels][1], Resolution.FLOAT), inputs, Holds(tmp_path))
    try:
        out = list(own.apply(blocks()))
    except errors.EditImpossible:
        return
    assert {len(piece.samples) for piece in out} == {channels}
    assert all(piece.samples.shape[1] == own.pcm.block_frames for piece, _ in itertools.pairwise(out))
    assert all(np.isfinite(piece.samples).all() for piece in out)
    assert not list(tmp_path.iterdir())
