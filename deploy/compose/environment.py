"""`make env`: writes .env with random passwords for docker-compose.yml, once."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.key_secrets import new_secret

_HEAD = """\
# Secrets of docker-compose.yml, made by `make env`. Keep this file out of version control, and a copy of it with your
# backups: PostgreSQL and Grafana keep the passwords that they were first started with.
"""


def _digits(size: int) -> Callable[[], str]:
    """Hexadecimal digits of so many bytes: these stand in URLs and in a Redis configuration."""
    return lambda: secrets.token_hex(size)


SECRETS: Mapping[str, Callable[[], str]] = {
    "POSTGRES_PASSWORD": _digits(32),
    "REDIS_PASSWORD": _digits(32),
    "GRAFANA_PASSWORD": _digits(16),
    "FLOWER_PASSWORD": _digits(16),
    "WAVEMILL_ADMIN_KEY": _digits(32),
    # Of the API's first key, which may do everything.
    "WAVEMILL_BOOTSTRAP_KEY": new_secret,
    "AWS_ACCESS_KEY_ID": _digits(10),
    "AWS_SECRET_ACCESS_KEY": _digits(32),
}


def write(path: Path) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        FileExistsError: there is one; it is left as it is.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(_HEAD)
        file.writelines(f"{name}={make()}\n" for name, make in SECRETS.items())


def missing(path: Path) -> list[str]:
    """The secrets that a file does not set."""
    lines = (line.strip().removeprefix("export ") for line in path.read_text().splitlines())
    given = {name.strip() for name, equals, value in (line.partition("=") for line in lines) if equals and value}
    return [name for name in SECRETS if name not in given]


def main() -> int:
    """Exit code 1 when there is a file that lacks a secret."""
    path = Path(".env")
    try:
        write(path)
    except FileExistsError:
        lacking = missing(path)
        if lacking:
            print(f".env is there and stays as it is, but lacks {', '.join(lacking)}; add them.", file=sys.stderr)
            return 1
        print(".env is there, has every secret, and stays as it is.")
        return 0
    print("Wrote .env with random passwords. Start Wavemill with: docker compose up -d --build")
    return 0


if __name__ == "__main__":
    sys.exit(main())
