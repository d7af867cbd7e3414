#!/usr/bin/env python3
"""Checks what an operator would copy: manifests, proxy configurations, and that they fit each other.

* Each kustomization renders, and its resources pass their schemas.
* Each Deployment keeps the restricted Pod Security profile and outlives its drain.
* Each configuration that a Deployment mounts passes `countersign check`.
* Each Envoy configuration of the repository passes `envoy --mode validate`, fails closed, sends no more than Countersign
  takes, and notices a draining pod in time.

Runs in the environment of kubernetes-validate, which brings PyYAML. All problems are listed before it fails.
"""

import argparse
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
        settings = [
            found
            for kustomization in sorted((ROOT / "k8s").rglob("kustomization.yaml"))
            for found in check_kustomization(check, kustomization.parent)
        ]
        check_proxies(check, settings)
    for problem in check.problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if check.problems else 0


def check_kustomization(check: Check, folder: Path) -> list[dict]:
    """Gives the Countersign configurations that its Deployments mount."""
    where = folder.relative_to(ROOT)
    rendered = check.run(where, ["kubectl", "kustomize", folder])
    validate = Path(sys.executable).with_name("kubernetes-validate")
    check.run(where, [validate, "--strict", "--quiet", "-"], text=rendered)
    resources = [resource for resource in yaml.safe_load_all(rendered) if resource]
    maps = {r["metadata"]["name"]: r.get("data", {}) for r in resources if r["kind"] == "ConfigMap"}
    settings = []
    for deployment in (r for r in resources if r["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        check_restricted(check, where, pod)
        for config in mounted_configurations(check, maps, pod):
            check.run(where, [check.countersign, "check", "--config", config])
            settings.append(yaml.safe_load(config.read_text()))
            check_grace_period(check, where, pod, settings[-1])
    print(f"{where}: {len(resources)} resources, {len(settings)} configurations")
    return settings


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


def check_proxies(check: Check, settings: list[dict]) -> None:
    """Every Envoy configuration and Istio provider of the repository, against the strictest of the configurations."""
    listeners = [config.get("listeners", {}) for config in settings]
    limit = min((found.get("max_message_bytes", DEFAULT_MAX_MESSAGE_BYTES) for found in listeners), default=0)
    drain = min(map(drain_delay, settings), default=0)
    for file in repository_files("*.yaml"):
        text = (ROOT / file).read_text()
        if "static_resources:" in text:
            check_envoy(check, file, text, limit, drain)
        elif "envoyExtAuthzGrpc:" in text:
            check_istio(check, file, text, limit)


def check_envoy(check: Check, file: Path, text: str, limit: int, drain: float) -> None:
    config = yaml.safe_load(text)
    output = check.run(file, [check.envoy, "--mode", "validate", "-c", with_certificates(check, file, config)])
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
