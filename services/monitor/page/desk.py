"""What the routes work with: made when the monitor starts, on its connections."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request

from services.monitor.connections import Connections
from services.monitor.page.access import Access, Visitor
from services.monitor.page.actions import Actions
from services.monitor.page.board import Boards
from services.monitor.watch import DatabaseView, RedisView, Watch
from shared.events import EventPublisher
from shared.settings import Settings
from shared.store.audit import AuditTrail
from shared.store.job_views import JobViews
from shared.store.operations_views import OperationsViews


@dataclass(frozen=True, slots=True)
class Desk:
    """One of each, for the process."""

    boards: Boards
    actions: Actions
    audit: AuditTrail
    lines: OperationsViews
    jobs: JobViews

    @classmethod
    def on(
        cls,
        opened: Connections,
        settings: Settings,
        seen_in_database: Watch[DatabaseView],
        seen_in_redis: Watch[RedisView],
    ) -> Self:
        """The desk of these connections."""
        database = opened.database
        return cls(
            boards=Boards(database, seen_in_database, seen_in_redis, silent_after_seconds=settings.lease_seconds),
            actions=Actions(database, opened.publisher, EventPublisher(opened.redis)),
            audit=AuditTrail(database),
            lines=OperationsViews(database),
            jobs=JobViews(database),
        )


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


async def _visitor(request: Request, access: Annotated[Access, Depends(_access)]) -> Visitor:
    return access.visitor(request)


TheDesk = Annotated[Desk, Depends(_desk)]
TheAccess = Annotated[Access, Depends(_access)]
TheVisitor = Annotated[Visitor, Depends(_visitor)]
