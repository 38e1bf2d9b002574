"""Errors of the stores in the monitor's log."""


def in_a_line(error: Exception) -> str:
    """Kind and first line: SQLAlchemy's errors go on for pages, and timeouts say nothing at all."""
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
