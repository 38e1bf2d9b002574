"""`python -m shared.store.migrate`: bring the database of DATABASE_URL to the newest schema."""

import argparse
from pathlib import Path

from alembic import command
from alembic.config import Config


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


def main() -> None:
    """Upgrade, or write a new migration from the difference between the tables and the database."""
    parser = argparse.ArgumentParser(prog="python -m shared.store.migrate", description=__doc__)
    parser.add_argument("--new", metavar="MESSAGE", help="write a migration from what the tables have and it has not")
    parser.add_argument("--number", metavar="NNNN", help="the new migration's number")
    arguments = parser.parse_args()
    if arguments.new:
        command.revision(config(), arguments.new, autogenerate=True, rev_id=arguments.number)
    else:
        upgrade()


if __name__ == "__main__":
    main()
