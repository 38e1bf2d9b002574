"""The one face of every encoder."""

from abc import ABC, abstractmethod

from services.worker.audio.pcm import Samples


class Encoder(ABC):
    """Writes one file. Used by one thread at a time."""

    @abstractmethod
    def write(self, samples: Samples) -> None:
        """Encode some samples, shape (channels, frames), full scale 1.0; what is beyond is clipped by integer formats.

        Raises:
            OSError: the file cannot be written.
        """

    @abstractmethod
    def finish(self) -> None:
        """Encode what is left, write the headers, close the file."""

    @abstractmethod
    def abort(self) -> None:
        """Close the file, as it is; never raises."""
