"""The edits of one track, each fed with what the one before gives."""

from collections.abc import Iterator, Sequence

import numpy as np

from services.worker.audio.edits.fades import fade
from services.worker.audio.edits.high_pass import high_pass
from services.worker.audio.edits.hold import Holds
from services.worker.audio.edits.joins import join
from services.worker.audio.edits.noise import denoise
from services.worker.audio.edits.silences import SilenceRemover, trim_silence
from services.worker.audio.edits.trim import trim
from services.worker.audio.errors import NothingLeft
from services.worker.audio.inputs import Inputs
from services.worker.audio.pcm import Block, Pcm, Samples
from shared.schema.edits import (
    AnyEdit,
    Concatenate,
    Denoise,
    Fade,
    HighPass,
    Intro,
    Outro,
    RemoveSilence,
    Trim,
    TrimSilence,
)

_Stream = Iterator[Samples]


class Chain:
    """Edits as a transformation of blocks; nothing of it begins before the first block is asked for.

    Attributes:
        pcm: of what comes out: as what goes in, but for the resolution.
        keeps_times: each moment of the audio is where it was.
    """

    def __init__(self, edits: Sequence[AnyEdit], pcm: Pcm, inputs: Inputs, holds: Holds) -> None:
        self.pcm = pcm
        self.keeps_times = all(edit.keeps_times for edit in edits)
        self._edits = edits
        self._inputs = inputs
        self._holds = holds
        if not all(self._keeps_samples(edit) for edit in edits):
            self.pcm = Pcm(pcm.sample_rate, pcm.channels, pcm.resolution.once_changed)

    def apply(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The edited audio, in blocks of `Pcm.block_frames` but for the last; their positions are not known.

        Where the end needs nothing of what is left, as after a trim, `blocks` is not read to its end.

        Raises:
            EditImpossible: an edit cannot be done to this audio, or nothing is left of it.
            AudioError: a further input is at fault.
        """
        stream: _Stream = (block.samples for block in blocks)
        for edit in self._edits:
            stream = self._edited(stream, edit)
        frames = 0
        for samples in _in_blocks(stream, self.pcm.block_frames):
            frames += samples.shape[1]
            yield Block.ready(samples, 0.0)
        if not frames:
            raise NothingLeft(
                "The edits leave nothing of the audio: it is shorter than they suppose, or all of it is silent."
            )

    def _edited(self, stream: _Stream, edit: AnyEdit) -> _Stream:
        match edit:
            case Trim():
                edited = trim(stream, self._frames(edit.start_seconds), self._end(edit))
            case Fade():
                into, out_of = self._frames(edit.in_seconds), self._frames(edit.out_seconds)
                edited = fade(stream, into, out_of, edit.curve, self._holds.hold())
            case Concatenate() | Intro() | Outro():
                edited = self._joined(stream, edit)
            case TrimSilence():
                padding = self._frames(edit.padding_seconds)
                edited = trim_silence(stream, _amplitude(edit.threshold_dbfs), padding, edit.ends, self._holds.hold())
            case RemoveSilence():
                edited = self._remover(edit).remove(stream)
            case HighPass():
                edited = high_pass(stream, self.pcm, edit.frequency_hz, edit.order)
            case Denoise():
                edited = denoise(stream, self.pcm, edit)
        return edited

    def _joined(self, stream: _Stream, edit: Concatenate | Intro | Outro) -> _Stream:
        overlap = self._frames(edit.crossfade_seconds)
        for name in edit.input_names():
            other = self._inputs.as_part_of(name, self.pcm)
            first, second = (other, stream) if isinstance(edit, Intro) else (stream, other)
            stream = join(first, second, overlap, self._holds.hold(), self._holds.hold())
        return stream

    def _keeps_samples(self, edit: AnyEdit) -> bool:
        """Whether every sample that comes out is one that went in."""
        match edit:
            case Trim() | TrimSilence():
                return True
            case Concatenate() | Intro() | Outro():
                exact = all(self._inputs.fits_exactly(name, self.pcm) for name in edit.input_names())
                return exact and not edit.crossfade_seconds
            case _:
                return False

    def _remover(self, edit: RemoveSilence) -> SilenceRemover:
        return SilenceRemover(
            _amplitude(edit.threshold_dbfs),
            longest=self._frames(edit.min_seconds),
            keep=self._frames(edit.keep_seconds),
            overlap=self._frames(edit.crossfade_seconds),
            quiet=self._holds.hold(),
        )

    def _end(self, edit: Trim) -> int | None:
        if edit.duration_seconds is not None:
            return self._frames(edit.start_seconds) + self._frames(edit.duration_seconds)
        return None if edit.end_seconds is None else self._frames(edit.end_seconds)

    def _frames(self, seconds: float) -> int:
        return round(seconds * self.pcm.sample_rate)


def _amplitude(dbfs: float) -> float:
    return float(10 ** (dbfs / 20))


def _in_blocks(stream: _Stream, block_frames: int) -> _Stream:
    """Blocks of one length, whatever pieces the edits gave: what follows is made for those."""
    waiting: list[Samples] = []
    frames = 0
    for samples in stream:
        waiting.append(samples)
        frames += samples.shape[1]
        if frames >= block_frames:
            joined = np.concatenate(waiting, axis=1)
            whole = frames - frames % block_frames
            for start in range(0, whole, block_frames):
                yield joined[:, start : start + block_frames]
            waiting, frames = [joined[:, whole:]], frames - whole
    if frames:
        yield np.concatenate(waiting, axis=1)
