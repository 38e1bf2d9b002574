"""What jobs do: how long they take and wait, how much faster than the audio they are, how and why they fail."""

from deploy.dashboards.building import Dashboard, Query, Row, bad, figure, graph, label_variable, warn

_OPERATION = 'operation=~"$operation"'


def _quantile(quantile: float, histogram: str, by: str, more: str = "") -> str:
    buckets = f"rate(wavemill_worker_{histogram}_bucket{{{more}}}[$__rate_interval])"
    return f"histogram_quantile({quantile}, sum by (le, {by}) ({buckets}))"


_AT_A_GLANCE = Row(
    "At a glance",
    [
        figure(
            "Audio an hour",
            "Seconds of audio that are decoded in a second: 60 is an hour of audio in a minute.",
            "none",
            [],
            Query("sum(rate(wavemill_worker_audio_seconds_total[$__rate_interval]))", "times real time"),
        ),
        figure(
            "Jobs that fail",
            "Share of the attempts of the last 15 minutes that ended their job as failed; bad files are among them.",
            "percentunit",
            [warn(0.05), bad(0.25)],
            Query(
                'sum(increase(wavemill_worker_attempts_total{outcome="failed"}[15m])) '
                '/ (sum(increase(wavemill_worker_attempts_total{outcome=~"failed|succeeded"}[15m])) > 0)',
                "failed",
            ),
        ),
        figure(
            "Poisoned jobs",
            "Jobs there now that were given up, since each worker on them died.",
            "none",
            [warn(1), bad(10)],
            Query("sum(max by (queue) (wavemill_poisoned_jobs))", "poisoned"),
        ),
        figure(
            "Jobs there",
            "Jobs in the database, of every status; retention keeps it in bounds.",
            "none",
            [],
            Query("sum(max by (status, queue) (wavemill_jobs))", "jobs"),
        ),
    ],
    to_a_line=4,
)

_TIME = Row(
    "Time by operation",
    [
        graph(
            "Run time, median",
            "From the claim to the end of an attempt. A job with several operations counts under each of them.",
            "s",
            [warn(600), bad(3300)],
            Query(_quantile(0.5, "job_duration_seconds", "operation", _OPERATION), "{{operation}}"),
        ),
        graph(
            "Run time, 95 %",
            "One attempt in twenty takes longer than this.",
            "s",
            [warn(600), bad(3300)],
            Query(_quantile(0.95, "job_duration_seconds", "operation", _OPERATION), "{{operation}}"),
        ),
        graph(
            "Real-time factor, median",
            "Seconds of work for a second of audio; 0.01 is a hundred times faster than the audio.",
            "none",
            [warn(0.5), bad(1)],
            Query(_quantile(0.5, "realtime_factor", "operation", _OPERATION), "{{operation}}"),
        ),
        graph(
            "Waiting, 95 %",
            "From a job's creation to its first claim, by queue.",
            "s",
            [warn(300), bad(900)],
            Query(_quantile(0.95, "job_wait_seconds", "queue", _OPERATION), "{{queue}}"),
        ),
        graph(
            "Steps of an attempt, 95 %",
            "Claim, heartbeat and finish wait for the database, fetch and store for the blobs; process is the engine.",
            "s",
            [],
            Query(_quantile(0.95, "step_duration_seconds", "step"), "{{step}}"),
        ),
        graph(
            "Bytes",
            "Bytes a second of inputs that are worked on, and of artifacts that are stored.",
            "Bps",
            [],
            Query("sum(rate(wavemill_worker_input_bytes_total[$__rate_interval]))", "inputs"),
            Query("sum(rate(wavemill_worker_output_bytes_total[$__rate_interval]))", "artifacts"),
        ),
    ],
)

_ENDS = Row(
    "How attempts end",
    [
        graph(
            "Attempts by operation",
            "Attempts a second that end, by operation.",
            "cps",
            [],
            Query(
                "sum by (operation) "
                f"(rate(wavemill_worker_job_duration_seconds_count{{{_OPERATION}}}[$__rate_interval]))",
                "{{operation}}",
            ),
        ),
        graph(
            "Share that fails, by operation",
            "Of those that ended in 15 minutes. All operations at once: the inputs, or a store; one alone: the engine.",
            "percentunit",
            [warn(0.1), bad(0.25)],
            Query(f"operation:wavemill_worker_failures:ratio15m{{{_OPERATION}}}", "{{operation}}"),
        ),
        graph(
            "Attempts by outcome",
            "handed_back: a worker was stopped; retried: the environment failed; lease_lost: another has the job now.",
            "cps",
            [],
            Query("sum by (outcome) (rate(wavemill_worker_attempts_total[$__rate_interval]))", "{{outcome}}"),
            stacked=True,
        ),
        graph(
            "Failures by error code",
            "Why jobs fail, as their users read it. internal_error is a fault of Wavemill.",
            "cps",
            [],
            Query("sum by (code) (rate(wavemill_worker_failures_total[$__rate_interval]))", "{{code}}"),
            stacked=True,
        ),
        graph(
            "Retries by error code",
            "Attempts a second after which the job is tried again: the environment failed, and passes.",
            "cps",
            [warn(0.1)],
            Query("sum by (code) (rate(wavemill_worker_retries_total[$__rate_interval]))", "{{code}}"),
            stacked=True,
        ),
        graph(
            "Jobs by status",
            "All jobs that are there.",
            "none",
            [],
            Query("sum by (status) (max by (status, queue) (wavemill_jobs))", "{{status}}"),
        ),
    ],
)

_WEBHOOKS = Row(
    "Webhooks",
    [
        graph(
            "Messages not delivered yet",
            "They wait for their first attempt, or for the next one; a receiver that is away makes them grow.",
            "none",
            [],
            Query("max(wavemill_webhook_pending_deliveries)", "messages"),
        ),
        graph(
            "Overdue",
            "How long ago an attempt should have begun. It grows where no worker serves the queue io.",
            "s",
            [warn(60), bad(300)],
            Query("max(wavemill_webhook_overdue_seconds)", "overdue"),
        ),
        graph(
            "Attempts by outcome",
            "retried: the receiver refused or was silent, and is told later; failed: the message was given up.",
            "cps",
            [],
            Query(
                "sum by (outcome) (max by (outcome) (rate(wavemill_webhook_attempts_total[$__rate_interval])))",
                "{{outcome}}",
            ),
            stacked=True,
        ),
    ],
)

DASHBOARD = Dashboard(
    "wavemill-jobs",
    "Wavemill: jobs and audio",
    "Time by operation, real-time factor, outcomes and errors, webhooks.",
    [_AT_A_GLANCE, _TIME, _ENDS, _WEBHOOKS],
    [label_variable("operation", "operation", "wavemill_worker_job_duration_seconds_count")],
)
