"""How far players are to turn audio up or down: ReplayGain 2.0 and, for Opus, R128 gains."""

from dataclasses import dataclass

from services.worker.audio.loudness.meter import Measurement

# ReplayGain 2.0 plays at -18 LUFS, RFC 7845 (Opus) at -23.
_REPLAY_GAIN_LUFS = -18.0
_R128_LUFS = -23.0
# RFC 7845, 5.2.1: a signed number of 16 bits in 256ths of a decibel.
_Q7_8 = 256
_MOST_Q7_8 = 32767


@dataclass(frozen=True)
class Gains:
    """Gains of a whole track.

    Attributes:
        track_gain_db: ReplayGain 2.0, to -18 LUFS.
        track_peak: the largest true peak; 1.0 is full scale.
        r128_track_gain: to -23 LUFS, in 256ths of a decibel.
    """

    track_gain_db: float
    track_peak: float
    r128_track_gain: int


def gains(measured: Measurement) -> Gains:
    """The gains that a measurement asks for; silence is left as it is."""
    loudness = measured.integrated_lufs
    peak = 0.0 if measured.true_peak_dbtp is None else 10 ** (measured.true_peak_dbtp / 20)
    if loudness is None:
        return Gains(0.0, peak, 0)
    r128 = round((_R128_LUFS - loudness) * _Q7_8)
    return Gains(_REPLAY_GAIN_LUFS - loudness, peak, max(-_MOST_Q7_8 - 1, min(_MOST_Q7_8, r128)))
