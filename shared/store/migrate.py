"""`python -m shared.store.migrate`: bring the database of DATABASE_URL to the newest schema."""

import argparse
import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared.key_secrets import MARK, is_secret
from shared.settings import settings, variable_name
from shared.store.api_keys import ApiKeys
from shared.store.database import Database

_ASK_EVERY_SECONDS = 2.0


def config() -> Config:
    """Alembic's configuration, without a file."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    alembic.set_main_option("path_separator", "os")
    alembic.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return alembic


def upgrade() -> None:
    """Apply every migration that the database does not have yet."""
    command.upgrade(config(), "head")


async def make_first_key() -> None:
    """Make the API key whose secret the settings have, if they have one, where there is no key yet.

    Raises:
        SystemExit: it has not the form of a secret, and could be guessed perhaps.
    """
    secret = settings().bootstrap_key
    if secret is None:
        return
    if not is_secret(secret.get_secret_value()):
        raise SystemExit(
            f"The setting {variable_name('bootstrap_key')} is not usable: a secret is {MARK} and 43 random characters "
            "of base64url, as `make env` makes one."
        )
    database = Database.from_settings(settings())
    try:
        if await ApiKeys(database).make_first(secret.get_secret_value()):
            sys.stderr.write("Made the first API key, which may do everything.\n")
    finally:
        await database.close()


async def wait() -> None:
    """Return when the database has every migration of this version, by whoever applies them.

    A database that is newer than this version is waited for no longer: old services go on beside new ones.
    """
    database = Database.from_settings(settings())
    try:
        while not await _is_migrated(database):
            sys.stderr.write("The database is away, or not migrated to this version yet; waiting.\n")
            await asyncio.sleep(_ASK_EVERY_SECONDS)
    finally:
        await database.close()


async def _is_migrated(database: Database) -> bool:
    try:
        async with database.read() as connection:
            revision = await connection.run_sync(_revision)
    except (SQLAlchemyError, OSError):
        return False
    scripts = ScriptDirectory.from_config(config())
    older = {script.revision for script in scripts.walk_revisions()} - set(scripts.get_heads())
    return revision is not None and revision not in older


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def main() -> None:
    """Upgrade, wait until another has, or write a new migration from what tables and database differ in."""
    parser = argparse.ArgumentParser(prog="python -m shared.store.migrate", description=__doc__)
    parser.add_argument("--new", metavar="MESSAGE", help="write a migration from what the tables have and it has not")
    parser.add_argument("--number", metavar="NNNN", help="the new migration's number")
    parser.add_argument("--wait", action="store_true", help="apply nothing, and end when another has applied all")
    parser.add_argument(
        "--first-key",
        action="store_true",
        help=f"then make the API key of {variable_name('bootstrap_key')}, if there is no key",
    )
    arguments = parser.parse_args()
    if arguments.new:
        command.revision(config(), arguments.new, autogenerate=True, rev_id=arguments.number)
    elif arguments.wait:
        asyncio.run(wait())
    else:
        upgrade()
        if arguments.first_key:
            asyncio.run(make_first_key())


if __name__ == "__main__":
    main()
