"""The chart of deploy/helm: its values, what it renders, and what the gateway makes of them.

The charts it depends on are fetched when it is deployed, so that empty ones stand for them here. Of the gateway the
real classes are used: its options, its limits and, where kubernetes_asyncio is installed, the pods that it makes.
"""

import copy
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mimtpy_cloud import __version__

CHART = Path(__file__).resolve().parents[1] / "deploy" / "helm" / "mimtpy-hub"
USER = SimpleNamespace(name="ada", groups=set(), admin=False)
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "GB": 10**9}


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture
def server(values) -> dict[str, Any]:
    return values["jupyterhub"]["singleuser"]


@pytest.fixture
def backend(values) -> dict[str, Any]:
    return values["dask-gateway"]["gateway"]["backend"]


def count(text: Any) -> float:
    """Number of bytes that a quantity of Kubernetes, or a size of ours, stands for."""
    number, unit = re.fullmatch(r"([\d.]+)\s*([A-Za-z]*)", str(text)).groups()
    return float(number) * UNITS[unit]


def items(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """All leaves of a tree with their paths."""
    if isinstance(tree, dict):
        return [item for key, value in tree.items() for item in items(value, f"{path}.{key}")]
    if isinstance(tree, list):
        return [item for i, value in enumerate(tree) for item in items(value, f"{path}[{i}]")]
    return [(path, tree)]


# --- values -------------------------------------------------------------------------------------------------


def test_the_charts_it_depends_on_have_one_exact_version_each():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert {item["name"] for item in chart["dependencies"]} == {"jupyterhub", "dask-gateway"}
    for item in chart["dependencies"]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", item["version"])
        assert item["repository"].startswith("https://")
    assert chart["version"] == chart["appVersion"] == __version__


def test_no_secret_is_among_the_values(values):
    words = re.compile(r"(?i)(password|secret|token|client_?id|cookie|api_?key)")
    for path, value in items(values):
        named = words.search(path.rpartition(".")[2].removesuffix("]"))
        if isinstance(value, str) and named:
            assert ".secretKeyRef." in path or "apiTokenFromSecret" in path or value.startswith("https://"), path
    assert "apiToken" not in values["dask-gateway"]["gateway"]["auth"]["jupyterhub"]
    assert values["jupyterhub"]["hub"]["services"]["dask-gateway"].keys() == {"url", "display"}


def test_servers_and_workers_have_one_image_one_account_and_one_root(values, server, backend):
    assert server["image"] == backend["image"]
    assert server["image"]["tag"] == __version__
    pods = [backend[name]["extraPodConfig"]["serviceAccountName"] for name in ("scheduler", "worker")]
    assert {server["serviceAccountName"], *pods} == {values["serviceAccount"]["name"]}
    for name in ("MIMTPY_ROOT", "MIMTPY_CACHE_DIR", "MIMTPY_CACHE_SIZE", "AWS_REGION"):
        assert server["extraEnv"][name] == backend["environment"][name]


def test_the_cache_is_a_volume_that_is_larger_than_the_cache_may_get(server, backend):
    for environment, volumes, mounts in (
        (server["extraEnv"], server["storage"]["extraVolumes"], server["storage"]["extraVolumeMounts"]),
        (
            backend["environment"],
            backend["worker"]["extraPodConfig"]["volumes"],
            backend["worker"]["extraContainerConfig"]["volumeMounts"],
        ),
    ):
        mount = next(item for item in mounts if item["mountPath"] == environment["MIMTPY_CACHE_DIR"])
        volume = next(item for item in volumes if item["name"] == mount["name"])
        assert count(volume["emptyDir"]["sizeLimit"]) > 1.1 * count(environment["MIMTPY_CACHE_SIZE"])
    wanted = backend["worker"]["extraContainerConfig"]["resources"]["requests"]["ephemeral-storage"]
    assert wanted == server["extraResource"]["guarantees"]["ephemeral-storage"] == volume["emptyDir"]["sizeLimit"]


def test_every_profile_promises_at_most_what_it_allows(server):
    profiles = {profile["slug"]: profile["kubespawner_override"] for profile in server["profileList"]}
    assert list(profiles) == ["small", "medium", "large"]
    assert [profile["slug"] for profile in server["profileList"] if profile.get("default")] == ["small"]
    for profile in profiles.values():
        assert 0 < profile["cpu_guarantee"] <= profile["cpu_limit"]
        assert 0 < count(profile["mem_guarantee"]) <= count(profile["mem_limit"])
    sizes = [count(profile["mem_limit"]) for profile in profiles.values()]
    assert sizes == sorted(set(sizes))


def test_the_hub_stops_what_is_idle(values):
    cull = values["jupyterhub"]["cull"]
    assert cull["enabled"]
    assert cull["every"] < cull["timeout"] < cull["maxAge"]


def test_servers_find_the_gateway_by_the_names_that_it_has(values, server):
    gateway = values["dask-gateway"]
    service = f"traefik-{gateway['fullnameOverride']}"
    environment = server["extraEnv"]
    assert environment["DASK_GATEWAY__PROXY_ADDRESS"] == f"gateway://{service}:80"
    assert values["jupyterhub"]["hub"]["services"]["dask-gateway"]["url"] == f"http://{service}"
    prefix = gateway["gateway"]["prefix"]
    assert environment["DASK_GATEWAY__ADDRESS"] == f"http://proxy-public{prefix}"
    assert environment["DASK_GATEWAY__PUBLIC_ADDRESS"] == f"{prefix}/"
    auth = gateway["gateway"]["auth"]
    assert environment["DASK_GATEWAY__AUTH__TYPE"] == auth["type"] == "jupyterhub"
    assert auth["jupyterhub"]["apiTokenFromSecretKey"] == "hub.services.dask-gateway.apiToken"


def test_the_network_lets_servers_and_the_proxy_reach_the_gateway(values, server):
    rules = [server["networkPolicy"], values["jupyterhub"]["proxy"]["chp"]["networkPolicy"]]
    labels = {"app.kubernetes.io/name": "dask-gateway", "app.kubernetes.io/component": "traefik"}
    for rule in rules:
        assert rule == {"egress": [{"to": [{"podSelector": {"matchLabels": labels}}]}]}


def test_only_who_may_use_the_gateway_gets_in(values):
    assert gateway_config(values).JupyterHubAuthenticator.jupyterhub_service_name == "dask-gateway"
    roles = values["jupyterhub"]["hub"]["loadRoles"]
    assert all("access:services!service=dask-gateway" in roles[name]["scopes"] for name in ("user", "server"))


# --- what the gateway makes of them -------------------------------------------------------------------------


def gateway_config(values: dict[str, Any]) -> Any:
    """Configuration of the gateway: what its chart forwards of the values, and then our own code."""
    config = pytest.importorskip("traitlets.config")
    gateway = values["dask-gateway"]["gateway"]
    backend, c = gateway["backend"], config.Config()
    c.KubeClusterConfig.image = f"{backend['image']['name']}:{backend['image']['tag']}"
    c.KubeClusterConfig.environment = backend["environment"]
    c.KubeClusterConfig.worker_threads = backend["worker"]["threads"]
    for who in ("scheduler", "worker"):
        for what in ("cores", "memory"):
            c.KubeClusterConfig[f"{who}_{what}"] = backend[who][what]["request"]
            c.KubeClusterConfig[f"{who}_{what}_limit"] = backend[who][what]["limit"]
        c.KubeClusterConfig[f"{who}_extra_pod_config"] = backend[who]["extraPodConfig"]
        c.KubeClusterConfig[f"{who}_extra_container_config"] = backend[who]["extraContainerConfig"]
    for name, code in sorted(gateway["extraConfig"].items()):
        exec(compile(code, f"extraConfig.{name}", "exec"), {"c": c})
    return c


@pytest.fixture
def config(values):
    pytest.importorskip("dask_gateway_server")
    return gateway_config(values)


def chosen(config: Any, **request: Any) -> dict[str, Any]:
    """What the gateway would start a cluster with for the options that a user asked for."""
    options = config.Backend.cluster_options
    return options.get_configuration(options.parse_options(request), USER)


def test_a_cluster_without_options_is_that_of_the_values(config, backend):
    found = chosen(config)
    assert found["worker_cores"] == found["worker_cores_limit"] == backend["worker"]["cores"]["limit"]
    assert found["worker_threads"] == backend["worker"]["threads"]
    assert float(found["worker_memory"].removesuffix("G")) == count(backend["worker"]["memory"]["limit"]) / 1e9
    assert found["image"] == f"{backend['image']['name']}:{backend['image']['tag']}"
    assert found["environment"] == backend["environment"]


def test_options_change_the_workers_and_keep_the_rest_of_the_environment(config, backend):
    found = chosen(config, worker_cores=4, worker_memory=16.5, environment={"MIMTPY_CACHE_SIZE": "10GB", "N": 3})
    assert (found["worker_cores"], found["worker_threads"], found["worker_memory"]) == (4, 4, "16.500G")
    assert found["environment"] == {**backend["environment"], "MIMTPY_CACHE_SIZE": "10GB", "N": "3"}


@pytest.mark.parametrize(
    "request_",
    [{"worker_cores": 9}, {"worker_cores": 0}, {"worker_memory": 33}, {"image": "somebody/else:1"}, {"gpu": 1}],
)
def test_what_is_beyond_the_limits_is_refused(config, request_):
    with pytest.raises(ValueError, match=next(iter(request_))):
        chosen(config, **request_)


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "my_password"])
def test_a_secret_among_the_options_is_refused_and_not_repeated(config, name):
    with pytest.raises(ValueError, match=f"must not hold secrets, got {name}; .* role") as caught:
        chosen(config, environment={name: "open-sesame"})
    assert "open-sesame" not in str(caught.value)


def test_the_largest_cluster_that_may_be_asked_for_fits_its_limits(config, backend):
    from dask_gateway_server.backends.base import ClusterConfig

    sizes = {name: value for name, value in chosen(config).items() if name in ("worker_cores", "worker_memory")}
    scheduler = {"scheduler_cores": 1, "scheduler_memory": backend["scheduler"]["memory"]["request"]}
    cluster = ClusterConfig(config=config, **sizes, **scheduler)
    assert cluster.cluster_max_workers == 32
    assert cluster.idle_timeout == 1800
    large = ClusterConfig(config=config, worker_cores=8, worker_memory="32.000G", **scheduler)
    assert large.cluster_max_workers == 8


@pytest.fixture
def pods(config):
    """The pods that the controller makes for a cluster without options."""
    pytest.importorskip("kubernetes_asyncio")
    from dask_gateway_server.backends.kubernetes.backend import KubeClusterConfig
    from dask_gateway_server.backends.kubernetes.controller import KubeController

    settings = copy.deepcopy(config)
    settings.KubeController.gateway_instance = "dask-gateway"
    controller = KubeController(config=settings)
    cluster = KubeClusterConfig(parent=controller, **chosen(config))
    return {
        name: controller.make_pod("insar", "c1", cluster, is_worker=name == "worker")
        for name in ("scheduler", "worker")
    }


def test_a_worker_has_the_cache_the_account_and_no_rights(pods, values):
    spec = pods["worker"]["spec"]
    container = spec["containers"][0]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    mount = next(item for item in container["volumeMounts"] if item["mountPath"] == environment["MIMTPY_CACHE_DIR"])
    assert next(item for item in spec["volumes"] if item["name"] == mount["name"])["emptyDir"]
    assert "dask-credentials" in {item["name"] for item in spec["volumes"]}
    assert container["resources"]["requests"]["ephemeral-storage"] == "24Gi"
    assert container["resources"]["limits"]["memory"] == str(8 * 2**30)
    assert environment["MIMTPY_ROOT"] == values["jupyterhub"]["singleuser"]["extraEnv"]["MIMTPY_ROOT"]
    for pod in pods.values():
        assert pod["spec"]["serviceAccountName"] == values["serviceAccount"]["name"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def test_kubernetes_accepts_the_pods(pods):
    validate = pytest.importorskip("kubernetes_validate").validate
    for pod in pods.values():
        validate(pod, "1.33", strict=True)


# --- what helm makes of them --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """The chart with empty charts in place of those it depends on."""
    helm = pytest.importorskip("helm_python")
    folder = tmp_path_factory.mktemp("chart") / "mimtpy-hub"
    shutil.copytree(CHART, folder)
    for item in yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"]:
        stub = folder / "charts" / item["name"]
        stub.mkdir(parents=True)
        (stub / "Chart.yaml").write_text(
            yaml.safe_dump({"apiVersion": "v2", **{k: item[k] for k in ("name", "version")}})
        )
    with helm.Chart.load(str(folder)) as chart:
        yield chart


def render(chart: Any, changes: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Manifests by their kind."""
    texts = chart.render(changes or {}, name="hub", namespace="insar")
    documents = [yaml.safe_load(text) for name, text in texts.items() if not name.endswith(".txt")]
    return {document["kind"]: document for document in documents if document}


def test_it_renders_an_account_and_a_quota(chart, values):
    found = render(chart)
    assert set(found) == {"ServiceAccount", "ResourceQuota", "LimitRange"}
    assert found["ServiceAccount"]["metadata"]["name"] == values["serviceAccount"]["name"]
    assert found["ResourceQuota"]["spec"]["hard"] == values["quota"]["hard"]


def test_with_a_quota_every_container_has_a_request(chart):
    """A quota on requests refuses pods that name none, as those of the hub do."""
    found = render(chart)
    counted = {name.removeprefix("requests.") for name in found["ResourceQuota"]["spec"]["hard"] if "." in name}
    assert counted == set(found["LimitRange"]["spec"]["limits"][0]["defaultRequest"])
    assert set(render(chart, {"quota": {"enabled": False}})) == {"ServiceAccount"}


def test_the_role_for_s3_is_an_annotation_of_the_account(chart):
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/mimtpy-writer"}
    found = render(chart, {"serviceAccount": {"annotations": role}})
    assert found["ServiceAccount"]["metadata"]["annotations"] == role


def test_kubernetes_accepts_what_it_renders(chart):
    validate = pytest.importorskip("kubernetes_validate").validate
    for document in render(chart).values():
        validate(document, "1.33", strict=True)


def test_the_values_that_the_page_shows_make_a_release(chart, values):
    page = (CHART.parents[2] / "docs" / "deploy" / "kubernetes.md").read_text()
    shown = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[1])
    found = render(chart, shown)
    assert found["ServiceAccount"]["metadata"]["annotations"] == shown["serviceAccount"]["annotations"]
    known = {path for path, _ in items(values)}
    own = {".serviceAccount.annotations", ".jupyterhub.ingress", ".jupyterhub.hub.config"}  # free, or of the charts
    paths = {path for path, _ in items(shown) if not path.startswith(tuple(own))}
    assert paths
    assert paths <= known


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serviceAcount": {}}, "serviceAcount"),
        ({"serviceAccount": {"name": "other"}}, "give servers and workers one account"),
        ({"jupyterhub": {"singleuser": {"image": {"tag": "9"}}}}, "servers and workers need one image"),
        (
            {"jupyterhub": {"singleuser": {"extraEnv": {"MIMTPY_ROOT": "s3://x/y"}}}},
            "MIMTPY_ROOT is .* give both the same",
        ),
        ({"dask-gateway": {"gateway": {"auth": {"jupyterhub": {"apiToken": "x"}}}}}, "a secret in plain text"),
    ],
)
def test_values_that_would_fail_later_fail_at_once(chart, changes, message):
    import helm_python as helm

    with pytest.raises(helm.HelmError, match=message):
        render(chart, changes)
