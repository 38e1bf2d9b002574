from pathlib import Path

from deploy.local.servers import RedisServer
from tests.integration.api.driving import client_of, pointers, problem, store_of, submit
from tests.integration.api.event_stream import followed, told
from tests.system import System


async def test_the_whole_way_on_postgresql(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> None:
    with System(tmp_path, database_url=postgres_url, redis=redis_server) as system:
        system.start_api()
        store = store_of(system)
        async with client_of(system) as api:
            job = await submit(api, filename="Ä.wav")
            path = f"/api/jobs/{job['id']}"
            assert (await api.get(path)).json() == job
            body = {"input": {"id": job["input"]["id"]}, "operations": [{"op": "probe"}]}
            made = [(await api.post("/api/jobs", json=body)).json() for _ in range(7)]
            assert made[0]["input"] == job["input"]
            assert (await api.get(f"/api/jobs/{made[0]['id']}")).json() == made[0]
            body["input"] = {"id": job["id"]}
            assert pointers(problem(await api.post("/api/jobs", json=body), 422, "invalid-request")) == ["#/input/id"]
            page = (await api.get("/api/jobs", params={"limit": 5})).json()
            rest = (await api.get("/api/jobs", params={"limit": 5, "cursor": page["next_cursor"]})).json()
            ids = [each["id"] for each in page["jobs"] + rest["jobs"]]
            assert ids == [each["id"] for each in [*made[::-1], job]]
            async with followed(api, job["id"]) as stream:
                assert told(await stream.next()) == ("status", "queued", 0.0)
                await store.succeed(job["id"], {"a.mp3": ("audio/mpeg", b"mp3")})
                assert told(await stream.next()) == ("status", "running", 0.0)
                assert told(await stream.next()) == ("status", "succeeded", 1.0)
                assert await stream.ends()
            assert (await api.get(f"{path}/artifacts/a.mp3")).content == b"mp3"
            assert (await api.get(f"{path}/artifacts/%00")).status_code == 422
            problem(await api.post(f"{path}/cancel"), 409, "job-ended")
            assert (await api.post(f"/api/jobs/{made[0]['id']}/cancel")).json()["status"] == "canceled"
        await store.close()
