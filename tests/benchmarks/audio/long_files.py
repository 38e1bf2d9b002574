"""The memory of a long file beside that of a short one, with everything that can be done to it."""

from pathlib import Path

from tests.audio_files import ffmpeg
from tests.benchmarks.report import Row
from tests.peak_memory import EVERYTHING, peak_mib

LONG_SECONDS = 36_000
SHORT_SECONDS = 600
_RATE = 8_000


def measure(folder: Path) -> tuple[list[Row], dict[str, float]]:
    """The row; each file once, for memory does not depend on what else the machine does."""
    peaks = {}
    for seconds in (SHORT_SECONDS, LONG_SECONDS):
        # Little more than silence, with a beep each second.
        beeps = f"sine=frequency=330:beep_factor=3:sample_rate={_RATE}:duration={seconds},volume=0.2"
        path = folder / f"{seconds}.flac"
        ffmpeg("-f", "lavfi", "-i", beeps, "-c:a", "flac", path)
        peaks[seconds] = peak_mib(path)
        path.unlink()
        print(f"  {seconds} s: {peaks[seconds]:.0f} MiB", flush=True)  # noqa: T201 - a command
    row = Row(
        what=f"peak memory of 10 hours with {len(EVERYTHING)} operations, beside 10 minutes ({_RATE} Hz mono)",
        wavemill=f"{peaks[LONG_SECONDS]:.0f} MiB",
        beside=f"{peaks[SHORT_SECONDS]:.0f} MiB",
        compared="ratio",
        rounds=(peaks[LONG_SECONDS] / peaks[SHORT_SECONDS],),
        must=1.2,
        aim=1.1,
        better="lower",
    )
    return [row], {f"{seconds} s, MiB": round(peak, 1) for seconds, peak in peaks.items()}
