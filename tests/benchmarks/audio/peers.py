"""The tools that do the same work, each as its users start it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import imageio_ffmpeg


@cache
def ffmpegs() -> Mapping[str, str]:
    """Every ffmpeg at hand: its name with its version, and its path. The first is the static one of a wheel."""
    programs = [imageio_ffmpeg.get_ffmpeg_exe()]
    if (on_path := shutil.which("ffmpeg")) is not None:
        programs.append(on_path)
    return {f"ffmpeg {_version(program)}": program for program in programs}


@cache
def ffprobe() -> str | None:
    """The one on the PATH: the wheel has none."""
    return shutil.which("ffprobe")


@cache
def audiowaveform() -> str | None:
    """Where it is on the PATH: neither Debian nor a wheel has it."""
    return shutil.which("audiowaveform")


@cache
def audiowaveform_version() -> str:
    """As it says it."""
    said = subprocess.run([str(audiowaveform()), "--version"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0] if said else "audiowaveform"


def ffmpeg_normalize() -> Path:
    """The program of the package beside this Python."""
    return Path(sys.executable).parent / "ffmpeg-normalize"


def ffmpeg_normalize_version() -> str:
    """With its name."""
    return f"ffmpeg-normalize {version('ffmpeg-normalize')}"


def _version(program: str) -> str:
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version \D?([\d.]+)", said)
    return "of unknown version" if match is None else match[1].rstrip(".")
