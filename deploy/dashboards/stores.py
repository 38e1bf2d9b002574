"""Where the truth, the messages and the bytes are: PostgreSQL, Redis, the blob store, and what retention removes."""

from deploy.dashboards.building import Dashboard, Panel, Query, Row, bad, figure, good, graph, label_variable, warn

_STEPS = "wavemill_worker_step_duration_seconds_bucket"
_MONITOR = 'instance=~"$monitor"'


def _up(title: str, metric: str) -> Panel:
    return figure(
        title,
        "1 where at least one monitor reaches it and gets its answers.",
        "bool_on_off",
        [good(1)],
        Query(f"max({metric})", "up"),
        base="red",
    )


def _look(title: str, metric: str) -> Panel:
    return graph(
        title,
        "How long the last look of each monitor took: the first figure to grow when a store is slow.",
        "s",
        [warn(0.5), bad(1)],
        Query(f"{metric}{{{_MONITOR}}}", "{{instance}}"),
    )


def _latency(title: str, steps: str) -> Panel:
    return graph(
        title,
        "As the workers see it: 95 % of the times take less.",
        "s",
        [warn(1), bad(10)],
        Query(
            f'histogram_quantile(0.95, sum by (le, step) (rate({_STEPS}{{step=~"{steps}"}}[$__rate_interval])))',
            "{{step}}",
        ),
    )


_STATE = Row(
    "State",
    [
        _up("Database", "wavemill_database_up"),
        _up("Redis", "wavemill_redis_up"),
        _up("Blob store", "wavemill_blob_store_up"),
    ],
    to_a_line=3,
)

_DATABASE = Row(
    "Database",
    [
        _look("Looks at the database", "wavemill_database_look_duration_seconds"),
        _latency("Latency of the database", "claim|heartbeat|finish"),
        graph(
            "Connections",
            "Share of PostgreSQL's max_connections that clients have.",
            "percentunit",
            [warn(0.6), bad(0.8)],
            Query("max(wavemill_postgresql_connections / wavemill_postgresql_max_connections)", "in use"),
        ),
        graph(
            "Size of the database",
            "With its indexes.",
            "bytes",
            [],
            Query("max(wavemill_database_size_bytes)", "database"),
        ),
        graph(
            "Rows",
            "About how many a table has, as PostgreSQL's planner knows.",
            "none",
            [],
            Query("max by (table) (wavemill_database_rows)", "{{table}}"),
        ),
        graph(
            "Kept too long",
            "How much longer than the settings say the oldest thing was kept, by the duty that should have removed it.",
            "s",
            [warn(3600), bad(21600)],
            Query("max by (kind) (wavemill_retention_backlog_age_seconds)", "{{kind}}"),
        ),
    ],
)

_REDIS = Row(
    "Redis",
    [
        _look("Looks at Redis", "wavemill_redis_look_duration_seconds"),
        graph(
            "Memory",
            "In use, and maxmemory; 0 is no limit.",
            "bytes",
            [],
            Query("max(wavemill_redis_memory_used_bytes)", "in use"),
            Query("max(wavemill_redis_memory_max_bytes)", "limit"),
        ),
        graph(
            "Connections",
            "Share of Redis's maxclients that are connected.",
            "percentunit",
            [warn(0.6), bad(0.8)],
            Query("max(wavemill_redis_clients / wavemill_redis_max_clients)", "in use"),
        ),
        graph(
            "Evicted keys and persistence",
            "Keys thrown away in 15 minutes, of which there should be none; 1 where the last write to disk succeeded.",
            "none",
            [],
            Query("max(increase(wavemill_redis_evicted_keys_total[15m]))", "evicted"),
            Query("max by (kind) (wavemill_redis_persistence_ok)", "{{kind}} is well"),
        ),
    ],
)

_BLOBS = Row(
    "Blob store",
    [
        _look("Looks at the blob store", "wavemill_blob_store_look_duration_seconds"),
        _latency("Latency of the blob store", "fetch|store"),
        graph(
            "Room",
            "Free share of the disk, where the store is a folder. Below WAVEMILL_MIN_FREE_BYTES new work is refused.",
            "percentunit",
            [],
            Query("min(wavemill_blob_store_free_bytes / wavemill_blob_store_capacity_bytes)", "free"),
        ),
        graph(
            "Contents",
            "Bytes under each prefix, by the last sweep.",
            "bytes",
            [],
            Query("max by (prefix) (wavemill_blob_store_bytes)", "{{prefix}}"),
        ),
        graph(
            "Files",
            "Files under each prefix, by the last sweep.",
            "none",
            [],
            Query("max by (prefix) (wavemill_blob_store_files)", "{{prefix}}"),
        ),
    ],
)

DASHBOARD = Dashboard(
    "wavemill-stores",
    "Wavemill: stores",
    "PostgreSQL, Redis and the blob store: reachable, quick, and not full.",
    [_STATE, _DATABASE, _REDIS, _BLOBS],
    [label_variable("monitor", "instance", "wavemill_database_up")],
)
