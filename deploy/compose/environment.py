"""`make env`: writes .env with random passwords for docker-compose.yml, once."""

import os
import secrets
import sys
from pathlib import Path

_HEAD = """\
# Secrets of docker-compose.yml, made by `make env`. Keep this file out of version control, and a copy of it with your
# backups: PostgreSQL and Grafana keep the passwords that they were first started with.
"""
# Bytes of each. They stand in URLs and in a Redis configuration, so hexadecimal digits are all they have.
SECRETS = {
    "POSTGRES_PASSWORD": 32,
    "REDIS_PASSWORD": 32,
    "GRAFANA_PASSWORD": 16,
    "FLOWER_PASSWORD": 16,
    "WAVEMILL_ADMIN_KEY": 32,
    "AWS_ACCESS_KEY_ID": 10,
    "AWS_SECRET_ACCESS_KEY": 32,
}


def write(path: Path) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        FileExistsError: there is one; it is left as it is.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(_HEAD)
        file.writelines(f"{name}={secrets.token_hex(size)}\n" for name, size in SECRETS.items())


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
