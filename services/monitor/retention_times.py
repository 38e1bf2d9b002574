"""How long things are kept."""

_FOREVER_DAYS = 36_500.0


def keep_seconds(keep_days: float) -> float:
    """How long to keep a thing; 0 days are for ever."""
    return (keep_days or _FOREVER_DAYS) * 86_400
