from uuid import uuid4

import pytest

from services.api.job_watch import Place
from shared.schema.events import JobEvent
from shared.schema.jobs import JobStatus


def place(version: int, progress: float) -> Place:
    return Place.of(
        JobEvent(
            type="progress",
            job_id=uuid4(),
            version=version,
            status=JobStatus.RUNNING,
            progress=progress,
            attempt=1,
        )
    )


def test_the_order_is_that_of_the_events() -> None:
    places = [place(1, 0.0), place(2, 0.0), place(2, 0.05), place(2, 0.5), place(2, 1.0), place(10, 0.1)]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    # As text, too, a place leads back to itself.
    assert [Place.parse(str(each)) for each in places] == places


@pytest.mark.parametrize(
    "text", [None, "", "x", "1", "1.", ".1", "1.2.3", "1.2 ", "-1.2", "1e3.0", "٣.٣", "1" * 99 + ".0"]
)
def test_what_is_no_place_is_before_all(text: str | None) -> None:
    assert Place.parse(text) < place(1, 0.0)
