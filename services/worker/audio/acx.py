"""The rules of ACX for the files of an audiobook.

Levels and format are those of "What are the ACX audio submission requirements?"
(https://help.acx.com/s/article/what-are-the-acx-audio-submission-requirements). ACX does not say how the noise floor is
measured: it is the RMS of the quietest half second here, as in Audacity's plug-in ACX Check. RMS is over all samples of
all channels; a full-scale sine has -3.01 dBFS.
"""

import math

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.loudness.meter import decibels
from services.worker.audio.mpeg import constant_kbps
from services.worker.audio.pcm import Pcm, Samples
from services.worker.audio.source import Source
from shared.schema.results import AcxReport, AcxRule

_STEPS_A_SECOND = 100
_WINDOW_STEPS = 50
_SAMPLE_RATE = 44_100
_LEAST_KBPS = 192
_LONGEST_SECONDS = 120 * 60


class AcxMeter:
    """A consumer of blocks that measures what the rules are about."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm
        self._step = max(1, round(pcm.sample_rate / _STEPS_A_SECOND))
        self._frames = 0
        self._power = 0.0
        self._peak = 0.0
        self._quietest = math.inf
        self._rest: NDArray[np.float64] = np.empty(0)
        self._recent: NDArray[np.float64] = np.empty(0)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        powers = np.square(samples, dtype=np.float64).mean(axis=0)
        self._frames += len(powers)
        self._power += float(powers.sum())
        self._peak = max(self._peak, float(samples.max()), -float(samples.min()))
        waiting = np.concatenate((self._rest, powers))
        whole = len(waiting) // self._step * self._step
        self._rest = waiting[whole:].copy()
        steps = np.concatenate((self._recent, waiting[:whole].reshape(-1, self._step).mean(axis=1)))
        if len(steps) >= _WINDOW_STEPS:
            windows = np.lib.stride_tricks.sliding_window_view(steps, _WINDOW_STEPS).mean(axis=1)
            self._quietest = min(self._quietest, float(windows.min()))
        self._recent = steps[1 - _WINDOW_STEPS :]

    def finish(self) -> None:
        """Of less than half a second, all of it is the quietest."""
        if self._quietest == math.inf:
            self._quietest = self._power / max(1, self._frames)

    def report(self, source: Source | None) -> AcxReport:
        """All rules; without a source, which is to be a file that can be handed in, those about what is heard."""
        rms = math.sqrt(self._power / max(1, self._frames))
        rules = [
            _rule("rms", decibels(rms), "dBFS", -23.0, -18.0),
            _rule("peak", decibels(self._peak), "dBFS", None, -3.0),
            _rule("noise_floor", decibels(math.sqrt(self._quietest)), "dBFS", None, -60.0),
            _rule("length", self._frames / self._pcm.sample_rate, "s", None, _LONGEST_SECONDS),
        ]
        if source is not None:
            rules += [
                _rule("sample_rate", source.pcm.sample_rate, "Hz", _SAMPLE_RATE, _SAMPLE_RATE),
                _rule("channels", len(source.pcm.channels), "", 1, 2),
                _rule("constant_mp3_bitrate", _constant_mp3_kbps(source), "kbit/s", _LEAST_KBPS, None),
            ]
        return AcxReport(passed=all(rule.passed for rule in rules), rules=tuple(rules))


def _rule(rule: str, value: float | None, unit: str, minimum: float | None, maximum: float | None) -> AcxRule:
    """A value of None is a level of silence, or a bit rate of what has none: below everything."""
    below = minimum is not None and (value is None or value < minimum)
    above = maximum is not None and value is not None and value > maximum
    return AcxRule.model_validate(
        {
            "rule": rule,
            "value": None if value is None else round(value, 2),
            "unit": unit,
            "minimum": minimum,
            "maximum": maximum,
            "passed": not below and not above,
        }
    )


def _constant_mp3_kbps(source: Source) -> float | None:
    if source.stream.codec_context.codec.canonical_name != "mp3" or source.container.format.name != "mp3":
        return None
    return constant_kbps(source.file)
