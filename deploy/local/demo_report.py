"""The results of a job as a table for a terminal."""

from collections.abc import Iterator

from rich import box
from rich.filesize import decimal
from rich.table import Table

from shared.schema.jobs import JobView
from shared.schema.results import (
    AnyResult,
    LoudnessResult,
    NormalizeResult,
    ProbeResult,
    TranscodeResult,
    WaveformResult,
)


def results_table(job: JobView) -> Table:
    """One group of rows for each result, then the artifacts with their sizes."""
    title = f"{job.input.filename} · {decimal(job.input.size_bytes)}" if job.input else None
    table = Table(title=title, box=box.SIMPLE_HEAD)
    for column in ("result", "value", "figure"):
        table.add_column(column, justify="right" if column == "figure" else "left")
    for name, result in job.results.items():
        for number, (label, value) in enumerate(_rows(result)):
            table.add_row(name if number == 0 else "", label, value)
        table.add_section()
    for number, artifact in enumerate(job.artifacts):
        table.add_row("artifacts" if number == 0 else "", artifact.name, decimal(artifact.size_bytes))
    return table


def _rows(result: AnyResult) -> Iterator[tuple[str, str]]:
    match result:
        case ProbeResult():
            stream = next(stream for stream in result.streams if stream.index == result.audio_stream)
            yield "duration", f"{result.duration_seconds:.2f} s"
            yield "format", f"{result.container}, {stream.codec}"
            yield "audio", f"{stream.sample_rate} Hz, {stream.layout}"
        case LoudnessResult():
            yield "integrated loudness", _figure(result.integrated_lufs, "LUFS")
            yield "loudness range", _figure(result.range_lu, "LU")
            yield "true peak", _figure(result.true_peak_dbtp, "dBTP")
        case WaveformResult():
            yield "waveform", f"{result.length} pixels of {result.samples_per_pixel} samples"
        case TranscodeResult():
            yield "encoded", f"{result.format}{_bitrate(result.bitrate_kbps)}, {result.duration_seconds:.2f} s"
        case NormalizeResult():
            yield "gain", f"{result.gain_db:+.1f} dB{' (at the peak ceiling)' if result.limited_by_peak else ''}"
            yield "integrated loudness", _figure(result.output_lufs, "LUFS")
            yield "true peak", _figure(result.output_true_peak_dbtp, "dBTP")


def _figure(value: float | None, unit: str) -> str:
    return "silence" if value is None else f"{value:.1f} {unit}"


def _bitrate(kbps: int | None) -> str:
    return "" if kbps is None else f" {kbps} kbit/s"
