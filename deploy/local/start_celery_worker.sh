#!/bin/sh
# Starts one Celery worker of Wavemill in the foreground, after a look whether Redis answers.
set -eu

usage() {
    cat <<'EOF'
Usage: start_celery_worker.sh [OPTION]... [-- CELERY_OPTION...]

Starts one Celery worker in the foreground. Options win over the environment.

  -c, --concurrency N     children of the worker      WAVEMILL_WORKER_CONCURRENCY  2
  -Q, --queues LIST       queues, by commas           WAVEMILL_WORKER_QUEUES       high,default,low,io
  -l, --loglevel LEVEL    debug, info, warning ...    WAVEMILL_LOG_LEVEL           info
  -n, --name NAME         node name, without @host    WAVEMILL_WORKER_NAME         worker
  -h, --help              this text

What follows `--` is given to Celery as it is. SIGTERM lets running jobs end, within
WAVEMILL_WORKER_SOFT_SHUTDOWN_SECONDS; send it to this process alone, not to its children.

  REDIS_HOST=redis.internal deploy/local/start_celery_worker.sh --concurrency 4 --queues high,default
EOF
}

refuse() {
    printf '%s\n' "$1" >&2
    exit 2
}

concurrency=${WAVEMILL_WORKER_CONCURRENCY:-2}
queues=${WAVEMILL_WORKER_QUEUES:-high,default,low,io}
log_level=${WAVEMILL_LOG_LEVEL:-info}
name=${WAVEMILL_WORKER_NAME:-worker}

while [ $# -gt 0 ]; do
    option=$1
    case $option in
        -h | --help) usage && exit 0 ;;
        --) shift && break ;;
        --*=*)
            value=${option#*=}
            option=${option%%=*}
            ;;
        *)
            [ $# -ge 2 ] || refuse "The option $option is unknown or lacks its value; see --help."
            value=$2
            shift
            ;;
    esac
    shift
    case $option in
        -c | --concurrency) concurrency=$value ;;
        -Q | --queues) queues=$value ;;
        -l | --loglevel) log_level=$value ;;
        -n | --name) name=$value ;;
        *) refuse "There is no option $option; see --help." ;;
    esac
done

case $concurrency in
    '' | *[!0-9]* | 0) refuse "The concurrency is a number from 1 up, not '$concurrency'." ;;
esac

cd "$(dirname "$0")/../.."

# The environment that `uv run` or an image put first on the PATH; in a plain shell, the checkout's own.
if [ -z "${VIRTUAL_ENV:-}" ] && [ -x .venv/bin/python ]; then
    PATH=$PWD/.venv/bin:$PATH
fi
command -v python >/dev/null || refuse "There is no python on the PATH; run \`make worker\`, or activate its environment."

python -m deploy.local.redis_check

# exec: signals reach Celery itself, and nobody else.
exec python -m celery -A services.worker.app worker \
    --concurrency="$concurrency" -Q "$queues" --loglevel="$log_level" -n "$name@%h" "$@"
