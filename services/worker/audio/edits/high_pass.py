"""The Butterworth high-pass filter."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.errors import SampleRateTooLow
from services.worker.audio.loudness.block_filter import BlockFilter
from services.worker.audio.pcm import Pcm, Samples


def high_pass(stream: Iterator[Samples], pcm: Pcm, frequency_hz: float, order: int) -> Iterator[Samples]:
    """Filtered; nothing is delayed but by the filter's own phase.

    Raises:
        SampleRateTooLow: the sample rate does not reach so far.
    """
    sections = BlockFilter(butterworth(frequency_hz, order, pcm.sample_rate), len(pcm.channels))
    for samples in stream:
        yield sections.filter(samples)


def butterworth(frequency_hz: float, order: int, sample_rate: int) -> NDArray[np.float64]:
    """Second-order sections, shape (sections, 6), by the bilinear transform: 3.01 dB down at the frequency.

    Raises:
        SampleRateTooLow: the frequency is not below half of the sample rate.
    """
    if 2 * frequency_hz >= sample_rate:
        raise SampleRateTooLow(
            f"A high-pass filter at {frequency_hz:g} Hz would leave nothing of audio of {sample_rate} Hz: "
            "choose a frequency below half of the sample rate."
        )
    k = math.tan(math.pi * frequency_hz / sample_rate)
    sections = [] if order % 2 == 0 else [[1 / (1 + k), -1 / (1 + k), 0.0, 1.0, (k - 1) / (1 + k), 0.0]]
    for pair in range(order // 2):
        # Twice the damping of this pair of the prototype's poles, which stand evenly on a half circle.
        damping = 2 * math.sin(math.pi * (2 * pair + 1) / (2 * order))
        norm = 1 + damping * k + k * k
        sections.append([1 / norm, -2 / norm, 1 / norm, 1.0, 2 * (k * k - 1) / norm, (1 - damping * k + k * k) / norm])
    return np.array(sections)
