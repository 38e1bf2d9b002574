import pytest
from werkzeug.http import parse_options_header

from shared.filenames import cleaned, content_disposition


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, None),
        ("", None),
        ("talk.wav", "talk.wav"),
        ("  talk.wav\t", "talk.wav"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("dir/", None),
        (".", None),
        ("..", None),
        (". .", None),
        (".hidden", ".hidden"),
        ("a\r\nSet-Cookie: x=y.wav", "aSet-Cookie: x=y.wav"),
        ("nul\x00byte\x7f.wav", "nulbyte.wav"),
        # Right-to-left override: would show as "evilgpj.exe" with the end reversed.
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("zero\u200bwidth\ufeff.wav", "zerowidth.wav"),
        # Decomposed, as macOS sends it.
        ("Gro\u0308\u00dfe.wav", "Gr\u00f6\u00dfe.wav"),
        ("\U0001f3b5.mp3", "\U0001f3b5.mp3"),
    ],
)
def test_cleaned(sent: str | None, kept: str | None) -> None:
    assert cleaned(sent) == kept


@pytest.mark.parametrize("name", ["a" * 1000 + ".flac", "\u00f6" * 1000 + ".flac", "\U0001f3b5" * 1000 + ".flac"])
def test_long_names_keep_their_suffix(name: str) -> None:
    kept = cleaned(name)
    assert kept is not None
    assert kept.endswith(".flac")
    assert 150 < len(kept.encode()) <= 160


def test_a_suffix_that_is_none_is_cut_too() -> None:
    kept = cleaned("a." + "b" * 1000)
    assert kept is not None
    assert len(kept.encode()) == 160


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("talk.wav", "talk-transcode.opus"),
        ("talk.tar.gz", "talk.tar-transcode.opus"),
        (None, "audio-transcode.opus"),
        ("..", "audio-transcode.opus"),
        ("../../x.wav", "x-transcode.opus"),
        ('a"b\\c.wav', "c-transcode.opus"),
        ('a"b;c=d.wav', 'a"b;c=d-transcode.opus'),
        ("a\r\nX-Evil: 1.wav", "aX-Evil: 1-transcode.opus"),
        ("100%.wav", "100%-transcode.opus"),
        ("Größe €.wav", "Größe €-transcode.opus"),
    ],
)
def test_content_disposition(filename: str | None, expected: str) -> None:
    header = content_disposition(filename, "transcode.opus")
    assert header.isascii()
    assert header.isprintable()
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    # The reader prefers the extended parameter, where there is one, as browsers do.
    assert options["filename"] == expected


def test_old_clients_get_a_plain_name_too() -> None:
    assert 'filename="Gr__e _-a.mp3"' in content_disposition("Größe €.wav", "a.mp3")
