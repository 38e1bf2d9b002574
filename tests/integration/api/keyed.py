"""An API that has keys, and clients who have some."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from shared.key_secrets import new_secret
from shared.schema.keys import Scope
from shared.store.api_keys import ApiKeys
from tests.integration.api.driving import store_of
from tests.system import System

TRUSTED_ORIGIN = "https://studio.example"


@dataclass(frozen=True, slots=True)
class Key:
    """A key, as its maker got it."""

    id: str
    secret: str


class Keyed:
    """The system, and its administrator."""

    def __init__(self, system: System, secret: str) -> None:
        self.system = system
        self.secret = secret

    @classmethod
    def on(cls, system: System) -> Self:
        """Make the administrator's key in the system's database. Blocking."""
        return cls(system, asyncio.run(_administrator(system)))

    @asynccontextmanager
    async def client(self, secret: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A client with this secret; the administrator's if none is given."""
        headers = {"Authorization": f"Bearer {secret or self.secret}"}
        async with httpx.AsyncClient(
            base_url=self.system.client.base_url, timeout=60, trust_env=False, headers=headers
        ) as client:
            yield client

    async def make(self, **wanted: Any) -> Key:
        """A new key; it may submit and read, if nothing else is wanted."""
        async with self.client() as administrator:
            answer = await administrator.post("/api/keys", json={"name": "test", **wanted})
        assert answer.status_code == 201, answer.text
        return Key(answer.json()["id"], answer.json()["secret"])


async def _administrator(system: System) -> str:
    secret = new_secret()
    store = store_of(system)
    await ApiKeys(store.database).create(secret, name="administrator", scopes=list(Scope))
    await store.close()
    return secret
