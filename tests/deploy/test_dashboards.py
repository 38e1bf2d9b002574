"""Grafana's dashboards: as the Python writes them, with nothing left unsaid."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.dashboards.files import FOLDER, contents

FILES = sorted(FOLDER.glob("*.json"))


def test_the_files_are_what_the_python_writes() -> None:
    written = {file.name: file.read_text() for file in FILES}
    assert written == contents(), "run `make dashboards`"
    assert {file.stem for file in FILES} == {"overview", "jobs", "workers", "stores", "job"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_says_what_everything_is(file: Path) -> None:
    page: Mapping[str, Any] = json.loads(file.read_text())
    assert page["uid"] == f"wavemill-{file.stem}"
    assert page["description"]
    assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])
    panels = [panel for panel in page["panels"] if panel["type"] != "row"]
    variables = {variable["name"] for variable in page["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(panels))) <= variables
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        if panel["type"] == "text":
            assert panel["options"]["content"]
            continue
        assert panel["targets"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        steps = defaults["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_do_not_lie_upon_one_another(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(file.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
