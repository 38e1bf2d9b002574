"""The first page: are the objectives kept, what comes in, what waits, who works."""

from deploy.dashboards.building import Dashboard, Query, Row, bad, figure, good, graph, label_variable, warn

_API = 'route=~"/api/.*"'
_QUEUE = 'queue=~"$queue"'


def _latency(quantile: float) -> str:
    buckets = f"rate(wavemill_http_request_duration_seconds_bucket{{{_API}}}[$__rate_interval])"
    return f"histogram_quantile({quantile}, sum by (le) ({buckets}))"


_OBJECTIVES = Row(
    "Objectives",
    [
        figure(
            "Answered without an error of ours",
            "Share of the last hour's requests that were not answered with 5xx. The objective is 99.9 % over 30 days.",
            "percentunit",
            [warn(0.99), good(0.999)],
            Query("1 - api:wavemill_http_errors:ratio_rate1h", "last hour"),
            base="red",
        ),
        figure(
            "Answered in time",
            "Share of the last hour's answers that began within 0.5 s (reads) or 4 s (writes). The objective is 99 %.",
            "percentunit",
            [warn(0.95), good(0.99)],
            Query("1 - api:wavemill_http_late:ratio_rate1h", "last hour"),
            base="red",
        ),
        figure(
            "Error budget burn rate",
            "1 uses up the error budget of 30 days in 30 days; from 14.4 on for an hour an alert calls somebody.",
            "none",
            [warn(1), bad(14.4)],
            Query("api:wavemill_http_errors:ratio_rate1h / 0.001", "last hour"),
        ),
        figure(
            "Alerts",
            "Alerts that fire now; Alertmanager may keep some back that follow from others.",
            "none",
            [warn(1), bad(3)],
            Query('count(ALERTS{alertstate="firing", component!=""}) or vector(0)', "firing"),
        ),
    ],
    to_a_line=4,
)

_TRAFFIC = Row(
    "Traffic",
    [
        graph(
            "Requests by status",
            "Answers a second. 202 is an accepted job; 429 and 507 are refusals that protect what waits and the disk.",
            "reqps",
            [],
            Query(f"sum by (status) (rate(wavemill_http_requests_total{{{_API}}}[$__rate_interval]))", "{{status}}"),
            stacked=True,
        ),
        graph(
            "Time to an answer",
            "From a request's arrival to the start of its answer, without the waiting for the client's bytes.",
            "s",
            [warn(0.5), bad(4)],
            *(Query(_latency(quantile), f"{quantile:.0%}") for quantile in (0.5, 0.95, 0.99)),
        ),
        graph(
            "Bytes",
            "Bytes a second that clients send (uploads) and fetch (results).",
            "Bps",
            [],
            Query("sum(rate(wavemill_http_received_bytes_total[$__rate_interval]))", "received"),
            Query("sum(rate(wavemill_http_sent_bytes_total[$__rate_interval]))", "sent"),
        ),
        graph(
            "In flight",
            "Requests whose answer has not ended, and among them the open event streams.",
            "none",
            [],
            Query("sum(wavemill_http_requests_in_flight)", "requests"),
            Query("sum(wavemill_event_streams)", "event streams"),
        ),
        graph(
            "Refusals",
            "Requests a second that were refused, by the name of the problem. disk-full and too-much-queued are ours.",
            "reqps",
            [warn(0.1)],
            Query("sum by (reason) (rate(wavemill_http_rejections_total[$__rate_interval]))", "{{reason}}"),
        ),
        graph(
            "Jobs that end",
            "Jobs a second that end, by how.",
            "cps",
            [],
            Query(
                f"sum by (status) (max by (queue, status) "
                f"(rate(wavemill_jobs_finished_total{{{_QUEUE}}}[$__rate_interval])))",
                "{{status}}",
            ),
            stacked=True,
        ),
    ],
)

_QUEUES = Row(
    "Queues",
    [
        graph(
            "Jobs that wait",
            "Queued jobs that are due, as the database has them.",
            "none",
            [],
            Query(f"queue:wavemill_queue_waiting_jobs:max{{{_QUEUE}}}", "{{queue}}"),
        ),
        graph(
            "Age of the oldest job",
            "How long the job has waited that waits the longest: the figure that users feel.",
            "s",
            [warn(300), bad(900)],
            Query(f"max by (queue) (wavemill_queue_oldest_job_age_seconds{{{_QUEUE}}})", "{{queue}}"),
        ),
        graph(
            "Time to drain",
            "How long it takes to do what waits, at the pace of the last 15 minutes; nothing where none ended.",
            "s",
            [warn(900), bad(3600)],
            Query(f"queue:wavemill_queue_drain_seconds:ratio{{{_QUEUE}}}", "{{queue}}"),
        ),
        graph(
            "Messages",
            "Messages in Redis that wait, and those that a worker has and has not acknowledged.",
            "none",
            [],
            Query(f"max by (queue) (wavemill_queue_messages{{{_QUEUE}}})", "{{queue}} waiting"),
            Query(f"max by (queue) (wavemill_queue_unacknowledged_messages{{{_QUEUE}}})", "{{queue}} unacknowledged"),
        ),
    ],
)

_WORKERS = Row(
    "Workers",
    [
        graph(
            "Workers",
            "Workers that are heard of, and those that fell silent without leaving.",
            "none",
            [],
            Query("max by (state) (wavemill_workers)", "{{state}}"),
        ),
        graph(
            "Slots",
            "Children of the workers that are alive, and those that run a job. All busy and jobs waiting: add workers.",
            "none",
            [],
            Query("max(wavemill_workers_slots)", "there"),
            Query("max(wavemill_workers_slots_busy)", "busy"),
        ),
    ],
)

DASHBOARD = Dashboard(
    "wavemill-overview",
    "Wavemill: overview",
    "Objectives, traffic, queues and workers at a glance.",
    [_OBJECTIVES, _TRAFFIC, _QUEUES, _WORKERS],
    [label_variable("queue", "queue", "wavemill_queue_waiting_jobs")],
)
