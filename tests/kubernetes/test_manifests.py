"""Every manifest fits Kubernetes' schemas and our own policy, without a cluster."""

import re
import shutil
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped] # it ships none
import pytest

from shared.version import read_version
from tests.kubernetes.manifests import (
    FOLDER,
    FOREIGN,
    OVERLAYS,
    Object,
    containers,
    load,
    pods,
    render,
    selects,
)

COMPONENTS = sorted(folder.name for folder in (FOLDER / "components").iterdir())
pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl to render the manifests with")
# The version of the cluster that they are tried on.
KUBERNETES = "1.34.0"


@pytest.fixture(scope="module", params=[*OVERLAYS, *(f"with {name}" for name in COMPONENTS)])
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Each overlay, and the demo with each component on top, after what it builds on."""
    if request.param in OVERLAYS:
        return load(render(FOLDER / "overlays" / request.param))
    component = request.param.removeprefix("with ")
    wanted = ["retraining", component] if component == "many-symbols" else [component]
    folder = tmp_path_factory.mktemp("overlay")
    steps = Path(*[".."] * (len(folder.parts) - 1), *FOLDER.parts[1:])
    paths = "".join(f"  - {steps / 'components' / name}\n" for name in wanted)
    (folder / "kustomization.yaml").write_text(
        f"namespace: minutebook\nresources:\n  - {steps / 'overlays' / 'demo'}\ncomponents:\n{paths}"
    )
    return load(render(folder))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def test_manifests_fit_the_schemas_strictly(objects: list[Object]) -> None:
    """No field is unknown, none is missing."""
    for each in objects:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_strict_validation_refuses_an_unknown_field(objects: list[Object]) -> None:
    """So that the test above can fail."""
    service = of_kind(objects, "Service")[0]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service | {"spec": service["spec"] | {"prots": []}}, KUBERNETES, strict=True)


def test_everything_is_in_the_namespace_that_admits_restricted_pods_only(objects: list[Object]) -> None:
    """And the namespace says so itself."""
    [namespace] = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    name = namespace["metadata"]["name"]
    assert {each["metadata"].get("namespace") for each in objects if each is not namespace} == {name}


def test_pods_are_restricted(objects: list[Object]) -> None:
    """A numeric user, no privileges, nothing writable but what is mounted, no token."""
    for name, template in pods(objects):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert not [volume for volume in pod.get("volumes", ()) if "hostPath" in volume], name
        for container in containers(template):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_containers_say_what_they_need(objects: list[Object]) -> None:
    """CPU and memory to be placed by, and a bound on the memory."""
    for name, template in pods(objects):
        for container in containers(template):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_what_stays_has_all_three_probes(objects: list[Object]) -> None:
    """Jobs end by themselves."""
    for each in of_kind(objects, "Deployment", "StatefulSet"):
        for container in each["spec"]["template"]["spec"]["containers"]:
            missing = {"startupProbe", "readinessProbe", "livenessProbe"} - container.keys()
            assert not missing, (each["metadata"]["name"], missing)


def test_jobs_have_bounds(objects: list[Object]) -> None:
    """None runs, or is tried again, for ever."""
    for each in of_kind(objects, "Job", "CronJob"):
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        assert spec["activeDeadlineSeconds"] > 0
        assert "backoffLimit" in spec or "backoffLimitPerIndex" in spec
    for each in of_kind(objects, "CronJob"):
        assert each["spec"]["concurrencyPolicy"] == "Forbid"
        assert each["spec"]["startingDeadlineSeconds"] > 0
        assert {"successfulJobsHistoryLimit", "failedJobsHistoryLimit"} <= each["spec"].keys()


def test_images_have_a_fixed_tag_and_ours_the_project_s_version(objects: list[Object]) -> None:
    """`latest` is whatever somebody pushed last."""
    for name, template in pods(objects):
        for container in containers(template):
            image, _, tag = container["image"].partition(":")
            assert tag not in {"", "latest"}, name
            assert not image.startswith("minutebook/") or tag == read_version(), name


def test_secrets_come_by_reference(objects: list[Object]) -> None:
    """No Secret is rendered, and no variable holds one."""
    assert not of_kind(objects, "Secret")
    for name, template in pods(objects):
        for container in containers(template):
            for variable in container.get("env", ()):
                is_secret = re.search("PASSWORD|SECRET|TOKEN|DATABASE_URL|STORE$", variable["name"])
                is_file = variable["name"].endswith("_FILE")
                assert not is_secret or is_file or "secretKeyRef" in variable.get("valueFrom", {}), (name, variable)
    for each in of_kind(objects, "ConfigMap"):
        assert not [value for value in each["data"].values() if re.search(r"://[^/\s]*:[^/\s]*@", value)]


def test_selectors_select_something(objects: list[Object]) -> None:
    """Services, budgets, policies and the autoscaler mean pods that exist."""
    labels = [template["metadata"]["labels"] for _, template in pods(objects)]
    # The operator's own pods.
    labels += [{"cnpg.io/cluster": each["metadata"]["name"]} for each in of_kind(objects, "Cluster")]
    for each in of_kind(objects, "Service"):
        assert any(selects({"matchLabels": each["spec"]["selector"]}, one) for one in labels), each["metadata"]["name"]
    for each in of_kind(objects, "PodDisruptionBudget"):
        assert any(selects(each["spec"]["selector"], one) for one in labels), each["metadata"]["name"]
    deployments = {each["metadata"]["name"] for each in of_kind(objects, "Deployment")}
    for each in of_kind(objects, "HorizontalPodAutoscaler"):
        assert each["spec"]["scaleTargetRef"]["name"] in deployments
    for each in of_kind(objects, "NetworkPolicy"):
        for selector in policy_selectors(each["spec"]):
            # Of CloudNativePG's own installation, which is elsewhere.
            if "cloudnative-pg" not in selector.get("matchLabels", {}).values():
                assert any(selects(selector, one) for one in labels), (each["metadata"]["name"], selector)


def policy_selectors(spec: Object) -> list[Object]:
    peers = [peer for rule in spec.get("ingress", ()) for peer in rule.get("from", ())]
    peers += [peer for rule in spec.get("egress", ()) for peer in rule.get("to", ())]
    return [spec["podSelector"], *(peer["podSelector"] for peer in peers if "podSelector" in peer)]


def test_nothing_passes_unless_a_policy_names_it(objects: list[Object]) -> None:
    """Neither in nor out; and every need that a pod states is met by a policy."""
    policies = of_kind(objects, "NetworkPolicy")
    [deny] = [each for each in policies if each["metadata"]["name"] == "default-deny"]
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    needs = {
        label
        for _, template in pods(objects)
        for label in template["metadata"]["labels"]
        if label.startswith("minutebook/needs-")
    }
    met = {label for each in policies for label in each["spec"]["podSelector"].get("matchLabels", {})}
    assert needs
    assert needs <= met


def test_accounts_exist_and_have_no_token(objects: list[Object]) -> None:
    """Nothing here talks to the cluster."""
    accounts = of_kind(objects, "ServiceAccount")
    assert all(each["automountServiceAccountToken"] is False for each in accounts)
    names = {each["metadata"]["name"] for each in accounts}
    assert {template["spec"]["serviceAccountName"] for _, template in pods(objects)} <= names


def test_api_rolls_without_losing_a_pod_first(objects: list[Object]) -> None:
    """A new one is ready before an old one goes, and that one serves on while it is being forgotten."""
    [api] = [each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == "api"]
    assert api["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in api["spec"]
    pod = api["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause + 10 < pod["terminationGracePeriodSeconds"]
    assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} >= {"kubernetes.io/hostname"}


def test_retraining_leaves_the_predictor_where_a_job_does_it(objects: list[Object]) -> None:
    """One of the two trains, not both."""
    [settings] = [each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"].startswith("predictor-")]
    assert (settings["data"]["PREDICTOR_SCHEDULE"] == "off") == bool(of_kind(objects, "CronJob"))
