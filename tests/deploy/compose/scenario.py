"""The life of an installation in some minutes: start, work, grow, shrink, crashes, restarts, a look at the figures."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx

from shared.key_secrets import new_secret
from tests.audio_files import recording
from tests.deploy.compose import walls
from tests.deploy.compose.load import OPERATIONS, TERMINAL, Job, Load
from tests.deploy.compose.project import Failed, Project, wait_until
from tests.deploy.compose.prometheus import Prometheus

STORES = ("postgres", "redis")
CRASHED = ("worker", "worker-io", "monitor", "api")
SERVICES = ("api", "worker", "worker-io", "monitor", "migrate", *STORES, "prometheus", "alertmanager")
# The reconciler's grace, a lease, and the work.
_LOAD_ENDS_SECONDS = 90.0
_WELL_SECONDS = 90.0
_JOB_SECONDS = 60.0
_UID = "10001"
_ABOUT_THE_IMAGE = """
import json, os, shutil
def writes(folder):
    try:
        open(os.path.join(folder, "written"), "w").close()
    except OSError:
        return False
    return True
print(json.dumps({
    "uid": str(os.getuid()),
    "first process": open("/proc/1/cmdline").read().split(chr(0))[1].rpartition("/")[2],
    "services": sorted(name for name in os.listdir("services") if not name.startswith("__")),
    "writable": [folder for folder in ("/opt/wavemill", "/usr/local/bin", "/etc") if writes(folder)],
    "tools": [tool for tool in ("cc", "gcc", "make", "uv", "git") if shutil.which(tool)],
    "privileges": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
}))
"""
_FIRST_PROCESS = {"api": "uvicorn", "worker": "celery", "monitor": "-m"}


class Scenario:
    """Each step is a method; `run` has their order."""

    def __init__(self, project: Project, *, with_grafana: bool, say: Callable[[str], None]) -> None:
        """The project is not started yet."""
        self._project = project
        self._services = (*SERVICES, *(("grafana",) if with_grafana else ()))
        self._say = say
        self._api = f"http://{project.variables['API_PUBLISHED_AT']}"
        self._key = {"Authorization": f"Bearer {project.secret('WAVEMILL_BOOTSTRAP_KEY')}"}
        self._client = httpx.Client(base_url=self._api, headers=self._key, timeout=30, trust_env=False)
        self._prometheus = Prometheus(f"http://{project.variables['PROMETHEUS_PUBLISHED_AT']}")

    def run(self) -> None:
        """Everything.

        Raises:
            Failed: what should hold does not.
        """
        with self._step("images built"):
            self._project.compose("build", "api", "worker", "worker-io", "monitor", "migrate", seconds=420)
        with self._step("all services healthy"):
            self._project.compose("up", "-d", *self._services)
            self._project.wait_until_well(self._services, _WELL_SECONDS)
        with self._step("images hold their own service alone, run as nobody, and cannot write to themselves"):
            self._check_images()
        with self._step("nobody is let in without a key"):
            self._check_keys()
        with self._step("a recording, through the published port"):
            first = self._one_recording()
        with self._step("walls") as note:
            note(walls.check(self._project, self._services))
        load = Load(self._api, self._key, first["input"]["id"])
        with load.running():
            with self._step("workers 1 -> 3, and each of them works"):
                self._grow(load)
            with self._step("workers 3 -> 1"):
                self._shrink()
            with self._step(f"{', '.join(CRASHED)} killed, and back by themselves"):
                self._crash()
            for store in STORES:
                with self._step(f"{store} restarted"):
                    self._restart(store)
        with self._step("every accepted job succeeded, once") as note:
            note(self._check_jobs(load, first))
        with self._step("Prometheus") as note:
            note(self._prometheus.wait_for_targets(self._targets(workers=1)))
            note(self._prometheus.check_rules())
            note(self._prometheus.wait_until_quiet())
        with self._step("dumped, destroyed and restored, and no job lost") as note:
            note(self._restore_from_a_backup([first["id"], *load.accepted]))
        with self._step("all ended in order, within their grace"):
            self._stop()

    @contextmanager
    def _step(self, what: str) -> Iterator[Callable[[str], None]]:
        notes: list[str] = []
        started = time.monotonic()
        try:
            yield notes.append
        except Exception:
            self._say(f"FAILED {time.monotonic() - started:6.1f} s  {what}")
            raise
        self._say(f"ok     {time.monotonic() - started:6.1f} s  {what}{': ' if notes else ''}{'; '.join(notes)}")

    def _check_images(self) -> None:
        for service, first_process in _FIRST_PROCESS.items():
            found = json.loads(self._project.python(service, _ABOUT_THE_IMAGE))
            expected = {
                "uid": _UID,
                "first process": first_process,
                "services": [service],
                "writable": [],
                "tools": [],
                "privileges": ["0000000000000000"],
            }
            if found != expected:
                raise Failed(f"The image of {service} is {found}, not {expected}.")

    def _check_keys(self) -> None:
        for headers in ({}, {"Authorization": f"Bearer {new_secret()}"}):
            answer = httpx.get(f"{self._api}/api/jobs", headers=headers, trust_env=False)
            if answer.status_code != 401:
                raise Failed(f"Without a valid key the API answered {answer.status_code}: {answer.text}")
        made = self._client.post("/api/keys", json={"name": "reader", "scopes": ["read"]}).raise_for_status().json()
        reader = {"Authorization": f"Bearer {made['secret']}"}
        if httpx.get(f"{self._api}/api/jobs", headers=reader, trust_env=False).status_code != 200:
            raise Failed("A key that the first one made is not let in.")

    def _one_recording(self) -> Job:
        with recording().open("rb") as file:
            answer = self._client.post(
                "/api/jobs", data={"spec": json.dumps({"operations": OPERATIONS})}, files={"file": file}
            )
        if answer.status_code != 202:
            raise Failed(f"The API answered {answer.status_code}: {answer.text}")
        job_id = answer.json()["id"]
        wait_until(
            lambda: self._job(job_id)["status"] in TERMINAL, _JOB_SECONDS, lambda: f"the job is {self._job(job_id)}"
        )
        job = self._job(job_id)
        self._check_artifact(job)
        return job

    def _check_artifact(self, job: Job) -> None:
        if job["status"] != "succeeded":
            raise Failed(f"The job is {job}.")
        (artifact,) = job["artifacts"]
        data = self._client.get(artifact["url"]).raise_for_status().content
        if hashlib.sha256(data).hexdigest() != artifact["sha256"] or not data.startswith(b"OggS"):
            raise Failed(f"{artifact['name']} is not what the job says that it made.")

    def _grow(self, load: Load) -> None:
        self._project.scale("worker", 3)
        hosts = {container.id[:12] for container in self._project.containers("worker")}
        if len(hosts) != 3:
            raise Failed(f"There are {len(hosts)} workers, not 3.")
        wait_until(lambda: load.hosts() >= hosts, _WELL_SECONDS, lambda: f"of {hosts} only {load.hosts()} work")
        self._prometheus.wait_for_targets(self._targets(workers=3))

    def _shrink(self) -> None:
        self._project.scale("worker", 1)
        self._project.container("worker")

    def _crash(self) -> None:
        before = {service: self._project.container(service).restarts for service in CRASHED}
        for service in CRASHED:
            self._project.crash(service)

        def dead() -> list[str]:
            return [service for service in CRASHED if self._project.container(service).restarts == before[service]]

        wait_until(lambda: not dead(), _WELL_SECONDS, lambda: f"these stay dead: {', '.join(dead())}")
        self._project.wait_until_well(CRASHED, _WELL_SECONDS)

    def _restart(self, store: str) -> None:
        self._project.compose("restart", store)
        self._project.wait_until_well([store], _WELL_SECONDS)
        wait_until(self._is_ready, _WELL_SECONDS, lambda: f"the API is not ready\n{self._project.logs('api')}")

    def _is_ready(self) -> bool:
        try:
            return bool(self._client.get("/readyz").json().get("status") == "ready")
        except httpx.TransportError:
            return False

    def _check_jobs(self, load: Load, first: Job) -> str:
        jobs = load.finished(_LOAD_ENDS_SECONDS)
        for job in jobs:
            outcomes = [attempt["outcome"] for attempt in job["attempts"]]
            if job["status"] != "succeeded" or outcomes.count("succeeded") != 1:
                raise Failed(f"A job is {job}.")
        for job in (first, jobs[0], jobs[-1]):
            self._check_artifact(job)
        lost = sum(attempt["outcome"] == "lost" for job in jobs for attempt in job["attempts"])
        return f"{len(jobs)} jobs; {lost} attempts lost to crashes; refused meanwhile: {dict(load.refused) or 'none'}"

    def _restore_from_a_backup(self, job_ids: Sequence[str]) -> str:
        """By the commands of docs/deploy.md."""
        before = {job_id: self._job(job_id) for job_id in job_ids}
        run = self._project.compose_bytes
        dump = run("exec", "-T", "postgres", "pg_dump", "-U", "wavemill", "--format=custom", "wavemill")
        blobs = run("exec", "-T", "monitor", "tar", "-C", "/var/lib/wavemill", "-cf", "-", ".")
        self._project.destroy()
        self._project.compose("up", "-d", "postgres")
        self._project.wait_until_well(["postgres"], _WELL_SECONDS)
        restore = ("pg_restore", "-U", "wavemill", "-d", "wavemill", "--clean", "--if-exists")
        run("exec", "-T", "postgres", *restore, reads=dump)
        unpack = ("tar", "-C", "/var/lib/wavemill", "-xf", "-")
        run("run", "--rm", "-T", "--no-deps", "monitor", *unpack, reads=blobs)
        self._project.compose("up", "-d", *self._services)
        self._project.wait_until_well(self._services, _WELL_SECONDS)
        changed = [job_id for job_id, job in before.items() if self._job(job_id) != job]
        if changed:
            raise Failed(f"{len(changed)} jobs are not what they were, such as {self._job(changed[0])}.")
        for job in (before[job_ids[0]], before[job_ids[-1]], self._one_recording()):
            self._check_artifact(job)
        return f"{len(before)} jobs"

    def _targets(self, *, workers: int) -> dict[str, int]:
        others = ("api", "worker-io", "monitor", "prometheus", "alertmanager")
        return {"worker": workers, **dict.fromkeys(others, 1)}

    def _stop(self) -> None:
        self._project.compose("stop")
        killed = [one.service for one in self._project.containers() if one.exit_code == 128 + 9]
        if killed:
            raise Failed(f"These did not end within their stop_grace_period: {', '.join(killed)}.")

    def _job(self, job_id: str) -> Job:
        job: Job = self._client.get(f"/api/jobs/{job_id}").raise_for_status().json()
        return job
