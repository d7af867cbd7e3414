#!/usr/bin/env python3
"""The demo with identities from SPIRE: two federated trust domains, each a real SPIRE server with its agent.

Run by `make demo SPIRE=1`, which builds SPIRE once. As tools/demo.py, but here no certificate of a workload lies in a
file: agents, Envoy and Countersign get theirs from the agent that attested them, for twenty seconds each, and new ones
before those end.
"""

import dataclasses
import http.client
import json
import os
import pathlib
import ssl
import string
import subprocess
import time

import demo_stack
from demo_stack import ALICE
from demo_stack import Case
from demo_stack import say

CONFIG = demo_stack.DEMO / "spire"
ROTATIONS = 2
ROTATION_SECONDS = 60  # SPIRE renews after a part of a certificate's life: seconds are normal

PARTNER = "partner.example"

CASES = [
    Case(
        "GET /accounts/42", "planner", ALICE, 200, "policy_allowed",
        "The planner's certificate is good for twenty seconds, and proven twice: by Envoy, and by Countersign itself.\n"
        "The upstream gets who it was:",
    ),
    Case(
        "GET /accounts/42", "seller", ALICE, 200, "policy_allowed",
        "An agent of the federated domain, whose authority is an intermediate one: its certificate is a chain.\n"
        "It is proven by the partner's bundle, which came over SPIFFE federation:",
        domain=PARTNER,
    ),
    Case(
        "POST /transfers", "seller", ALICE, 403, "policy_denied",
        "Proven is not allowed: the policy gives the partner's agent the right to read, and no other,\n"
        "whatever alice has granted.",
        domain=PARTNER,
    ),
    Case(
        "GET /accounts/42", "forger", ALICE, None, None,
        "The planner's name, signed by the partner's root: an authority that is trusted, but not for this name.\n"
        "Envoy's SPIFFE validator keeps the domains apart, and Countersign is not asked.",
    ),
    Case(
        "GET /accounts/42", "forger", ALICE, 403, "caller_certificate_untrusted",
        "The same forgery at a door where Envoy takes any certificate.\n"
        "Countersign proves what is forwarded by the bundle of the domain that it names, and by no other.",
        door="credulous",
    ),
    Case(
        "GET /accounts/42", "planner", ALICE, 200, "policy_allowed",
        "Without TLS, by a JWT-SVID for the audience `accounts`: a weaker proof, and `caller.proof` says so to the policy.\n"
        "The upstream gets:",
        door="plain",
    ),
    Case(
        "GET /accounts/42", "planner", ALICE, 503, None,
        "The same at a door where Envoy asks under another name of its own, genuine too.\n"
        "Only `listeners.tls.allowed_proxies` may ask: there is no connection, so Envoy fails closed.",
        door="other", unasked="Countersign did not let this proxy ask",
    ),
]


class SpireDemo(demo_stack.Demo):
    """As the other demo, with SPIRE."""

    def start(self):
        self.start_peers()
        print("Starting SPIRE: servers and agents of demo.example and partner.example, federated …")
        command = [self.programs.dev_peers, "spire", "--dir", "."]
        command += ["--envoy", self.programs.envoy, "--countersign", self.programs.countersign]
        spire = self.spawn("spire", command)
        self.agents = demo_stack.wait_for("SPIRE", spire, lambda: json.loads(spire.first_line())["workload_apis"])

        self.start_countersign(CONFIG / "countersign.yaml")
        self.show_identity()
        checks = json.loads(self.addresses()["checks"])[0]
        template = string.Template((CONFIG / "envoy.yaml").read_text())
        config = self.dir / "envoy.yaml"
        config.write_text(template.substitute(DEMO_CHECKS_PORT=checks.rsplit(":", 1)[1]))
        self.start_envoy(config)

    def show_identity(self):
        print("\nWho Countersign is, and whom it trusts, says its agent (`countersign identity`):\n")
        command = [self.programs.countersign, "identity", "-c", str(CONFIG / "countersign.yaml")]
        environment = {**os.environ, **self.environment}
        text = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in text.splitlines():
            print(f"    {line}")

    def run(self, cases):
        return super().run(cases) + self.watch_rotation()

    def watch_rotation(self):
        """Waits for Countersign's next certificates, with requests all the while, and gives back how many went wrong."""
        print("\nCountersign's certificate lives for twenty seconds. Waiting for the next ones, with requests all the while:\n")
        expiries, answers, deadline = [self.expiry()], [], time.monotonic() + ROTATION_SECONDS
        say(f"one that ends at {clock(expiries[0])}")
        while len(expiries) <= ROTATIONS and time.monotonic() < deadline:
            answers.append(self.send(CASES[0]).status)
            if (now := self.expiry()) != expiries[-1]:
                expiries.append(now)
                say(f"then one that ends at {clock(now)}")
        allowed = answers.count(200)
        say(f"{allowed} of {len(answers)} requests allowed\n")
        problems = len(answers) - allowed + (len(expiries) <= ROTATIONS)
        if problems:
            say("WRONG: wanted new certificates, and every request allowed\n")
        return problems

    def expiry(self):
        """When Countersign's own certificate ends, as its metrics say."""
        metrics = demo_stack.get(self.addresses()["probes"], "/metrics")[1].decode()
        name = "countersign_svid_expiry_timestamp_seconds "
        return float([line for line in metrics.splitlines() if line.startswith(name)][0].removeprefix(name))

    def connection(self, case):
        if case.door in ("plain", "other"):
            case.headers["x-spiffe-jwt-svid"] = self.jwt_svid(case)
            return http.client.HTTPConnection("127.0.0.1", self.ports[case.door], timeout=10)
        own = self.x509_svid(demo_stack.agent_id("planner"), "demo.example")
        context = ssl.create_default_context(cafile=own.bundle)
        if case.agent == "forger":
            context.load_cert_chain(self.dir / "forged.pem", self.dir / "forged.key")
        else:
            svid = self.x509_svid(case.caller, case.domain)
            context.load_cert_chain(svid.certificate, svid.key)
        return http.client.HTTPSConnection("localhost", self.ports[case.door], context=context, timeout=10)

    def x509_svid(self, spiffe_id, domain):
        """The SVID of this name, as the agent gives it now to the workload that asks, which is its own command line."""
        folder = self.dir / "svids" / domain
        folder.mkdir(parents=True, exist_ok=True)
        text = self.fetch("x509", domain, "-write", str(folder))
        ids = [line.split()[-1] for line in text.splitlines() if line.startswith("SPIFFE ID:")]
        number = ids.index(spiffe_id)
        names = (f"svid.{number}.pem", f"svid.{number}.key", f"bundle.{number}.pem")
        return Svid(*(folder / name for name in names))

    def jwt_svid(self, case):
        text = self.fetch("jwt", case.domain, "-audience", "accounts", "-spiffeID", case.caller, "-output", "json")
        return json.loads(text)[0]["svids"][0]["svid"]

    def fetch(self, kind, domain, *arguments):
        command = [os.environ["SPIRE_AGENT"], "api", "fetch", kind, "-socketPath", self.agents[domain], *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@dataclasses.dataclass
class Svid:
    """Files that the agent's command wrote."""

    certificate: pathlib.Path
    key: pathlib.Path
    bundle: pathlib.Path


def clock(timestamp):
    return time.strftime("%H:%M:%S", time.localtime(timestamp))


if __name__ == "__main__":
    demo_stack.run(SpireDemo, CASES)
