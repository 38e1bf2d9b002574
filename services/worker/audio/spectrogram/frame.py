"""What stands around a spectrogram: ticks and labels of time and frequency, and what the colours mean in dB."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from services.worker.audio.spectrogram.axis import FrequencyAxis
from services.worker.audio.spectrogram.picture import paint
from shared.schema.operations import ColorMap

_FONT_PIXELS = 12
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
_TICK = 5
_GAP = 4
# Labels nearer than this would run into one another.
_LEAST_BESIDE, _LEAST_ABOVE = 72, 22
_BAR_GAP, _BAR_WIDTH = 18, 14
_CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)


class Margins(NamedTuple):
    """Pixels around a spectrogram."""

    left: int
    top: int
    right: int
    bottom: int


MARGINS = Margins(left=68, top=14, right=88, bottom=32)
NO_MARGINS = Margins(0, 0, 0, 0)


def framed(
    spectrum: Image.Image, axis: FrequencyAxis, seconds: float, range_db: float, color_map: ColorMap
) -> Image.Image:
    """A larger picture with the spectrum in it, and its axes in the margins.

    Args:
        spectrum: the picture without margins.
        axis: of frequency, from its bottom to its top.
        seconds: that its width stands for.
        range_db: that the colours are spread over, down from 0 dB.
        color_map: which colours.
    """
    width, height = spectrum.size
    image = Image.new("RGB", (MARGINS.left + width + MARGINS.right, MARGINS.top + height + MARGINS.bottom), _PAPER)
    image.paste(spectrum.convert("RGB"), (MARGINS.left, MARGINS.top))
    bar = paint(np.tile(np.linspace(255, 0, height).astype(np.uint8)[:, None], (1, _BAR_WIDTH)), color_map)
    image.paste(bar.convert("RGB"), (MARGINS.left + width + _BAR_GAP, MARGINS.top))
    pen = _Pen(image)
    for second, label in _times(seconds, width):
        pen.below(MARGINS.left + second / seconds * width, MARGINS.top + height, label)
    for place, label in _frequencies(axis, height):
        pen.left_of(MARGINS.left, MARGINS.top + (1 - place) * height, label)
    for level in _steps(0, range_db, _nice_step(range_db / height * _LEAST_ABOVE)):
        label = "0 dB" if level == 0 else f"-{level:g}"
        pen.right_of(MARGINS.left + width + _BAR_GAP + _BAR_WIDTH, MARGINS.top + level / range_db * height, label)
    return image


class _Pen:
    """Draws ticks with their labels; places are the edges of pixels."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        # Pillow brings this font with it.
        self._font = ImageFont.load_default(_FONT_PIXELS)

    def below(self, x: float, y: int, label: str) -> None:
        column = int(x)
        self._draw.line((column, y, column, y + _TICK), fill=_INK)
        self._text((column, y + _TICK + _GAP), label, "mt")

    def left_of(self, x: int, y: float, label: str) -> None:
        line = int(y)
        self._draw.line((x - 1 - _TICK, line, x - 1, line), fill=_INK)
        self._text((x - 1 - _TICK - _GAP, line), label, "rm")

    def right_of(self, x: int, y: float, label: str) -> None:
        line = int(y)
        self._draw.line((x, line, x + _TICK, line), fill=_INK)
        self._text((x + _TICK + _GAP, line), label, "lm")

    def _text(self, place: tuple[float, float], label: str, anchor: str) -> None:
        self._draw.text(place, label, fill=_INK, font=self._font, anchor=anchor)


def _times(seconds: float, width: int) -> Iterator[tuple[float, str]]:
    """Seconds of the ticks, and their labels: 0.25 s, or minutes and seconds as on a clock."""
    least = seconds / width * _LEAST_BESIDE
    if least < 1:
        step = _nice_step(least)
        digits = max(0, -math.floor(math.log10(step)))
        yield from ((second, f"{second:.{digits}f} s") for second in _steps(0, seconds, step))
        return
    hours = math.ceil(least / 3600)
    step = next((step for step in _CLOCK_STEPS if step >= least), hours * 3600)
    yield from ((second, _clock(round(second))) for second in _steps(0, seconds, step))


def _clock(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _frequencies(axis: FrequencyAxis, height: int) -> Iterator[tuple[float, str]]:
    """Places of the ticks, 0 at the bottom and 1 at the top, and their labels."""
    last = -math.inf
    for hertz in _round_frequencies(axis, height):
        if not axis.min_hz <= hertz <= axis.max_hz:
            continue
        place = axis.place(hertz)
        if (place - last) * height >= _LEAST_ABOVE:
            last = place
            yield place, f"{hertz:g} Hz" if hertz < 1000 else f"{hertz / 1000:g} kHz"


def _round_frequencies(axis: FrequencyAxis, height: int) -> Iterator[float]:
    if axis.is_even:
        step = _nice_step((axis.max_hz - axis.min_hz) / height * _LEAST_ABOVE)
        yield from _steps(math.ceil(axis.min_hz / step) * step, axis.max_hz, step)
        return
    yield 0.0
    for decade in range(7):
        yield from (digit * 10.0**decade for digit in (1, 2, 5))


def _steps(first: float, last: float, step: float) -> Iterator[float]:
    count = math.floor((last - first) / step + 1e-9)
    yield from (first + number * step for number in range(count + 1))


def _nice_step(least: float) -> float:
    """The least of 1, 2, 5, 10, 20, 50, ... and 0.5, 0.2, 0.1, ... that is not less than `least`."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= least * (1 - 1e-9))
