"""Each operation as a task: what it wants to be fed with in which pass, and its result at the end."""

from services.worker.audio.tasks.analyses import LoudnessTask, ProbeTask, SilenceTask, SpectrogramTask, WaveformTask
from services.worker.audio.tasks.base import Task, Workspace
from services.worker.audio.tasks.encodings import NormalizeTask, TranscodeTask
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

__all__ = ["Task", "Workspace", "task_for"]


def task_for(operation: AnyOperation, workspace: Workspace) -> Task:
    """The task of an operation.

    Raises:
        OSError: a file cannot be created.
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
        case Transcode():
            task = TranscodeTask(operation, workspace)
        case Normalize():
            task = NormalizeTask(operation, workspace)
        case Acx() | Split():
            raise NotImplementedError(operation.op)
    return task
