import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from chart_rendering import ChartError, by_go, by_subset, context

from kinema.settings import Settings, check_settings

SECRET = {"secret": {"pseudonymKey": "sixteen letters!"}}
FULL = {
    "env": [{"name": "KINEMA_SERVING__THREADS", "value": "2"}],
    "imagePullSecrets": [{"name": "registry"}],
    "podAnnotations": {"team": "shop"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "networkPolicy": {"fromNamespaces": ["ingress", "monitoring"]},
    "persistence": {"storageClass": "fast"},
}
WAYS = {
    "one replica on SQLite": ((), SECRET),
    "replicas on a database": (("values-replicas.yaml",), {}),
    "everything set": (
        (),
        {**FULL, "secret": {**SECRET["secret"], "storeUrl": "mysql://u@h/k", "redisUrl": "redis://r"}},
    ),
    "nothing kept": (
        (),
        {
            **SECRET,
            "persistence": {"enabled": False},
            "networkPolicy": {"enabled": False},
            "podDisruptionBudget": {"enabled": False},
            "metrics": {"annotations": False},
        },
    ),
}


def documents(way):
    files, values = WAYS[way]
    texts = by_subset(context(*files, **values))
    found = [yaml.safe_load(text) for name, text in texts.items() if name != "NOTES.txt"]
    return {one["kind"]: one for one in found if one}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_what_the_chart_makes_is_what_kubernetes_takes(way, version):
    for kind, one in documents(way).items():
        kubernetes_validate.validate(one, version, strict=True)
        assert one["metadata"]["name"] == "shop", kind
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "shop"


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed; apt-get install golang-go")
@pytest.mark.skipif(
    not Path("/usr/share/gocode/src/github.com/Masterminds/sprig").is_dir(),
    reason="sprig is not installed; apt-get install golang-github-masterminds-sprig-dev",
)
@pytest.mark.parametrize("way", WAYS)
def test_the_engine_of_go_renders_the_same(way):
    files, values = WAYS[way]
    top = context(*files, **values)
    subset, go = by_subset(top), by_go(top)
    assert set(subset) == set(go)
    for name, text in go.items():
        if name == "NOTES.txt":
            assert text == subset[name]
        else:
            assert yaml.safe_load(text) == yaml.safe_load(subset[name]), name


def test_each_kind_is_there_when_it_is_asked_for():
    always = {"ConfigMap", "Deployment", "Service", "ServiceAccount"}
    guarded = {"NetworkPolicy", "PodDisruptionBudget", "PersistentVolumeClaim"}
    assert set(documents("one replica on SQLite")) == always | guarded | {"Secret"}
    assert set(documents("replicas on a database")) == always | guarded | {"HorizontalPodAutoscaler"}
    assert set(documents("nothing kept")) == always | {"Secret"}


def test_pods_run_without_rights():
    pod = documents("one replica on SQLite")["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_probes_ask_what_the_service_answers():
    container = documents("one replica on SQLite")["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["startupProbe"]["httpGet"]["path"] == "/health/ready"


def test_one_file_of_sqlite_never_has_two_writers():
    spec = documents("one replica on SQLite")["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    for values in ({"replicas": 2}, {"autoscaling": {"enabled": True}}):
        with pytest.raises(ChartError, match="several replicas need a store that they share"):
            by_subset(context(**SECRET, **values))


def test_the_autoscaler_owns_the_number_of_replicas():
    found = documents("replicas on a database")
    assert "replicas" not in found["Deployment"]["spec"]
    assert found["Deployment"]["spec"]["strategy"]["type"] == "RollingUpdate"
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])


def test_selectors_find_the_pods():
    for way in WAYS:
        found = documents(way)
        labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
        selectors = [found["Deployment"]["spec"]["selector"]["matchLabels"], found["Service"]["spec"]["selector"]]
        selectors += [
            found[kind]["spec"]["selector"]["matchLabels"] for kind in ["PodDisruptionBudget"] if kind in found
        ]
        selectors += [found[kind]["spec"]["podSelector"]["matchLabels"] for kind in ["NetworkPolicy"] if kind in found]
        assert all(one.items() <= labels for one in selectors)


def test_a_release_without_a_key_for_pseudonyms_is_refused():
    with pytest.raises(ChartError, match=r"set secret\.pseudonymKey \(16 characters or more\) or secret\.existing"):
        by_subset(context())


def test_settings_in_the_chart_are_settings():
    text = documents("one replica on SQLite")["ConfigMap"]["data"]["kinema.toml"]
    assert check_settings(tomllib.loads(text)).serving.tls is True
    for name in documents("everything set")["Secret"]["stringData"]:
        section, _, key = name.removeprefix("KINEMA_").lower().partition("__")
        assert name == "KINEMA_PSEUDONYM_KEY" or key in Settings.model_fields[section].annotation.model_fields


def test_the_arguments_are_those_of_the_command():
    container = documents("one replica on SQLite")["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    done = subprocess.run(
        [sys.executable, "-m", "kinema.cli.main", "serve", "--help"], capture_output=True, text=True, check=True
    )
    assert all(one in done.stdout for one in container["args"] if one.startswith("--"))
