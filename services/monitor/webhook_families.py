"""Webhooks in Prometheus's words: what is not delivered yet, and what the attempts came to."""

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.store.deliveries import OUTCOMES, DeliveryBacklog
from shared.store.tallies import WEBHOOK_OUTCOMES, Tally


def webhook_families(backlog: DeliveryBacklog, tallies: Sequence[Tally]) -> Iterator[Metric]:
    """The backlog, and the attempts of all workers ever."""
    yield GaugeMetricFamily(
        "wavemill_webhook_pending_deliveries",
        "Messages to webhooks that are not delivered yet, and not given up.",
        value=backlog.pending,
    )
    yield GaugeMetricFamily(
        "wavemill_webhook_oldest_delivery_age_seconds",
        "Time since the creation of the oldest of these; 0 if there is none.",
        value=backlog.oldest_seconds,
    )
    yield GaugeMetricFamily(
        "wavemill_webhook_overdue_seconds",
        "How long ago the next attempt at one of these should have begun; 0 if none is late.",
        value=backlog.overdue_seconds,
    )
    totals = {tally.label: tally.total for tally in tallies if tally.name == WEBHOOK_OUTCOMES}
    attempts = CounterMetricFamily(
        "wavemill_webhook_attempts",
        "Attempts to deliver a message: delivered, retried (it is tried again later) or failed (it is given up).",
        labels=["outcome"],
    )
    for outcome in OUTCOMES:
        attempts.add_metric([outcome], totals.get(outcome, 0))
    yield attempts
