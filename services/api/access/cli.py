"""`make key NAME=...`: makes an API key in the database of DATABASE_URL, and shows its secret this once."""

import argparse
import asyncio
import sys
from datetime import UTC, date, datetime, timedelta

from pydantic import ValidationError

from shared.key_secrets import new_secret
from shared.schema.keys import KeyLimits, KeyRequest, KeyView, Scope
from shared.settings import Settings, settings
from shared.store.api_keys import ApiKeys
from shared.store.database import Database
from shared.store.errors import DATABASE_ERRORS


def main() -> int:
    """Exit code 1 when the key cannot be made; the reason is a sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m services.api.access.cli", description=__doc__)
    parser.add_argument("--name", required=True, help="what the key is for")
    parser.add_argument("--scopes", default="submit,read", help="of submit, read and admin, with commas between")
    parser.add_argument("--expires", help="a day (2030-01-31, its beginning in UTC), or a number of days (90d)")
    for limit, about in KeyLimits.model_fields.items():
        kind = float if limit == "requests_per_second" else int
        parser.add_argument(f"--{limit.replace('_', '-')}", type=kind, help=about.description)
    arguments = parser.parse_args()
    try:
        wanted = KeyRequest(
            name=arguments.name,
            scopes=tuple(Scope(scope.strip()) for scope in arguments.scopes.split(",")),
            expires_at=None if not arguments.expires else _moment(arguments.expires),
            limits=KeyLimits.model_validate({limit: getattr(arguments, limit) for limit in KeyLimits.model_fields}),
        )
    except ValidationError as error:
        for wrong in error.errors():
            where = ".".join(str(step) for step in wrong["loc"])
            print(f"{where}: {wrong['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    secret = new_secret()
    try:
        key = asyncio.run(_make(settings(), wanted, secret))
    except DATABASE_ERRORS as error:
        print(
            f"No key was made: the database cannot be used ({type(error).__name__}). Is DATABASE_URL right, and the "
            "database migrated (`make migrate`)?",
            file=sys.stderr,
        )
        return 1
    print(f"Key {key.id} ({key.name}), for {', '.join(key.scopes)}. Its secret is shown this once:", file=sys.stderr)
    print(secret)
    return 0


async def _make(configured: Settings, wanted: KeyRequest, secret: str) -> KeyView:
    database = Database.from_settings(configured)
    try:
        return await ApiKeys(database).create(
            secret, name=wanted.name, scopes=wanted.scopes, expires_at=wanted.expires_at, limits=wanted.limits
        )
    finally:
        await database.close()


def _moment(text: str) -> datetime:
    if text.endswith("d") and text[:-1].isdecimal():
        return datetime.now(UTC) + timedelta(days=int(text[:-1]))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day, as 2030-01-31 is, and no number of days, as 90d is") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
