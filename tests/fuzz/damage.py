"""Real files, damaged: what Hypothesis draws, and makes smaller again when it has found something."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from tests.fuzz.seeds import seeds

_WIDTHS = (1, 2, 3, 4, 8)
# Words that parsers look for: RIFF, Ogg, FLAC, MP4, Matroska, tags.
_WORDS = (
    *b"RIFF RF64 data LIST ds64 FORM COMM SSND caff desc pakt kuki OggS OpusHead OpusTags fLaC wvpk APETAGEX".split(),
    *b"moov trak stsd stsz stco stts elst esds dref alis moof trun mdat TAG Xing Info VBRI LAME LYRICS200".split(),
    *(b"#!AMR\n", b"#EXTM3U\n", b"fmt ", b"ID3\4\0\0", b"\x01vorbis", b"\x05vorbis", b"\x7fFLAC", b"\xff\xfb\x90\x64"),
    # Elements of Matroska.
    *(b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x16T\xaek", b"\x1fC\xb6u", b"\xa3", b"\x19A\xa4i", b"\x11M\x9bt"),
)


@dataclass(frozen=True)
class Hostile:
    """A damaged file.

    Attributes:
        seed: what it was.
        content: what it is.
        name: what its owner calls it, or None.
    """

    seed: str
    content: bytes
    name: str | None


def _numbers() -> st.SearchStrategy[bytes]:
    """Numbers at the edges of what fields hold, in either order of bytes."""

    def edges(width: int) -> st.SearchStrategy[int]:
        most = 256**width - 1
        near = [0, 1, 2, most, most - 1, most // 2, most // 2 + 1]
        return st.one_of(st.sampled_from(near), st.integers(0, most))

    def written(number: int, width: int, order: Literal["little", "big"]) -> bytes:
        return number.to_bytes(width, order)

    orders: st.SearchStrategy[Literal["little", "big"]] = st.sampled_from(("little", "big"))
    return st.one_of(*(st.builds(written, edges(width), st.just(width), orders) for width in _WIDTHS))


@st.composite
def _place(draw: st.DrawFn, length: int) -> int:
    """An offset; half of them where headers are."""
    near = min(length, draw(st.sampled_from([64, 512, 4096])))
    return draw(st.one_of(st.integers(0, near), st.integers(0, length)))


@st.composite
def _damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """One piece of damage more: something in the place of some bytes, which may be none."""
    at = draw(_place(len(content)))
    span = draw(st.sampled_from([0, 1, 2, 4, 16, 64, 512, 4096, len(content)]))
    there = content[at : at + span]
    new: bytes = draw(
        st.one_of(
            _numbers(),
            st.sampled_from(_WORDS),
            st.binary(max_size=64),
            st.builds(bytes, st.just(len(there))),
            st.builds(lambda times: there[:4096] * times, st.integers(2, 50)),
            st.builds(lambda bit: bytes(byte ^ (1 << bit) for byte in there[:64]), st.integers(0, 7)),
            _piece_of_another(),
        )
    )
    # Most damage leaves the rest where it was.
    return content[:at] + new + content[at + (len(new) if draw(st.booleans()) else span) :]


@st.composite
def _piece_of_another(draw: st.DrawFn) -> bytes:
    other = seeds()[draw(st.sampled_from(sorted(seeds())))]
    start = draw(_place(len(other)))
    return other[start : start + draw(st.sampled_from([64, 512, 4096, 65_536]))]


@st.composite
def hostile_files(draw: st.DrawFn) -> Hostile:
    """A file with one to eight pieces of damage, under its own name, another's or none."""
    names = sorted(seeds())
    seed = draw(st.sampled_from(names))
    content = seeds()[seed]
    for _ in range(draw(st.integers(1, 8))):
        content = draw(_damaged(content))
    name = draw(st.one_of(st.just(seed), st.none(), st.sampled_from(names)))
    return Hostile(seed, content or b"\0", name)
