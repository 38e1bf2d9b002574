"""A recursive filter as matrix products, several times as fast as sample by sample.

A filter with state s runs through a block x of some samples as y = x @ T + s @ O, and leaves the state s @ M + x @ K:
T holds the impulse response, O what rings on from the state. Blocks of the same length share the matrices, so that
all of them are one product; only the states follow one another, and those are four numbers a block.
"""

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Samples

_LENGTH = 32
# Blocks in one product, which stays in the L2 cache with what it is made from.
_BLOCKS_AT_ONCE = 4096
# Blocks whose states are worked out in one product.
_GROUP = 8
_NEGLIGIBLE = 1e-12


class BlockFilter:
    """Second-order sections with their state, over consecutive blocks of any length.

    Within a block of samples the sums are of float32, but nothing of their rounding comes into the state, which is
    of float64 like all that it is made from. The error is less than a millionth of the samples around.
    """

    def __init__(self, sections: NDArray[np.float64], channels: int) -> None:
        transition, into, out, through = _state_space(sections)
        powers = [np.linalg.matrix_power(transition, power) for power in range(_LENGTH + 1)]
        response = [through, *(out @ power @ into for power in powers[: _LENGTH - 1])]
        self._transition = transition
        self._through: Samples = np.zeros((_LENGTH, _LENGTH), np.float32)
        for row in range(_LENGTH):
            self._through[row, row:] = response[: _LENGTH - row]
        self._ringing = np.stack([out @ power for power in powers[:_LENGTH]], axis=1)
        self._into_state = np.stack([power @ into for power in powers[_LENGTH - 1 :: -1]])
        # The same in two steps, of which the second does with float32: nothing cancels out in it, for the rows of its
        # matrix stand at right angles.
        tones, weights = np.linalg.qr(self._ringing.T)
        self._to_tones, self._tones = weights.T, tones.T.astype(np.float32)
        self._over_block = powers[_LENGTH].T
        # What a state before a group has become after each of its blocks, and what each block of it adds to those.
        over = [np.linalg.matrix_power(self._over_block, blocks) for blocks in range(_GROUP + 1)]
        none = np.zeros_like(self._over_block)
        self._over_group = np.concatenate(over[1:], axis=1)
        self._within_group = np.block(
            [[over[to - of] if to >= of else none for to in range(_GROUP)] for of in range(_GROUP)]
        )
        self._state = np.zeros((channels, len(transition)))

    def filter(self, samples: Samples) -> Samples:
        """Shape (channels, frames) to the same."""
        filtered = np.empty(samples.shape, np.float32)
        whole = samples.shape[1] // _LENGTH * _LENGTH
        if whole:
            self._filter_blocks(samples[:, :whole], filtered[:, :whole])
        if whole < samples.shape[1]:
            self._filter_rest(samples[:, whole:], filtered[:, whole:])
        return filtered

    def _filter_blocks(self, samples: Samples, filtered: Samples) -> None:
        channels, count = len(samples), samples.shape[1] // _LENGTH
        # The state before each block, and after the last: first what each block adds to it.
        states = np.empty((channels, count + 1, self._state.shape[1]))
        states[:, 0] = self._state
        runs = [slice(start, start + _BLOCKS_AT_ONCE) for start in range(0, count, _BLOCKS_AT_ONCE)]
        for channel, of_channel in enumerate(samples.reshape(channels, count, _LENGTH)):
            for some in runs:
                np.matmul(of_channel[some], self._into_state, out=states[channel, 1:][some])
        self._accumulate(states)
        self._state = states[:, -1].copy()
        tones = (states[:, :-1] @ self._to_tones).astype(np.float32)
        for channel, of_channel in enumerate(samples.reshape(channels, count, _LENGTH)):
            results = filtered[channel].reshape(count, _LENGTH)
            for some in runs:
                np.matmul(of_channel[some], self._through, out=results[some])
                results[some] += tones[channel, some] @ self._tones

    def _accumulate(self, states: NDArray[np.float64]) -> None:
        """From what each block adds to the state to the state after it, in place.

        Blocks come in groups: within a group by one product, then from group to group, of which there are few.
        """
        channels, count, order = len(states), states.shape[1] - 1, states.shape[2]
        whole = count // _GROUP * _GROUP
        before = states[:, 0]
        if whole:
            groups = np.matmul(states[:, 1 : whole + 1].reshape(channels, -1, _GROUP * order), self._within_group)
            ends = np.concatenate((before[:, None], groups[:, :, -order:]), axis=1)
            self._accumulate_ends(ends)
            groups += ends[:, :-1] @ self._over_group
            states[:, 1 : whole + 1] = groups.reshape(channels, whole, order)
        for block in range(whole, count):
            states[:, block + 1] += states[:, block] @ self._over_block

    def _accumulate_ends(self, ends: NDArray[np.float64]) -> None:
        """First of pairs of groups, then of fours, and so on.

        After Hillis and Steele, "Data Parallel Algorithms" (1986). What has rung out needs no further step.
        """
        distance, over = 1, self._over_group[:, -self._state.shape[1] :]
        while distance < ends.shape[1] and np.abs(over).max() > _NEGLIGIBLE:
            ends[:, distance:] += ends[:, :-distance] @ over
            distance, over = 2 * distance, over @ over

    def _filter_rest(self, samples: Samples, filtered: Samples) -> None:
        """Less than a block: the upper left of each matrix."""
        frames = samples.shape[1]
        filtered[:] = samples @ self._through[:frames, :frames] + self._state @ self._ringing[:, :frames]
        over = np.linalg.matrix_power(self._transition, frames).T
        self._state = self._state @ over + samples @ self._into_state[_LENGTH - frames :]


def _state_space(
    sections: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Sections one after another (transposed direct form II) as s' = A s + B x, y = C s + D x: A, B, C, D."""
    transition, into, out, through = np.zeros((0, 0)), np.zeros(0), np.zeros(0), 1.0
    for b0, b1, b2, _, a1, a2 in sections:
        own = np.array([[-a1, 1.0], [-a2, 0.0]])
        own_into = np.array([b1 - a1 * b0, b2 - a2 * b0])
        transition = np.block([[transition, np.zeros((len(transition), 2))], [np.outer(own_into, out), own]])
        into = np.concatenate((into, own_into * through))
        out = np.concatenate((b0 * out, [1.0, 0.0]))
        through *= b0
    return transition, into, out, through
