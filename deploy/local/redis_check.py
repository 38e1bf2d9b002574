"""Says whether the Redis of the settings answers: `python -m deploy.local.redis_check`."""

import sys

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry

from deploy.local.errors import RedisUnreachable
from shared.settings import Settings, settings


def check_redis(configured: Settings) -> str:
    """The version of the Redis that answers.

    Raises:
        RedisUnreachable: none does, or it wants another password.
    """
    place = f"{configured.redis_host}:{configured.redis_port}"
    client = redis.Redis.from_url(
        configured.redis_url,
        socket_timeout=configured.redis_timeout_seconds,
        socket_connect_timeout=configured.redis_timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
        return str(client.info("server")["redis_version"])
    except (AuthenticationError, NoPermissionError):
        raise RedisUnreachable(f"Redis at {place} does not take the password; set REDIS_PASSWORD.") from None
    except (redis.ConnectionError, redis.TimeoutError):
        raise RedisUnreachable(
            f"Redis cannot be reached at {place}; start it, or set REDIS_HOST and REDIS_PORT."
        ) from None
    except redis.RedisError as error:
        raise RedisUnreachable(f"What answers at {place} cannot be used as Redis: {error}.") from None
    finally:
        client.close()


def main() -> int:
    """Exit code 0 where Redis answers."""
    configured = settings()
    try:
        version = check_redis(configured)
    except RedisUnreachable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Redis {version} answers at {configured.redis_host}:{configured.redis_port}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
