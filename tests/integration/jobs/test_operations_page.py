"""docs/operations.md: its examples as they stand, and those of the catalogue, against real processes."""

import re
import subprocess
from pathlib import Path

from tests.audio_files import noise
from tests.programs import program
from tests.system import ROOT, System

# What the page's examples send, and what the catalogue's call the further inputs.
FILES = ("talk.mp3", "talk.wav", "song.flac", "chapter.mp3", "jingle.wav", "one.wav", "two.wav", "three.wav")
FURTHER = {"part-2": "two.wav", "part-3": "three.wav", "jingle": "jingle.wav"}


def test_the_examples_run_as_they_stand(system: System, tmp_path: Path) -> None:
    program("curl")
    # One of the catalogue's edits begins at 12.5 s.
    files = [noise(tmp_path / name, seconds=13 if name == "one.wav" else 4, rate=16_000) for name in FILES]
    system.start()
    run_the_page(system, tmp_path)
    run_the_catalogue(system, {file.name: file for file in files})


def run_the_page(system: System, folder: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    script = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    # Every HTTP error is to end the script, and the API is on another port here.
    script, ports = re.subn(r"http://127\.0\.0\.1:8000", str(system.client.base_url), script)
    script, curls = re.subn(r"\bcurl -sS", "curl --fail-with-body -sS", script)
    assert ports == 1
    command = ["bash", "-euxo", "pipefail", "-c", script]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    jobs = [system.finished(job["id"]) for job in system.client.get("/api/jobs?limit=100").json()["jobs"]]
    # One call is in `upload`, which makes no job.
    assert len(jobs) == curls - 1
    assert {job["error_message"] for job in jobs} == {None}
    assert all(job["results"] for job in jobs)


def run_the_catalogue(system: System, files: dict[str, Path]) -> None:
    catalogue = system.client.get("/api/operations").json()
    examples = [entry["example"] for entry in catalogue["operations"]]
    edited = [{"op": "loudness", "edits": [entry["example"]]} for entry in catalogue["edits"]]
    # A job has up to eight chains of edits.
    for operations in (examples, edited[:5], edited[5:]):
        needed = {name for name in FURTHER if f"'{name}'" in str(operations)}
        uploads = {name: files[FURTHER[name]] for name in needed} | {"": files["one.wav"]}
        ids = {}
        for name, file in uploads.items():
            answer = system.client.post("/api/uploads", files={"file": (file.name, file.read_bytes())})
            ids[name] = {"id": answer.json()["id"]}
        body = {"input": ids.pop(""), "inputs": ids, "operations": operations}
        answer = system.client.post("/api/jobs", json=body)
        assert answer.status_code == 202, answer.text
        job = system.finished(answer.json()["id"])
        assert job["error_message"] is None
        assert len(job["results"]) == len(operations)
