"""Loudness normalisation: the gain, and what stops it."""

from dataclasses import dataclass

from services.worker.audio.loudness import Measurement
from shared.schema.operations import Normalize

_GOOD_ENOUGH_LU = 0.05


@dataclass(frozen=True)
class Gain:
    """One gain for all of the audio. `limited_by_peak`: the ceiling made it smaller than the target asked."""

    db: float
    limited_by_peak: bool


def first_gain(measured: Measurement, operation: Normalize) -> Gain:
    """The linear gain that brings a measurement to a target, or as near as its true peak lets it come.

    Silence, whose loudness is not a number, stays as it is.
    """
    if measured.integrated_lufs is None or measured.true_peak_dbtp is None:
        return Gain(0.0, limited_by_peak=False)
    wanted = operation.target_lufs - measured.integrated_lufs
    headroom = operation.true_peak_dbtp - measured.true_peak_dbtp
    return Gain(min(wanted, headroom), limited_by_peak=headroom < wanted)


def corrected_gain(first: Gain, measured: Measurement, written: Measurement, operation: Normalize) -> Gain | None:
    """Another gain where a lossy encoder changed the loudness, or None where it is as near as it can get.

    Encoders leave out what they hold to be inaudible, and what they write is quieter: by some tenths of a LU
    for speech at common bit rates, more for noise. The ceiling holds for what is given to the encoder.

    Args:
        first: the gain that was used.
        measured: the audio before the gain.
        written: the file that came out.
        operation: what was asked for.
    """
    if measured.true_peak_dbtp is None or written.integrated_lufs is None:
        return None
    missing = operation.target_lufs - written.integrated_lufs
    wanted = first.db + missing
    headroom = operation.true_peak_dbtp - measured.true_peak_dbtp
    corrected = Gain(min(wanted, headroom), limited_by_peak=headroom < wanted)
    return corrected if abs(corrected.db - first.db) > _GOOD_ENOUGH_LU else None
