"""The stores in Prometheus's words: how large they are, how much room is left, what fails."""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from services.monitor.duties.stray_blobs import Stock
from services.monitor.redis_health import RedisHealth
from services.monitor.watch import DatabaseView, View, Watch
from shared.blobs import Room


def watched(store: str, name: str, watch: Watch[View]) -> Iterator[Metric]:
    """Whether a store answers, and how fast."""
    if watch.is_up is None:
        return
    yield GaugeMetricFamily(
        f"wavemill_{store}_up",
        f"1 where the monitor reaches {name} and gets its answers.",
        value=float(watch.is_up),
    )
    yield GaugeMetricFamily(
        f"wavemill_{store}_look_duration_seconds",
        f"How long the monitor's last look at {name} took.",
        value=watch.took_seconds,
    )


def database_families(view: DatabaseView) -> Iterator[Metric]:
    """The database's size and connections, and what retention has not removed yet."""
    yield GaugeMetricFamily(
        "wavemill_database_size_bytes", "Size of the database, with its indexes.", value=view.size_bytes
    )
    rows = GaugeMetricFamily(
        "wavemill_database_rows", "About how many rows a table has, as PostgreSQL's planner knows.", labels=["table"]
    )
    for table, count in view.rows.items():
        rows.add_metric([table], count)
    yield rows
    if view.connections is not None:
        yield GaugeMetricFamily(
            "wavemill_postgresql_connections",
            "Connections of clients that PostgreSQL has, whoever's they are.",
            value=view.connections.open,
        )
        yield GaugeMetricFamily(
            "wavemill_postgresql_max_connections",
            "Connections that PostgreSQL takes at most.",
            value=view.connections.limit,
        )
    backlog = GaugeMetricFamily(
        "wavemill_retention_backlog_age_seconds",
        "How much longer than meant the oldest of a kind of things has been kept; 0 where all is in time.",
        labels=["kind"],
    )
    for kind, seconds in view.retention_backlog.items():
        backlog.add_metric([kind], seconds)
    yield backlog


def redis_families(health: RedisHealth) -> Iterator[Metric]:
    """Redis's memory, clients and persistence."""
    yield GaugeMetricFamily(
        "wavemill_redis_memory_used_bytes", "Memory that Redis has in use.", value=health.memory_used_bytes
    )
    yield GaugeMetricFamily(
        "wavemill_redis_memory_max_bytes",
        "Memory that Redis may use (maxmemory); 0 is no limit.",
        value=health.memory_limit_bytes,
    )
    yield CounterMetricFamily(
        "wavemill_redis_evicted_keys",
        "Keys that Redis has thrown away for want of memory, since it started. There should be none.",
        value=health.evicted_keys,
    )
    yield GaugeMetricFamily("wavemill_redis_clients", "Connections of clients that Redis has.", value=health.clients)
    yield GaugeMetricFamily(
        "wavemill_redis_max_clients", "Connections of clients that Redis takes at most.", value=health.clients_limit
    )
    persistence = GaugeMetricFamily(
        "wavemill_redis_persistence_ok",
        "1 where Redis's last write to disk succeeded: snapshots (rdb), and the append-only file (aof) if it is on.",
        labels=["kind"],
    )
    for kind, is_ok in health.persistence_ok.items():
        persistence.add_metric([kind], float(is_ok))
    yield persistence


def blob_families(room: Room | None, stock: Mapping[str, Stock]) -> Iterator[Metric]:
    """The blob store's room and contents."""
    if room is not None:
        yield GaugeMetricFamily(
            "wavemill_blob_store_free_bytes",
            "Room on the disk of the blob store, where it is a folder.",
            value=room.free_bytes,
        )
        yield GaugeMetricFamily(
            "wavemill_blob_store_capacity_bytes",
            "Size of the disk of the blob store, where it is a folder.",
            value=room.capacity_bytes,
        )
    size = GaugeMetricFamily(
        "wavemill_blob_store_bytes",
        "Bytes in the blob store under a prefix, by the last sweep of this monitor, if it has made one.",
        labels=["prefix"],
    )
    files = GaugeMetricFamily(
        "wavemill_blob_store_files",
        "Files in the blob store under a prefix, by the last sweep of this monitor, if it has made one.",
        labels=["prefix"],
    )
    for prefix, found in stock.items():
        size.add_metric([prefix], found.size_bytes)
        files.add_metric([prefix], found.files)
    yield size
    yield files
