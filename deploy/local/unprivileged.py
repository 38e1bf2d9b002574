"""The user whom root runs a program as that refuses to be root's."""

import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.errors import ServerError


@dataclass(frozen=True)
class UnprivilegedUser:
    """Whom root runs a program as."""

    uid: int
    gid: int

    @classmethod
    def nobody(cls) -> Self:
        """The user that owns nothing.

        Raises:
            ServerError: the machine has none.
        """
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise ServerError("PostgreSQL cannot run as root, and there is no user nobody to run it as.") from None
        return cls(entry.pw_uid, entry.pw_gid)

    def popen_arguments(self) -> dict[str, int | list[int]]:
        """Arguments of `subprocess`."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_reach(self, path: Path) -> bool:
        """Whether every folder on the way to the path lets this user pass."""
        return all(self._may_pass(folder) for folder in path.resolve().parents)

    def _may_pass(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)
