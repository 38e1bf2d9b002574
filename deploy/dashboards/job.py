"""Where to begin with one job: its page, its log lines and its trace, beside what other jobs take at the time."""

from deploy.dashboards.building import Dashboard, Query, Row, graph, text, text_variable, warn

_WHERE = """
Write the id of a job above: it is in the answer to the request that made it.

| what | where |
| --- | --- |
| status, attempts, results | `GET /api/jobs/${job}` |
| attempts, timeline, worker; retry and cancel | the operations page of the monitor: search for `${job}` |
| log lines of every service | those whose `job_id` is `${job}` |
| the trace | the `trace_id` of these lines, in the store that `OTEL_EXPORTER_OTLP_ENDPOINT` leads to |

The trace begins with the HTTP request and goes on through Redis into each attempt: claim, fetch, process, store,
finish. A later attempt's span links to the first one's. Below: what the same steps take for all jobs, to compare with.
"""


def _mean(histogram: str, by: str) -> str:
    def rate(part: str) -> str:
        return f"sum by ({by}) (rate(wavemill_worker_{histogram}_{part}[$__rate_interval]))"

    return f"{rate('sum')} / {rate('count')}"


DASHBOARD = Dashboard(
    "wavemill-job",
    "Wavemill: one job",
    "From a job's id to its trace, and what its steps take for others.",
    [
        Row(
            "One job", [text("Where to look", "The ways from a job's id to what happened to it.", _WHERE)], to_a_line=1
        ),
        Row(
            "What others take at the time",
            [
                graph(
                    "Mean time of each step",
                    "The spans of a trace have these names; one that takes many times the mean is where to look.",
                    "s",
                    [],
                    Query(_mean("step_duration_seconds", "step"), "{{step}}"),
                    stacked=True,
                ),
                graph(
                    "Mean run time by operation",
                    "From the claim to the end of an attempt.",
                    "s",
                    [warn(600)],
                    Query(_mean("job_duration_seconds", "operation"), "{{operation}}"),
                ),
                graph(
                    "Mean waiting by queue",
                    "From a job's creation to its first claim: the gap in a trace between the request and the attempt.",
                    "s",
                    [warn(300)],
                    Query(_mean("job_wait_seconds", "queue"), "{{queue}}"),
                ),
                graph(
                    "Attempts by outcome",
                    "Whether the job was alone with its fate.",
                    "cps",
                    [],
                    Query("sum by (outcome) (rate(wavemill_worker_attempts_total[$__rate_interval]))", "{{outcome}}"),
                ),
            ],
        ),
    ],
    [text_variable("job", "Job id")],
)
