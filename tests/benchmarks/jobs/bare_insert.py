"""The least that an API with a database does: a FastAPI handler with one INSERT, over Wavemill's own engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, Column, MetaData, Table, Uuid, insert

from shared.settings import settings
from shared.store.dialect import create_engine

metadata = MetaData()
things = Table("things", metadata, Column("id", Uuid, primary_key=True), Column("body", JSON, nullable=False))
engine = create_engine(settings())
# A statement is its own transaction: no BEGIN, no COMMIT.
at_once = engine.execution_options(isolation_level="AUTOCOMMIT")


class Thing(BaseModel):
    """What is sent."""

    body: dict[str, Any]


class Made(BaseModel):
    """What is answered."""

    id: UUID


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The table is there, and the connections are closed at the end."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/things", status_code=202)
async def make(thing: Thing) -> Made:
    """One INSERT."""
    new = uuid4()
    async with at_once.connect() as connection:
        await connection.execute(insert(things).values(id=new, body=thing.body))
    return Made(id=new)
