"""Where things are put in the blob store."""

from uuid import UUID, uuid4

from shared.blobs import artifact_key

JOB = UUID(int=7)


def test_two_leases_never_share_a_key_even_with_the_same_number() -> None:
    """Of an attempt whose claim PostgreSQL forgot in a crash, another has the number."""
    assert artifact_key(JOB, 1, uuid4(), "a.mp3") != artifact_key(JOB, 1, uuid4(), "a.mp3")


def test_all_of_a_job_stands_under_one_prefix() -> None:
    assert artifact_key(JOB, 12, uuid4(), "a.mp3").startswith(f"artifacts/{JOB}/12-")
