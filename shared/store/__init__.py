"""PostgreSQL (or SQLite, on one machine): the truth about every job. All SQL of a thing stands in one module."""
