"""The Compose stack: it collects, trains, predicts and scales, and outlives what happens to its containers.

One stack for all of it, so that the tests follow one another in any order on the same containers.
"""

import asyncio
import json
import re
import stat
from collections.abc import Iterator

import pytest

from tests.processes import ROOT
from tests.stack.stack import OWN_SERVICES, RUNNING, Stack, started

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`make up DEMO=1` in a fresh copy, healthy."""
    with started(tmp_path_factory.mktemp("minutebook")) as stack:
        yield stack


async def wait_for_forecasts(stack: Stack) -> int:
    """Wait until forecasts are served, and return their model's version."""
    answer = await stack.until_answered("/price/predict", lambda status, _: status == 200, 150)
    return int(answer["forecasts"][0]["model"]["version"])


async def test_stack_collects_trains_and_predicts(stack: Stack) -> None:
    """From nothing: two weeks of simulated minutes, a model whose files lie in MinIO's bucket, and forecasts by it."""
    answer = await stack.until_answered("/price/latest", lambda status, _: status == 200, 60)
    assert answer["source"] == "simulated"
    await wait_for_forecasts(stack)
    _, predicted = await stack.ask("/price/predict")
    assert [forecast["horizon_minutes"] for forecast in predicted["forecasts"]] == [1, 5, 15, 60]
    run = predicted["forecasts"][0]["model"]["run_id"]
    listing = "import boto3, os; s3 = boto3.client('s3', endpoint_url=os.environ['MLFLOW_S3_ENDPOINT_URL']); "
    keys = stack.python(
        "mlflow", listing + "print(*[x['Key'] for x in s3.list_objects_v2(Bucket='mlflow')['Contents']])"
    )
    assert f"/{run}/artifacts/" in keys
    assert "/MLmodel" in keys
    _, gaps = await stack.ask("/price/gaps?start=13d")
    assert [gap for gap in gaps["gaps"] if gap["cause"] == "not_collected"] == []


async def test_health_is_ok_once_there_are_forecasts(stack: Stack) -> None:
    """Nothing is stale or degraded in a stack that was just started."""
    await wait_for_forecasts(stack)
    health = await stack.until_answered("/health", lambda _, body: body.get("status") == "ok", 60)
    assert health["collector"]["is_leader"]


async def test_load_is_spread_and_a_killed_replica_loses_nothing(stack: Stack) -> None:
    """Three replicas take like shares; when one is killed under load, whoever asks once more has an answer."""
    stack.compose("up", "--detach", "--wait", "--scale", "api=3", "--no-recreate", "api")
    spread, killed = "/price/latest?symbol=BTCUSDT", "/price/stats?window=1h"
    try:
        # The gateway asks for the replicas' names again after a second.
        async with asyncio.timeout(60):
            while len(stack.replicas_asked(spread)) < 3:
                async with stack.load(spread) as load:
                    await asyncio.sleep(0.5)
        before = stack.replicas_asked(spread)
        async with asyncio.timeout(120), stack.load(spread, clients=8) as load:
            while load.count < 900:
                await asyncio.sleep(0.1)
        shares = [count / load.count for count in (stack.replicas_asked(spread) - before).values()]
        # By chance alone a share of 900 has a standard deviation of 0.016.
        assert len(shares) == 3
        assert all(0.25 < share < 0.42 for share in shares), shares
        assert not load.failed

        victim = stack.inspect("api")[0]["Id"]
        async with stack.load(killed) as load:
            await _more(load.statuses, 50)
            stack.run("docker", "kill", victim)
            await _more(load.statuses, 200)
        assert load.lost == []
        assert set(load.statuses) == {200}
    finally:
        stack.compose("up", "--detach", "--wait", "--scale", "api=1", "--no-recreate", "api")


async def _more(statuses: dict[int, int], count: int) -> None:
    """Wait until so many more requests were answered."""
    wanted = sum(statuses.values()) + count
    async with asyncio.timeout(60):
        while sum(statuses.values()) < wanted:
            await asyncio.sleep(0.05)


async def test_postgres_restarts_under_load(stack: Stack) -> None:
    """Answers are 200, or 503 with a problem while it is away; nothing else restarts, and no minute is lost."""
    await stack.until_answered("/price/latest", lambda status, _: status == 200, 60)
    before = {name: [one["State"]["StartedAt"] for one in stack.inspect(name)] for name in OWN_SERVICES}
    async with stack.load("/price/stats?window=2h") as load:
        await _more(load.statuses, 20)
        await asyncio.to_thread(stack.compose, "restart", "postgres")
        await stack.until_answered("/price/latest", lambda status, _: status == 200, 15)
        await _more(load.statuses, 50)
    assert load.lost == []
    assert load.types == {(200, "application/json"), (503, "application/problem+json")}
    assert load.statuses[200] > 50
    assert {name: [one["State"]["StartedAt"] for one in stack.inspect(name)] for name in OWN_SERVICES} == before
    newest = stack.sql("SELECT max(minute) FROM ticks")
    await stack.until_answered(
        "/price/latest", lambda _, body: body.get("timestamp", "") > newest.replace(" ", "T"), 100
    )
    _, gaps = await stack.ask("/price/gaps?start=1h")
    assert [gap for gap in gaps["gaps"] if gap["cause"] == "not_collected"] == []


async def test_down_and_up_keeps_everything(stack: Stack) -> None:
    """Minutes, forecasts, models and secrets are as they were, and every service obeyed SIGTERM in time."""
    version = await wait_for_forecasts(stack)
    secrets = (stack.folder / ".env").read_text()
    ticks, oldest = stack.sql("SELECT count(*) FROM ticks"), stack.sql("SELECT min(minute) FROM ticks")
    forecasts = stack.sql("SELECT count(*) FROM forecasts")
    stack.compose("stop")
    codes = {name: one["State"]["ExitCode"] for name in RUNNING for one in stack.inspect(name)}
    # 137 would be a service that had to be killed; a server that MLflow starts ends by the signal itself.
    assert {name: code for name, code in codes.items() if code not in {0, 143}} == {}

    stack.make("down")
    assert stack.compose("ps", "--all", "--quiet") == ""
    stack.make("up", "DEMO=1")
    assert (stack.folder / ".env").read_text() == secrets
    assert stack.sql("SELECT min(minute) FROM ticks") == oldest
    assert int(stack.sql("SELECT count(*) FROM ticks")) >= int(ticks)
    assert int(stack.sql("SELECT count(*) FROM forecasts")) >= int(forecasts)
    assert await wait_for_forecasts(stack) == version


def test_secrets_are_for_their_owner_only(stack: Stack) -> None:
    """`.env` was written by `make up`, with mode 600 and a password a role."""
    file = stack.folder / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in file.read_text().splitlines())
    passwords = [value for name, value in values.items() if name.endswith("PASSWORD")]
    assert len(set(passwords)) == len(passwords) == 7
    assert min(map(len, passwords)) >= 32


@pytest.mark.parametrize("service", RUNNING)
def test_container_may_write_nowhere_but_its_volumes(stack: Stack, service: str) -> None:
    """The root is read-only even where the files' modes would allow it, and the user is an ordinary one."""
    folders = "/ /app /usr /var /home /etc /opt"
    place = f"for f in {folders}; do touch $f/x 2>/dev/null && echo $f; done; true"
    # As root too, whom no file's mode would keep from it.
    for user in ((), ("--user", "0")):
        assert stack.compose("exec", "-T", *user, service, "sh", "-c", place).strip() == ""
    for container in stack.inspect(service):
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
        assert host["LogConfig"]["Config"]["max-size"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        writable = {mount["Destination"] for mount in container["Mounts"] if mount["RW"]}
        assert writable <= {"/var/lib/postgresql", "/data", "/var/lib/minutebook"}
    if service != "minio":
        assert stack.compose("exec", "-T", service, "id", "-u").strip() != "0"


def test_only_the_gateway_is_published_beyond_loopback(stack: Stack) -> None:
    """MLflow and the store's console are for this machine; the database is for nobody outside."""
    published = {
        (name, binding["HostIp"])
        for name in RUNNING
        for container in stack.inspect(name)
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or ()
    }
    assert {name for name, address in published if address != "127.0.0.1"} == {"gateway"}
    assert {name for name, _ in published} == {"gateway", "minio", "mlflow"}


def test_api_reaches_neither_minio_nor_mlflow(stack: Stack) -> None:
    """Neither by name nor by any of their addresses; while the database answers by the same means."""
    networks = [one["NetworkSettings"]["Networks"] for name in ("minio", "mlflow") for one in stack.inspect(name)]
    addresses = [network["IPAddress"] for each in networks for network in each.values()]
    targets = [(host, port) for host in ("minio", "mlflow", *addresses) for port in (9000, 9001, 5000)]
    program = f"""
import concurrent.futures, json, socket
def reaches(target):
    try:
        socket.create_connection(target, 0.5).close()
    except OSError:
        return False
    return True
targets = {[*targets, ("postgres", 5432)]!r}
with concurrent.futures.ThreadPoolExecutor(len(targets)) as threads:
    print(json.dumps([target for target, reached in zip(targets, threads.map(reaches, targets)) if reached]))
"""
    assert json.loads(stack.python("api", program)) == [["postgres", 5432]]


async def test_replica_is_preferred_and_may_go_away(stack: Stack) -> None:
    """With the profile, the API reads a streaming replica and says how far it lags; without it, the primary."""
    try:
        stack.compose("--profile", "replica", "up", "--detach", "--wait", "--no-recreate", "replica")
        stack.compose("restart", "api")
        health = await stack.until_answered(
            "/health", lambda _, body: body.get("database", {}).get("is_replica") is True, 60
        )
        assert 0 <= health["database"]["replica_lag_seconds"] < 60
        newest = stack.sql("SELECT max(minute) FROM ticks").replace(" ", "T")
        latest = await stack.until_answered("/price/latest", lambda _, body: body.get("timestamp", "") > newest, 100)
        assert not latest["stale"]
    finally:
        stack.compose("--profile", "replica", "rm", "--stop", "--force", "replica")
    health = await stack.until_answered(
        "/health", lambda _, body: body.get("database", {}).get("is_replica") is False, 30
    )
    assert health["database"]["replica_lag_seconds"] is None


async def test_backup_is_restored(stack: Stack) -> None:
    """The very commands of docs/operations.md, with everything removed in between: minutes, forecasts, runs, models."""
    version = await wait_for_forecasts(stack)
    backup, restore = re.findall(
        r"```console\n(.*?)```", _section("docs/operations.md", "## Backup and restore"), flags=re.DOTALL
    )
    summed = "SELECT count(*), sum(close), sum(volume) FROM ticks WHERE minute <= '{}'"
    last = stack.sql("SELECT max(minute) FROM ticks")
    before = stack.sql(summed.format(last))
    assert int(before.split("|")[0]) > 10_000
    runs = stack.sql("SELECT count(*), min(run_uuid) FROM runs", "mlflow")
    forecasts = int(stack.sql("SELECT count(*) FROM forecasts"))
    stack.shell(backup)

    stack.make("clean", "CONFIRM=yes")
    stack.shell(backup.partition("\n")[0] + "\n" + restore)
    assert stack.sql(summed.format(last)) == before
    assert int(stack.sql("SELECT count(*) FROM forecasts")) >= forecasts
    assert stack.sql("SELECT count(*), min(run_uuid) FROM runs", "mlflow") == runs
    # The predictor's own copy of the champion went with its volume, so that this one came out of the store.
    newest = stack.sql("SELECT max(made_at) FROM forecasts").replace(" ", "T")
    answer = await stack.until_answered(
        "/price/predict", lambda status, body: status == 200 and body["forecasts"][0]["made_at"] > newest, 120
    )
    assert answer["forecasts"][0]["model"]["version"] == version
    assert stack.sql("SELECT has_database_privilege('api', 'mlflow', 'CONNECT')") == "f"


def _section(file: str, heading: str) -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    return text[text.index(heading) :].partition("\n## ")[0]


async def test_predictor_starts_without_mlflow(stack: Stack) -> None:
    """It keeps its champion on a volume of its own: forecasts go on after a restart, and why is shown."""
    version = await wait_for_forecasts(stack)
    stack.compose("stop", "mlflow")
    try:
        newest = stack.sql("SELECT max(made_at) FROM forecasts").replace(" ", "T")
        stack.compose("restart", "predictor")
        answer = await stack.until_answered(
            "/price/predict", lambda status, body: status == 200 and body["forecasts"][0]["made_at"] > newest, 120
        )
        assert answer["forecasts"][0]["model"]["version"] == version
        health = await stack.until_answered(
            "/health", lambda _, body: bool(body["forecasts"]["BTCUSDT"]["registry_reason"]), 60
        )
        assert not health["forecasts"]["BTCUSDT"]["stale"]
    finally:
        stack.compose("start", "mlflow")


def test_cleaning_asks_first(stack: Stack) -> None:
    """Without an answer nothing is removed."""
    with pytest.raises(AssertionError, match="Nothing was removed"):
        stack.make("clean")
    with pytest.raises(AssertionError, match="Nothing was removed"):
        stack.make("clean", given="no\n")
    assert int(stack.sql("SELECT count(*) FROM ticks")) > 0
