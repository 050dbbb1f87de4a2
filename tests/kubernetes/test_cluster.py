"""The demo in a real cluster: it serves, scales, rolls, and outlives what nodes do to pods.

One deploy for all of it, so that the tests follow one another in any order on the same pods.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest

from tests.kubernetes.cluster import Demo, deployed, refusal

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# What the product promises after a leader's death.
TAKE_OVER_SECONDS = 15


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo with retraining as an indexed CronJob, ready."""
    reason = refusal()
    if reason:
        pytest.skip(reason)
    with deployed(tmp_path_factory.mktemp("overlay")) as demo:
        yield demo


async def test_everything_is_ready(demo: Demo) -> None:
    """Every deployment and stateful set has all of its pods, and the pods are restricted ones."""
    for kind, names in {
        "deployment": ("api", "collector", "mlflow", "predictor", "simulator"),
        "statefulset": ("minio", "postgres"),
    }.items():
        for name in names:
            await demo.until(partial(is_ready, demo, kind, name), 60)
    assert all(job["status"]["succeeded"] == 1 for job in (demo.get("job", "migrate"), demo.get("job", "bucket")))


def is_ready(demo: Demo, kind: str, name: str) -> bool:
    found = demo.get(kind, name)
    return bool(found["status"].get("readyReplicas") == found["spec"]["replicas"])


async def test_retraining_job_trains_and_forecasts_are_served(demo: Demo) -> None:
    """The schedule being off, the Job makes the first model, and the predictor takes it up."""
    await wait_for_ticks(demo)
    demo.kubectl("create", "job", "by-hand", "--from=cronjob/retraining")
    demo.kubectl("wait", "--for=condition=complete", "--timeout=150s", "job/by-hand", seconds=160)
    assert demo.get("job", "by-hand")["status"]["completedIndexes"] == "0"
    assert demo.sql("SELECT outcome, version FROM trainings WHERE symbol = 'BTCUSDT'") == "promoted|1"

    async with asyncio.timeout(90):
        while (answer := await demo.ask("/price/predict?horizon=60"))[0] != 200:
            await asyncio.sleep(1)
    assert [each["model"]["version"] for each in answer[1]["forecasts"]] == [1]


async def wait_for_ticks(demo: Demo) -> None:
    """Wait until the newest minute is there and nearly all of the fourteen days before it."""
    async with asyncio.timeout(120):
        while True:
            status, latest = await demo.ask("/price/latest")
            if status == 200 and not latest["stale"]:
                _, stats = await demo.ask("/price/stats?window=13d")
                if stats["completeness"] > 0.99:
                    return
            await asyncio.sleep(1)


async def test_ticks_are_served_through_the_service(demo: Demo) -> None:
    """The newest minute, from the simulated exchange."""
    await wait_for_ticks(demo)
    _, latest = await demo.ask("/price/latest")
    assert latest["source"] == "simulated"
    status, health = await demo.ask("/health")
    assert (status, health["database"]["status"]) == (200, "ok")


async def test_rolling_update_and_eviction_lose_no_request(demo: Demo) -> None:
    """Every request meanwhile is answered, by the old pods or by the new ones."""
    before = demo.ready_pods("api")
    async with demo.under_load("/price/latest", clients=8, pause_seconds=0.05) as load:
        await asyncio.to_thread(demo.kubectl, "rollout", "restart", "deployment/api")
        await asyncio.to_thread(demo.kubectl, "rollout", "status", "deployment/api", "--timeout=120s", seconds=130)
        rolled = demo.ready_pods("api")
        assert not set(before) & set(rolled)

        evicted = rolled[0]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": evicted, "namespace": demo.namespace},
        }
        path = f"/api/v1/namespaces/{demo.namespace}/pods/{evicted}/eviction"
        await asyncio.to_thread(demo.kubectl, "create", "--raw", path, "--filename", "-", given=json.dumps(eviction))
        await demo.until(lambda: evicted not in all_pods(demo) and len(demo.ready_pods("api")) >= 2, 60)
    assert load.errors == []
    assert set(load.statuses) == {200}
    assert load.count > 500


def all_pods(demo: Demo) -> set[str]:
    return {pod["metadata"]["name"] for pod in demo.get("pods")["items"]}


async def test_autoscaler_adds_pods_under_load_and_takes_them_away(demo: Demo) -> None:
    """By the CPU that the requests take."""
    await demo.until(lambda: replicas(demo) == 2, 90)
    async with demo.under_load("/price/stats?window=7d", clients=12, pause_seconds=0.05) as load:
        await demo.until(lambda: len(demo.ready_pods("api")) > 2, 150)
    assert load.errors == []
    assert set(load.statuses) == {200}
    await demo.until(lambda: replicas(demo) == 2, 150)


def replicas(demo: Demo) -> int:
    found: int = demo.get("deployment", "api")["spec"]["replicas"]
    return found


async def test_stand_by_takes_over_when_the_leader_s_pod_is_deleted(demo: Demo) -> None:
    """Without a grace, as when its node dies."""
    query = "SELECT holder, epoch FROM leadership WHERE service = 'collector' AND renewed_at > now() - interval '5 s'"
    await demo.until(lambda: demo.sql(query), 30)
    holder, _, epoch = demo.sql(query).partition("|")
    # It is named after its host, cut.
    [leader] = [
        name for pod in demo.pods("collector") if holder.startswith(f"{(name := pod['metadata']['name'])[:24]}-")
    ]
    began = time.monotonic()
    demo.kubectl("delete", "pod", leader, "--grace-period=0", "--force", "--wait=false")
    await demo.until(lambda: demo.sql(query).partition("|")[2] not in {"", epoch}, TAKE_OVER_SECONDS + 5)
    assert time.monotonic() - began < TAKE_OVER_SECONDS + 3
    assert demo.sql(query).partition("|")[0] != holder
    await demo.until(lambda: is_ready(demo, "deployment", "collector"), 60)


async def test_record_is_whole_after_postgres_pod_was_deleted(demo: Demo) -> None:
    """What was there is there, the minutes of the outage come after it, and meanwhile the API says what is wrong."""
    await wait_for_ticks(demo)
    counting = "SELECT count(*) FROM ticks"
    # Minutes from before the deletion only.
    until = datetime.fromisoformat((await demo.ask("/price/latest"))[1]["timestamp"])
    digest = f"SELECT count(*), sum(close) FROM ticks WHERE minute BETWEEN '{until - timedelta(days=12)}' AND '{until}'"
    before, count = demo.sql(digest), int(demo.sql(counting))
    pod = demo.get("pod", "postgres-0")["metadata"]["uid"]
    async with demo.under_load("/price/latest", clients=2, pause_seconds=0.1) as load:
        demo.kubectl("delete", "pod", "postgres-0", "--wait=false")
        await demo.until(lambda: (found := demo.pods("postgres")) and found[0]["metadata"]["uid"] != pod, 90)
        await demo.until(lambda: demo.ready_pods("postgres"), 90)
    assert demo.sql(digest) == before
    assert load.errors == []
    assert {503} <= set(load.statuses) <= {200, 503}

    async with asyncio.timeout(130):
        while int(demo.sql(counting)) <= count or (await demo.ask("/price/latest"))[1].get("stale", True):
            await asyncio.sleep(1)
        while (await demo.ask("/price/stats?window=12d"))[1].get("completeness") != 1:
            await asyncio.sleep(1)
