"""Levels to colours."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.schema.operations import ColorMap

# Every sixteenth colour of the maps of matplotlib (Smith and van der Walt, CC0), evenly bright from step to step.
_COLORS = {
    ColorMap.VIRIDIS: "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26818e 21908c 1f9f88 28ae80 3ebc74 5dc963 "
    "82d34c abdc32 d5e21a fde725",
    ColorMap.MAGMA: "000004 0a0822 1d1146 36106a 50127c 691c81 822681 9c2e7f b63779 cf4170 e65163 f5695c fb8761 "
    "fea571 fec387 fde0a2 fcfdbf",
    ColorMap.INFERNO: "000004 0b0724 210c4a 3c0965 57106d 70196e 89226a a32b61 bb3755 d14644 e35932 f1711e f98d0a "
    "fcab0f f9ca32 f2e865 fcffa4",
    ColorMap.GRAY: "000000 ffffff",
}


def color_table(color_map: ColorMap) -> NDArray[np.uint8]:
    """Colours from the least to the most, shape (256, 3): red, green and blue."""
    anchors = np.array([list(bytes.fromhex(color)) for color in _COLORS[color_map].split()])
    at = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    table: NDArray[np.uint8] = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return table


def paint(indices: NDArray[np.uint8], color_map: ColorMap) -> Image.Image:
    """A picture of colours from a map's table, shape (height, width); the first row is at the top."""
    image = Image.fromarray(np.ascontiguousarray(indices))
    image.putpalette(color_table(color_map).tobytes())
    return image
