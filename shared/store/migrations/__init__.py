"""The history of the tables, for Alembic. New ones: `make migration MESSAGE="..."`."""
