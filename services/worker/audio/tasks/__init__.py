"""Each operation as a task: what it wants to be fed with in which pass, and its result at the end."""

from services.worker.audio.tasks.audiobooks import AcxTask
from services.worker.audio.tasks.base import Task, Workspace
from services.worker.audio.tasks.encodings import TranscodeTask
from services.worker.audio.tasks.mastering import NormalizeTask
from services.worker.audio.tasks.measurements import LoudnessTask, ProbeTask, SilenceTask
from services.worker.audio.tasks.pictures import SpectrogramTask, WaveformTask
from services.worker.audio.tasks.splitting import SplitTask
from services.worker.audio.tasks.workspaces import Workspaces
from shared.schema.operations import (
    Acx,
    AnyOperation,
    Loudness,
    Normalize,
    Probe,
    Silence,
    Spectrogram,
    Split,
    Transcode,
    Waveform,
)

__all__ = ["Task", "Workspace", "Workspaces", "task_for"]


def task_for(operation: AnyOperation, workspace: Workspace, workspaces: Workspaces) -> Task:
    """The task of an operation on a workspace, and on others as it needs them.

    Raises:
        OSError: a file cannot be created, or a further input not be read.
        AudioError: a further input is at fault.
    """
    match operation:
        case Probe():
            task: Task = ProbeTask(operation, workspace)
        case Loudness():
            task = LoudnessTask(operation, workspace)
        case Waveform():
            task = WaveformTask(operation, workspace)
        case Spectrogram():
            task = SpectrogramTask(operation, workspace)
        case Silence():
            task = SilenceTask(operation, workspace)
        case Acx():
            task = AcxTask(operation, workspace)
        case Transcode():
            task = TranscodeTask(operation, workspace)
        case Normalize():
            task = NormalizeTask(operation, workspaces)
        case Split():
            task = SplitTask(operation, workspace)
    return task
