"""docs/configuration.md is what the code says."""

from pathlib import Path

from deploy.docs.configuration import page
from shared.settings import Settings, variable_name

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "run `make docs`"


def test_each_setting_has_a_row_and_says_what_it_is() -> None:
    text = page()
    for name, field in Settings.model_fields.items():
        assert text.count(f"| `{variable_name(name)}` |") == 1
        assert field.description, name


def test_the_readme_names_no_setting_that_is_not_there() -> None:
    known = {variable_name(name) for name in Settings.model_fields}
    # Of deploy/local/start_celery_worker.sh alone.
    known |= {"WAVEMILL_WORKER_QUEUES", "WAVEMILL_WORKER_NAME"}
    words = (ROOT / "README.md").read_text().replace("`", " ").replace("=", " ").replace(",", " ").split()
    assert {word for word in words if word.startswith("WAVEMILL_") and "..." not in word} <= known
