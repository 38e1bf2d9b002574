"""How large an input may be: a stranger's file must not take more than its share of time, memory or disk."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one input.

    Attributes:
        decoded_samples: samples over all channels, that is seconds x sample rate x channels. The default is a
            little more than 12 hours of 48 kHz stereo. A few bytes can decode to hours, so it is counted while
            decoding and not read from a header.
        channels: channels of the audio stream; every encoder here takes up to 8.
        sample_rate: Hz.
        streams: streams of any kind in the container.
        probe_bytes: how far into the file its format and streams are looked for.
        header_bytes: what is read before the audio, and kept in memory: tags, pictures, an index. The index of a film
            of 12 hours is some 60 MB.
        cover_bytes: the largest cover picture that is taken into memory, and given on.
    """

    decoded_samples: int = 2**32
    channels: int = 8
    sample_rate: int = 384_000
    streams: int = 64
    probe_bytes: int = 5_000_000
    header_bytes: int = 128_000_000
    cover_bytes: int = 10_000_000
