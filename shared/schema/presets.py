"""Presets: operations under a name."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.operations import AnyOperation
from shared.schema.options import PresetName


class Preset(BaseModel):
    """Operations under a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: PresetName
    description: str
    operations: tuple[AnyOperation, ...] = Field(min_length=1)


_ALL = (
    Preset.model_validate(
        {
            "name": "podcast",
            "description": "-16 LUFS.",
            "operations": [{"op": "normalize", "target_lufs": -16, "format": "mp3"}, {"op": "waveform"}],
        }
    ),
)
BUILT_IN: Mapping[str, Preset] = {preset.name: preset for preset in _ALL}
