"""Where audio is to be cut into parts: at given times, or at silences."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from services.worker.audio.pcm import Samples
from services.worker.audio.silence import heard
from shared.schema.operations import SplitAtSilence

# A part begins no longer than this before its first sound.
_LONGEST_LEAD_SECONDS = 1.0


class Cuts(Protocol):
    """Finds cuts as the audio goes by.

    Attributes:
        lead: how many frames before the newest one a cut may still come to lie.
    """

    lead: int

    def add(self, samples: Samples) -> list[int]:
        """Take in a block; the cuts that are now known, each the first frame of a part. Never frame 0."""


class CutsAtTimes:
    """At known frames that do not fall; where several times are the same frame, there is one cut."""

    def __init__(self, frames: Iterable[int]) -> None:
        self.lead = 0
        self._frames = iter(frames)
        self._next = next(self._frames, None)
        self._seen = 0
        self._last = 0

    def add(self, samples: Samples) -> list[int]:
        """See Cuts."""
        self._seen += samples.shape[1]
        found = []
        while self._next is not None and self._next < self._seen:
            if self._next > self._last:
                found.append(self._next)
                self._last = self._next
            self._next = next(self._frames, None)
        return found


class CutsAtSilence:
    """In every silence between two sounds that is long enough, half of that length, or a second, before its end.

    Where a silence begins does not matter: so nothing has to wait until it is known how long it is.
    """

    def __init__(self, sample_rate: int, asked: SplitAtSilence) -> None:
        self.lead = round(min(asked.min_seconds / 2, _LONGEST_LEAD_SECONDS) * sample_rate)
        self._threshold = 10 ** (asked.threshold_dbfs / 20)
        self._shortest = round(asked.min_seconds * sample_rate)
        self._least_part = round(asked.min_part_seconds * sample_rate)
        self._seen = 0
        self._last_heard: int | None = None
        self._last_cut = 0

    def add(self, samples: Samples) -> list[int]:
        """See Cuts."""
        positions = heard(samples, self._threshold) + self._seen
        self._seen += samples.shape[1]
        if not len(positions):
            return []
        # Before the first sound there is nothing to cut off.
        before = positions[0] if self._last_heard is None else self._last_heard
        self._last_heard = int(positions[-1])
        found = []
        for index in np.flatnonzero(np.diff(positions, prepend=before) > self._shortest):
            cut = int(positions[index]) - self.lead
            if cut - self._last_cut >= self._least_part:
                found.append(cut)
                self._last_cut = cut
        return found
