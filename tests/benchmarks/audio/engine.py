"""Wavemill's side: the audio engine in this process, warm as in a worker's child that has done a job before."""

import shutil
from pathlib import Path

from services.worker.audio.engine import Report, process
from shared.schema.operations import AnyOperation


class Engine:
    """Runs jobs into a folder, which holds the latest job's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, source: Path, *operations: AnyOperation) -> Report:
        """One job."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return process(source, operations, self.folder, source_name=source.name)
