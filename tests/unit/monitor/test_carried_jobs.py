"""The set of jobs that have a message: what it may get wrong, and how much memory it takes."""

import tracemalloc
from uuid import uuid4

import uuid_utils.compat

from services.monitor.messages import CarriedJobs


def test_a_job_that_was_added_is_always_found() -> None:
    job_ids = [uuid_utils.compat.uuid7() for _ in range(5000)]
    carried = CarriedJobs(len(job_ids))
    for job_id in job_ids:
        carried.add(job_id)
    assert all(job_id in carried for job_id in job_ids)


def test_another_is_mistaken_for_one_rarely_and_not_twice() -> None:
    there = [uuid_utils.compat.uuid7() for _ in range(20_000)]
    others = [uuid_utils.compat.uuid7() for _ in range(20_000)]
    mistaken = []
    for _ in range(2):
        carried = CarriedJobs(len(there))
        for job_id in there:
            carried.add(job_id)
        mistaken.append({job_id for job_id in others if job_id in carried})
    # 20,000 in 2^22 bits: one in 210, so 95 are expected, with a standard deviation of 10.
    assert all(45 <= len(found) <= 145 for found in mistaken)
    # By chance 0.45 in both.
    assert len(mistaken[0] & mistaken[1]) <= 8


def test_its_memory_is_bounded() -> None:
    tracemalloc.start()
    carried = CarriedJobs(10**9)
    for _ in range(1000):
        carried.add(uuid4())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 17 * 2**20
