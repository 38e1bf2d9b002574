import pytest

from services.api.bodies import validated
from services.api.problems import FieldError, ProblemError, invalid
from shared.schema.jobs import JobRequest, JobSpec


def test_pointers_are_escaped() -> None:
    # RFC 6901, section 3.
    assert FieldError.at("body", ["a/b", "m~n", 0, ""], "wrong").pointer == "#/a~1b/m~0n/0/"


def test_one_error_is_told_in_the_detail() -> None:
    assert invalid([FieldError.at("query", ["limit"], "too many")]).problem.detail == "#/limit (query): too many"


def test_errors_are_bounded() -> None:
    spec = '{"operations": [{"op": "probe"' + "".join(f', "p{n}": 1' for n in range(1000)) + "}]}"
    with pytest.raises(ProblemError) as caught:
        validated(JobSpec, spec.encode())
    assert caught.value.problem.errors is not None
    assert len(caught.value.problem.errors) == 50


def test_a_key_that_is_called_like_an_operation_stays_in_the_pointer() -> None:
    with pytest.raises(ProblemError) as caught:
        validated(JobSpec, b'{"operations": [{"op": "probe", "probe": 1}]}')
    assert caught.value.problem.errors is not None
    assert [error.pointer for error in caught.value.problem.errors] == ["#/operations/0/probe"]


@pytest.mark.parametrize("text", [b"17", b'"x"', b"null", b"[1]", b"{}", b"", b"{", b"\xff", b"NaN"])
def test_whatever_json_there_is_gets_an_answer(text: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        validated(JobRequest, text)
    assert caught.value.problem.status == 422
