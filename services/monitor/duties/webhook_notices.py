"""Jobs and batches that have ended and that somebody is to be told of: their messages to webhooks."""

from services.monitor.duties import Outcome
from shared.store.notices import Notices

# Of each job the whole view goes into the message.
_AT_A_TIME = 100


class WebhookNotices:
    """Puts on record what is to be told."""

    kind = "webhook_notices"

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def perform(self) -> Outcome:
        """Those that ended first."""
        jobs = await self._notices.of_jobs(_AT_A_TIME)
        batches = await self._notices.of_batches(_AT_A_TIME)
        return Outcome(jobs + batches, more=_AT_A_TIME in (jobs, batches))
