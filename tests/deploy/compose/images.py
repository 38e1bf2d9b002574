"""The images that docker-compose.yml and the Dockerfiles pull.

`python -m tests.deploy.compose.images redis:7 ...` prints, for a machine that has stand-ins of other versions, which
stand-in to give which further name: `redis:7=redis:7.4.9`.
"""

# ruff: noqa: T201 - what it prints is what it is for
import re
import sys
from collections.abc import Mapping, Sequence

import yaml

from tests.system import ROOT

DOCKERFILES = tuple(sorted(ROOT.glob("services/*/Dockerfile")))


def of_services() -> Mapping[str, str]:
    """Of the services whose images are not built here."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {name: service["image"] for name, service in services.items() if "build" not in service}


def of_builds() -> set[str]:
    """That the Dockerfiles begin with or copy from, unless an argument says otherwise."""
    arguments = (line for path in DOCKERFILES for line in path.read_text().splitlines() if line.startswith("ARG "))
    return {found[1] for line in arguments if (found := re.fullmatch(r"ARG \w+_IMAGE=(\S+)", line))}


def further_names(stand_ins: Sequence[str]) -> list[str]:
    """Pairs of a stand-in and an image that is pulled, by their repository."""
    by_repository = {image.partition(":")[0]: image for image in stand_ins}
    pulled = sorted({*of_services().values(), *of_builds()})
    named = ((by_repository.get(image.partition(":")[0]), image) for image in pulled)
    return [f"{stand_in}={image}" for stand_in, image in named if stand_in is not None and stand_in != image]


if __name__ == "__main__":
    print(" ".join(further_names(sys.argv[1:])))
