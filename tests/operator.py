"""An operator's browser without JavaScript, for tests of the operations page: cookies, forms, redirects."""

import re
from html import unescape
from types import TracebackType
from typing import Self

import httpx

from deploy.local.processes import LOCALHOST

KEY = "a-key-of-the-tests-0123456789"


class Operator:
    """A context manager."""

    def __init__(self, port: int) -> None:
        self.client = httpx.Client(
            base_url=f"http://{LOCALHOST}:{port}", timeout=60, trust_env=False, follow_redirects=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()

    def log_in(self, key: str = KEY, *, name: str = "Ada") -> httpx.Response:
        """What the page answers to a key."""
        fields = form_fields(self.page("/login"))
        return self.client.post("/login", data={**fields, "key": key, "name": name})

    def page(self, path: str) -> str:
        """A page that is there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def act(self, act: str, target: str) -> str:
        """Confirm an action, and give the page that says what came of it."""
        confirmation = self.client.get("/confirm", params={"act": act, "target": target})
        assert confirmation.status_code == 200, confirmation.text
        answer = self.client.post("/actions", data=form_fields(confirmation.text))
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        """The token that this session's forms send back."""
        return form_fields(self.page("/"))["csrf"]


def form_fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's last form, which is the one in its middle."""
    form = page[page.rindex("<form") :]
    return {
        unescape(name): unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="(.*?)"', form)
    }
