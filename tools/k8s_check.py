#!/usr/bin/env python3
"""Checks what an operator would copy: manifests, proxy configurations, and that they fit each other.

* Each kustomization renders, and its resources pass their schemas; a ClusterSPIFFEID names the pods and the ID that
  are meant.
* Each Deployment keeps the restricted Pod Security profile and outlives its drain.
* Each configuration that a Deployment mounts passes `countersign check`.
* Each Envoy configuration of the repository passes `envoy --mode validate`, fails closed, sends no more than Countersign
  takes, and notices a draining pod in time. Where Countersign asks proxies who they are, those beside it prove to be
  one that may ask, and ask nobody but Countersign.

Runs in the environment of kubernetes-validate, which brings PyYAML. All problems are listed before it fails.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent

# Envoy's default for max_request_headers_kb.
DEFAULT_HEADERS_KB = 60
# Countersign's defaults (docs/configuration.md).
DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
DEFAULT_DRAIN_DELAY = "5s"
# A header can be sent twice: as text and as raw bytes. The rest of a check (certificate, metadata) is allowed for below.
HEADER_COPIES = 2
REST_OF_CHECK_BYTES = 256 * 1024
# What remains of the grace period after the drain delay, for the requests in flight.
FINISH_SECONDS = 5

# The fields of a ClusterSPIFFEID's `spec` (spire.spiffe.io/v1alpha1), since validators know built-in kinds alone.
CLUSTER_SPIFFE_ID_FIELDS = {
    "admin", "autoPopulateDNSNames", "className", "dnsNameTemplates", "downstream", "fallback", "federatesWith",
    "hint", "jwtTtl", "namespaceSelector", "podSelector", "spiffeIDTemplate", "ttl", "workloadSelectorTemplates",
}
# A variable that a script fills in: in a port's place as well as in a path's.
VARIABLE = re.compile(r"\$\{\w+\}")

EXT_AUTHZ = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class Check:
    """The tools, and the problems found so far."""

    def __init__(self, tools: argparse.Namespace, scratch: Path):
        self.envoy = tools.envoy
        self.countersign = tools.countersign
        self.scratch = scratch
        self.problems: list[str] = []

    def claim(self, holds: bool, where: object, problem: str) -> None:
        if not holds:
            self.problems.append(f"{where}: {problem}")

    def run(self, where: object, command: list[object], text: str | None = None) -> str:
        """What the command prints; a problem if it fails."""
        done = subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.problems.append(f"{where}: `{Path(str(command[0])).name}` says:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envoy", type=Path, required=True)
    parser.add_argument("--countersign", type=Path, required=True)
    tools = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        check = Check(tools, Path(scratch))
        folders = sorted(found.parent for found in (ROOT / "k8s").rglob("kustomization.yaml"))
        check_proxies(check, {folder.relative_to(ROOT): check_kustomization(check, folder) for folder in folders})
    for problem in check.problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if check.problems else 0


def check_kustomization(check: Check, folder: Path) -> list[dict]:
    """Gives the Countersign configurations that its Deployments mount."""
    where = folder.relative_to(ROOT)
    rendered = check.run(where, ["kubectl", "kustomize", folder])
    resources = [resource for resource in yaml.safe_load_all(rendered) if resource]
    custom = [r for r in resources if is_custom(r)]
    validate = [sys.executable, Path(sys.executable).with_name("kubernetes-validate"), "--strict", "--quiet", "-"]
    check.run(where, validate, text=yaml.safe_dump_all(r for r in resources if r not in custom))
    maps = {r["metadata"]["name"]: r.get("data", {}) for r in resources if r["kind"] == "ConfigMap"}
    settings = []
    for deployment in (r for r in resources if r["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        check_restricted(check, where, pod)
        for config in mounted_configurations(check, maps, pod):
            check.run(where, [check.countersign, "check", "--config", config])
            settings.append(yaml.safe_load(config.read_text()))
            check_grace_period(check, where, pod, settings[-1])
    for resource in custom:
        check_cluster_spiffe_id(check, where, resource, resources, settings)
    print(f"{where}: {len(resources)} resources, {len(settings)} configurations")
    return settings


def is_custom(resource: dict) -> bool:
    """Kubernetes' own groups have no dot, or end in k8s.io."""
    group = resource["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def check_cluster_spiffe_id(check: Check, where: Path, found: dict, resources: list[dict], settings: list[dict]) -> None:
    """It selects the Deployment's pods, and gives them the ID that Countersign takes for its own."""
    kind, spec = f"{found['apiVersion']} {found['kind']}", found.get("spec", {})
    if kind != "spire.spiffe.io/v1alpha1 ClusterSPIFFEID":
        check.claim(False, where, f"nothing checks {kind}")
        return
    check.claim("namespace" not in found["metadata"], where, "a ClusterSPIFFEID has no namespace")
    check.claim(spec.keys() <= CLUSTER_SPIFFE_ID_FIELDS, where, f"unknown fields in the ClusterSPIFFEID: {sorted(spec)}")
    own = {config["spiffe"]["svid_id"] for config in settings}
    for deployment in (r for r in resources if r["kind"] == "Deployment"):
        template, namespace = deployment["spec"]["template"], deployment["metadata"]["namespace"]
        labels = {"kubernetes.io/metadata.name": namespace}
        check.claim(selects(spec.get("namespaceSelector", {}), labels), where, "the ClusterSPIFFEID is for other namespaces")
        check.claim(selects(spec.get("podSelector", {}), template["metadata"]["labels"]), where, "it is for other pods")
        account = template["spec"]["serviceAccountName"]
        values = {"PodMeta.Namespace": namespace, "PodSpec.ServiceAccountName": account, "TrustDomain": "prod.example"}
        rendered = re.sub(r"\{\{ \.([\w.]+) \}\}", lambda name: values[name[1]], spec["spiffeIDTemplate"])
        check.claim({rendered} == own, where, f"SPIRE gives {rendered}, Countersign asks for {sorted(own)}")


def selects(selector: dict, labels: dict) -> bool:
    return selector.keys() == {"matchLabels"} and selector["matchLabels"].items() <= labels.items()


def check_restricted(check: Check, where: Path, pod: dict) -> None:
    """Pod Security's restricted profile, and a root that cannot be written."""
    context = pod.get("securityContext", {})
    check.claim(context.get("runAsNonRoot") is True, where, "the pod may run as root")
    check.claim(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", where, "no seccomp profile")
    check.claim(pod.get("automountServiceAccountToken") is False, where, "the pod gets a token that it does not need")
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        name = f"container {container['name']}"
        check.claim(own.get("allowPrivilegeEscalation") is False, where, f"{name} may gain privileges")
        check.claim(own.get("readOnlyRootFilesystem") is True, where, f"{name} can write its root")
        check.claim(own.get("capabilities", {}).get("drop") == ["ALL"], where, f"{name} keeps capabilities")
        check.claim("memory" in container.get("resources", {}).get("limits", {}), where, f"{name} has no memory limit")


def check_grace_period(check: Check, where: Path, pod: dict, config: dict) -> None:
    grace, drain = pod.get("terminationGracePeriodSeconds", 30), drain_delay(config)
    check.claim(
        grace >= drain + FINISH_SECONDS, where, f"a grace period of {grace} s is cut short by a drain of {drain} s"
    )


def mounted_configurations(check: Check, maps: dict[str, dict], pod: dict) -> list[Path]:
    """Lays the ConfigMaps out as the pod sees them; gives the files that its arguments name."""
    root = Path(tempfile.mkdtemp(dir=check.scratch))
    sources = {volume["name"]: volume.get("configMap", {}).get("name") for volume in pod.get("volumes", [])}
    found = []
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            mount_map(root / mount["mountPath"].lstrip("/"), maps.get(sources[mount["name"]], {}))
        files = [root / argument.lstrip("/") for argument in container.get("args", []) if argument.startswith("/")]
        found += [file for file in files if file.is_file()]
    return found


def mount_map(folder: Path, data: dict[str, str]) -> None:
    """As the kubelet mounts a ConfigMap: links through `..data`, which an update swaps as a whole."""
    version = folder / "..version"
    version.mkdir(parents=True)
    (folder / "..data").symlink_to(version.name)
    for name, text in data.items():
        (version / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


def check_proxies(check: Check, settings: dict[Path, list[dict]]) -> None:
    """Every Envoy configuration and Istio resource of the repository, against the strictest of the configurations, and those
    beside a configuration against that one."""
    everything = [config for found in settings.values() for config in found]
    listeners = [config.get("listeners", {}) for config in everything]
    limit = min((found.get("max_message_bytes", DEFAULT_MAX_MESSAGE_BYTES) for found in listeners), default=0)
    drain = min(map(drain_delay, everything), default=0)
    for file in repository_files("*.yaml"):
        text = VARIABLE.sub("1", (ROOT / file).read_text())
        if "static_resources:" in text:
            config = check_envoy(check, file, text, limit, drain)
            for countersign in settings.get(file.parent, []):
                check_mutual_tls(check, file, config, countersign)
        elif "envoyExtAuthzGrpc:" in text:
            check_istio(check, file, text, limit)
        elif "kind: DestinationRule" in text:
            check_destination_rule(check, file, yaml.safe_load(text), everything)


def check_envoy(check: Check, file: Path, text: str, limit: int, drain: float) -> dict:
    config = yaml.safe_load(text)
    # The demo names its Envoy on the command line; what an operator copies does it itself.
    node = ["--service-node", "demo", "--service-cluster", "demo"] if file.parts[0] == "demo" else []
    output = check.run(file, [check.envoy, "--mode", "validate", *node, "-c", with_certificates(check, file, config)])
    check.claim("Deprecated field" not in output, file, f"a deprecated field:\n{output}")
    headers_kb = max(values_of(config, "max_request_headers_kb"), default=DEFAULT_HEADERS_KB)
    filters = [found for found in dicts_in(config) if found.get("@type") == EXT_AUTHZ]
    for ext_authz in filters:
        check.claim(ext_authz.get("failure_mode_allow", False) is False, file, "ext_authz fails open")
        body = ext_authz.get("with_request_body", {}).get("max_request_bytes", 0)
        check_size(check, file, body, headers_kb, limit)
    for health in (found for found in dicts_in(config) if "grpc_health_check" in found):
        notices = seconds(health["interval"]) * health["unhealthy_threshold"]
        check.claim(notices < drain, file, f"notices a draining pod after {notices} s, it drains for {drain} s")
    print(f"{file}: valid, {len(filters)} ext_authz")
    return config


def check_mutual_tls(check: Check, file: Path, config: dict, countersign: dict) -> None:
    """Envoy asks Countersign by TLS, knows it by its ID, and has an ID that may ask, exactly where that is asked for."""
    tls = countersign["listeners"].get("tls", {})
    asked = {grpc["envoy_grpc"]["cluster_name"] for grpc in values_of(config, "grpc_service")}
    for cluster in (found for found in config["static_resources"]["clusters"] if found["name"] in asked):
        context = cluster.get("transport_socket", {}).get("typed_config", {}).get("common_tls_context")
        check.claim(bool(context) == tls.get("enabled", False), file, "TLS on one side of a check alone")
        if context:
            names = [matcher["exact"] for matcher in values_of(context, "matcher")]
            check.claim(names == [countersign["spiffe"]["svid_id"]], file, f"asks {names}, not Countersign")
            own = [secret["name"] for secret in context["tls_certificate_sds_secret_configs"]]
            check.claim(set(own) <= set(tls["allowed_proxies"]), file, f"{own} may not ask Countersign")
            check.claim("h2" in context.get("alpn_protocols", []), file, "gRPC over TLS needs h2 by ALPN")


def check_destination_rule(check: Check, file: Path, rule: dict, settings: list[dict]) -> None:
    """Istio's proxies ask a Countersign that asks them who they are, and know it by its ID."""
    tls = rule["spec"]["trafficPolicy"]["tls"]
    ids = [config["spiffe"]["svid_id"] for config in settings if config["listeners"].get("tls", {}).get("enabled")]
    check.claim(tls["mode"] == "ISTIO_MUTUAL", file, "the proxies do not prove who they are")
    check.claim(tls["subjectAltNames"] == ids, file, f"expects {tls['subjectAltNames']}, Countersign is {ids}")
    print(f"{file}: a DestinationRule")


def check_istio(check: Check, file: Path, text: str, limit: int) -> None:
    for provider in values_of(yaml.safe_load(text), "envoyExtAuthzGrpc"):
        check.claim(provider.get("failOpen", False) is False, file, "the provider fails open")
        check.claim("timeout" in provider, file, "the provider waits for ten minutes: set a timeout")
        body = provider.get("includeRequestBodyInCheck", {}).get("maxRequestBytes", 0)
        check_size(check, file, body, DEFAULT_HEADERS_KB, limit)
        print(f"{file}: an ext_authz provider")


def check_size(check: Check, file: Path, body: int, headers_kb: int, limit: int) -> None:
    """A message over the limit would be a transport error, which a proxy may take for permission."""
    largest = body + HEADER_COPIES * headers_kb * 1024 + REST_OF_CHECK_BYTES
    check.claim(largest < limit, file, f"a check may have {largest} bytes, max_message_bytes is {limit}")


def with_certificates(check: Check, file: Path, config: dict) -> Path:
    """The configuration with throw-away files in place of those it names, so that Envoy can load it."""
    folder = Path(tempfile.mkdtemp(dir=check.scratch))
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=check", "-addext", "subjectAltName=URI:spiffe://prod.example/check", "-days", "1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    check.run(file, ["openssl", "req", "-x509", *curve, "-keyout", key, "-out", certificate, *subject])
    for found in dicts_in(config):
        for name, value in found.items():
            if isinstance(value, dict) and "filename" in value:
                value["filename"] = str(key if name == "private_key" else certificate)
    copy = folder / "envoy.yaml"
    copy.write_text(yaml.safe_dump(config))
    return copy


def repository_files(pattern: str) -> list[Path]:
    """Tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(Path(line) for line in set(listed) if (ROOT / line).is_file())


def dicts_in(value: object):
    """Every mapping of a document, outermost first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from dicts_in(item)


def values_of(config: object, key: str) -> list:
    return [found[key] for found in dicts_in(config) if key in found]


def drain_delay(config: dict) -> float:
    return seconds(config.get("listeners", {}).get("drain_delay", DEFAULT_DRAIN_DELAY))


def seconds(duration: str) -> float:
    number = duration.rstrip("smh")
    return float(number) * UNITS[duration[len(number):]]


if __name__ == "__main__":
    sys.exit(main())
