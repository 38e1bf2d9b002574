"""`python -m services.monitor`: serve on the address and port of the settings."""

import uvicorn

from services.monitor.app import make_app
from shared.settings import settings
from shared.telemetry.logs import configure_logs

# For answers that are underway at SIGTERM, in whole seconds; the monitor's take milliseconds.
_LAST_ANSWERS_SECONDS = 1


def main() -> None:
    """Serve until a signal comes."""
    configure_logs("monitor", settings())
    uvicorn.run(
        make_app(settings()),
        host=settings().monitor_host,
        port=settings().monitor_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )


if __name__ == "__main__":
    main()
