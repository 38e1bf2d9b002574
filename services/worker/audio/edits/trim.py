"""A part of the audio."""

from collections.abc import Iterator

from services.worker.audio.pcm import Samples


def trim(stream: Iterator[Samples], start: int, end: int | None) -> Iterator[Samples]:
    """From one frame up to another, which is no longer in it; None: to the end. Behind it, nothing more is read."""
    position = 0
    for samples in stream:
        part = samples[:, max(0, start - position) : None if end is None else max(0, end - position)]
        if part.shape[1]:
            yield part
        position += samples.shape[1]
        if end is not None and position >= end:
            return
