"""Who does the work, and who looks after it: workers, their children, and the reconciler."""

from deploy.dashboards.building import Dashboard, Query, Row, bad, figure, graph, label_variable, warn

_WORKER = 'instance=~"$worker"'

_CREW = Row(
    "Crew",
    [
        figure(
            "Workers alive",
            "Workers that are heard of.",
            "none",
            [],
            Query('max(wavemill_workers{state="alive"})', "alive"),
        ),
        figure(
            "Workers silent",
            "Workers that fell silent without leaving; they are struck off after an hour.",
            "none",
            [bad(1)],
            Query('max(wavemill_workers{state="silent"})', "silent"),
        ),
        figure(
            "Slots busy",
            "Share of the children that run a job. Near 100 % with jobs waiting: add workers.",
            "percentunit",
            [warn(0.95)],
            Query("max(wavemill_workers_slots_busy) / (max(wavemill_workers_slots) > 0)", "busy"),
        ),
        figure(
            "Attempts lost in an hour",
            "Attempts whose worker died or fell silent.",
            "none",
            [warn(1), bad(3)],
            Query("sum(max by (queue) (increase(wavemill_attempts_lost_total[1h])))", "lost"),
        ),
    ],
    to_a_line=4,
)

_CHILDREN = Row(
    "Workers and their children",
    [
        graph(
            "Busy slots",
            "Children of each worker that run a job.",
            "none",
            [],
            Query(f"wavemill_worker_slots_busy{{{_WORKER}}}", "{{instance}} busy"),
            Query(f"wavemill_worker_slots{{{_WORKER}}}", "{{instance}} there"),
        ),
        graph(
            "Slots by queue",
            "Children of the workers that serve a queue. 0 for a queue that is used: nothing of it is done.",
            "none",
            [],
            Query("max by (queue) (wavemill_queue_slots)", "{{queue}} slots"),
            Query("max by (queue) (wavemill_queue_workers)", "{{queue}} workers"),
        ),
        graph(
            "Processor time",
            "Seconds a second of each child, with the threads of its encoders.",
            "none",
            [],
            Query(
                f"rate(wavemill_worker_slot_cpu_seconds_total{{{_WORKER}}}[$__rate_interval])",
                "{{instance}} slot {{slot}}",
            ),
        ),
        graph(
            "Memory",
            "Resident memory of each child. One over WAVEMILL_WORKER_MAX_MEMORY_PER_CHILD_KIB (1 GiB) is replaced.",
            "bytes",
            [bad(2.0**30)],
            Query(f"wavemill_worker_slot_memory_bytes{{{_WORKER}}}", "{{instance}} slot {{slot}}"),
        ),
        graph(
            "Children lost",
            "Children an hour that were killed or crashed.",
            "none",
            [warn(1), bad(3)],
            Query(f"increase(wavemill_worker_children_lost_total{{{_WORKER}}}[1h])", "{{instance}}"),
        ),
        graph(
            "Connected again",
            "Times in an hour that a worker connected to Redis again, because jobs waited and none came.",
            "none",
            [warn(1), bad(3)],
            Query(f"increase(wavemill_worker_consumer_restarts_total{{{_WORKER}}}[1h])", "{{instance}}"),
        ),
        graph(
            "Paused queues",
            "1 where an operator has paused a queue, on the operations page.",
            "none",
            [warn(1)],
            Query("max by (queue) (wavemill_queue_paused)", "{{queue}}"),
        ),
        graph(
            "Messages",
            "Messages that a worker holds and has given to no child, and those a second that were of no use.",
            "none",
            [],
            Query(f"wavemill_worker_prefetched_messages{{{_WORKER}}}", "{{instance}} held"),
            Query(
                f"rate(wavemill_worker_messages_ignored_total{{{_WORKER}}}[$__rate_interval])",
                "{{instance}} ignored a second",
            ),
        ),
    ],
)

_RECONCILER = Row(
    "Reconciler",
    [
        graph(
            "Who leads",
            "1 on the monitor that performs the duties. The sum is 1, but for the moment of a hand-over.",
            "none",
            [bad(2)],
            Query("wavemill_reconciler_leader", "{{instance}}"),
            Query("sum(wavemill_reconciler_leader)", "sum"),
        ),
        graph(
            "Since the last round",
            "Time since a monitor last went through all duties.",
            "s",
            [warn(60), bad(300)],
            Query("time() - max(wavemill_reconciler_last_run_timestamp_seconds)", "last round"),
        ),
        graph(
            "Put right",
            "Things a minute that were put right, by duty. due_jobs and the retention's are everyday work.",
            "cpm",
            [],
            Query("60 * max by (kind) (rate(wavemill_reconciler_actions_total[$__rate_interval]))", "{{kind}}"),
        ),
        graph(
            "Duties that fail",
            "Turns in 10 minutes that failed, by duty.",
            "none",
            [warn(1), bad(5)],
            Query("sum by (kind) (increase(wavemill_reconciler_failures_total[10m]))", "{{kind}}"),
        ),
        graph(
            "Jobs without a message",
            "Queued jobs that no message carries, for longer than a grace. The reconciler publishes them.",
            "none",
            [warn(1)],
            Query("max by (queue) (wavemill_queue_undispatched_jobs)", "{{queue}}"),
        ),
        graph(
            "Leases that ran out",
            "Running jobs whose worker fell silent, and that are not given to another yet.",
            "none",
            [warn(1)],
            Query("max(wavemill_leases_expired)", "jobs"),
        ),
    ],
)

DASHBOARD = Dashboard(
    "wavemill-workers",
    "Wavemill: workers",
    "Workers, their children, and the reconciler that looks after their jobs.",
    [_CREW, _CHILDREN, _RECONCILER],
    [label_variable("worker", "instance", "wavemill_worker_slots")],
)
