"""Who may use the API, for what, and how much of it. docs/keys.md is the user's side of it.

How a route uses it:

    @router.get("/{job_id}")
    async def get_job(job_id: UUID, caller: Reader, resources: InjectedResources) -> JobView:
        view = await resources.views.get(job_id, owner=caller.owner)
        if view is None:
            raise problems.job_not_found(job_id)

- `Reader`, `Submitter` and `Administrator` are dependencies: they give the `Caller`, or end the request with 401
  (no valid key), 403 (a key without this scope, or no key from another machine) or 429 (too many requests of this key).
  A router's `answers(...)` need not name these three: services/api/app.py adds them for every guarded router.
  They run before the route; a route with a large body reads it itself (services/api/bodies.py), since FastAPI reads a
  body that it parses before it asks who sent it.
- `owner=caller.owner` goes into every question and every change about things that exist (jobs, uploads, artifacts,
  events, and whatever else a key can have). It is None where all is visible: without keys, and for the scope admin.
  What the owner does not have is not there: 404 in a path, 422 in a body (as for an unknown id), never 403. In a
  store's method: `where(owns_job(owner))`, shared/store/ownership.py.
- `key_id=caller.key_id` goes into every new row: a nullable column that refers to `api_keys.id`, NULL for what is made
  without a key. It is not `owner`: what an administrator makes is its key's too.
- `await resources.admission.admit(caller)` comes before new work is taken on: the limits of the system and of the
  key. For many jobs at once: `admit(caller, jobs=n)`; for bytes alone (uploads): `admit(caller, jobs=0)`. Once it is
  known how many bytes have come, and before they become an upload: `await resources.admission.admit_bytes(caller, n)`.
- A new job is begun by `await resources.turns.begin(new, ...)`, not by a message of the route's own: a key may have a
  limit of jobs that run at a time, and its further ones are held. A job that becomes queued later (fetched) is held by
  `held=func.coalesce(takes_turns(jobs.c.key_id), false())` in that UPDATE, and no message is published for it then.
- What stays open for long (event streams) ends with its key: `with resources.revocations.ending(caller.key_id, event)`
  sets an anyio.Event within a second of the key's end.
- Further scopes of one route: `caller.require(Scope.ADMIN)`.

tests/integration/api/test_ownership.py calls each route that has an id in its path with a stranger's key.
"""

from services.api.access.caller import Caller
from services.api.access.gate import Administrator, Reader, Submitter
from shared.schema.keys import Scope

__all__ = ["Administrator", "Caller", "Reader", "Scope", "Submitter"]
