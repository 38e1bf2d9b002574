"""Who can open a connection to whom: asked in the containers, with positive controls."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.deploy.compose.project import Failed, Project

# What listens in each container.
PORTS = {
    "api": (8000, 9107),
    "monitor": (9108,),
    "worker-io": (9109,),
    "prometheus": (9090,),
    "alertmanager": (9093,),
    "grafana": (3000,),
}
STORES = (("postgres", 5432), ("redis", 6379))
_PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def opens(place):
    try:
        socket.create_connection(place, timeout=3).close()
    except OSError:
        return False
    return True
places = [tuple(place) for place in json.loads(sys.argv[1])]
with ThreadPoolExecutor(64) as threads:
    print(json.dumps([place for place, opened in zip(places, threads.map(opens, places)) if opened]))
"""
Place = tuple[str, int]


def opened(project: Project, service: str, places: Sequence[Place]) -> set[Place]:
    """Those of the places that a service's container can open a TCP connection to."""
    found = json.loads(project.python(service, _PROBE, json.dumps(places)))
    return {(host, port) for host, port in found}


def check(project: Project, services: Sequence[str]) -> str:
    """See that a media worker reaches the stores and nothing else; says how much was tried.

    Raises:
        Failed: a wall has a hole, or what must be reached is not.
    """
    others = [one for one in project.containers() if one.service in services and one.service in PORTS]
    inside = [(place, port) for one in others for place in (one.service, *one.addresses) for port in PORTS[one.service]]
    with _listener_outside(project) as outside:
        forbidden = [*inside, outside]
        reached = opened(project, "worker", [*forbidden, *STORES])
        holes = reached & set(forbidden)
        if holes:
            raise Failed(f"A media worker can open connections to {sorted(holes)}.")
        if reached != set(STORES):
            raise Failed(f"A media worker cannot reach {sorted(set(STORES) - reached)}.")
        # The same places answer to those that may: it is the walls that kept the worker out.
        if opened(project, "worker-io", [outside]) != {outside}:
            raise Failed("The io worker, which fetches URLs, cannot reach the outside; is there a firewall?")
    if opened(project, "monitor", [("api", 8000)]) != {("api", 8000)}:
        raise Failed("The API does not answer to the monitor, which shares a network with it.")
    return f"{len(forbidden)} places kept from a media worker, {len(STORES)} open to it"


@contextmanager
def _listener_outside(project: Project) -> Iterator[Place]:
    """A server on this machine, outside of all networks of the project, where `internet` leads."""
    network = json.loads(project.docker("network", "inspect", f"{project.name}_internet"))[0]
    gateway = network["IPAM"]["Config"][0]["Gateway"]
    with socket.create_server((gateway, 0)) as server:
        yield gateway, server.getsockname()[1]
