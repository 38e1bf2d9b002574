"""An outline to a picture: a column of pixels from the least sample to the greatest."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.schema.operations import WaveformPicture

_BACKGROUND, _WAVE = 0, 1


def write_png(path: Path, extremes: NDArray[np.float32], picture: WaveformPicture) -> None:
    """Write a PNG of two colours.

    Args:
        path: the file.
        extremes: shape (2, rows, width): least and greatest sample of each column, full scale 1.0, a row a channel.
        picture: size and colours.

    Raises:
        OSError: the file cannot be written.
    """
    pixels = np.full((picture.height, picture.width), _BACKGROUND, np.uint8)
    for top, bottom, least, greatest in _bands(extremes, picture):
        lines = np.arange(bottom - top)[:, None]
        upper, lower = (np.rint(_line(level, bottom - top - 1)) for level in (greatest, least))
        pixels[top:bottom][(lines >= upper) & (lines <= lower)] = _WAVE
    image = Image.fromarray(pixels, "P")
    image.putpalette([*_rgba(picture.background_color), *_rgba(picture.wave_color)], "RGBA")
    image.save(path, "PNG")


def write_svg(path: Path, extremes: NDArray[np.float32], picture: WaveformPicture) -> None:
    """Write an SVG of one shape for each channel; the arguments are those of `write_png`."""
    size = f'width="{picture.width}" height="{picture.height}" viewBox="0 0 {picture.width} {picture.height}"'
    shapes = [f'<rect width="100%" height="100%" {_fill(picture.background_color)}/>']
    for top, bottom, least, greatest in _bands(extremes, picture):
        # Half a pixel on either side, so that silence is a line.
        upper = top + _line(greatest, bottom - top - 1)
        lower = top + _line(least, bottom - top - 1) + 1
        along = [f"{column + 0.5:g} {line:.2f}" for column, line in enumerate(upper)]
        back = [f"{column + 0.5:g} {line:.2f}" for column, line in enumerate(lower)]
        shapes.append(f'<path d="M{"L".join([*along, *reversed(back)])}Z" {_fill(picture.wave_color)}/>')
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {size} preserveAspectRatio="none">{"".join(shapes)}</svg>\n'
    path.write_text(text, encoding="ascii")


def _bands(
    extremes: NDArray[np.float32], picture: WaveformPicture
) -> list[tuple[int, int, NDArray[np.float32], NDArray[np.float32]]]:
    """For each row of an outline: the lines of the picture that are its own, least and greatest."""
    if picture.fit_to_peak and (peak := np.abs(extremes).max()) > 0:
        extremes = extremes / peak
    rows = extremes.shape[1]
    edges = [picture.height * row // rows for row in range(rows + 1)]
    return [(edges[row], edges[row + 1], extremes[0, row], extremes[1, row]) for row in range(rows)]


def _line(level: NDArray[np.float32], lowest: int) -> NDArray[np.float64]:
    """The line of a level: +1 is at the top, 0, and -1 at the bottom, `lowest`."""
    return (1.0 - np.clip(level.astype(np.float64), -1, 1)) / 2 * lowest


def _rgba(color: str) -> bytes:
    return bytes.fromhex(color[1:].ljust(8, "f"))


def _fill(color: str) -> str:
    return f'fill="{color[:7]}" fill-opacity="{_rgba(color)[3] / 255:.3g}"'
