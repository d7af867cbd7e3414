#!/usr/bin/env python3
"""The demo with logins: an agent without a token finds out where to get one, and users log in at a real OpenID provider.

Run by `make demo OIDC=1`, which fetches oidc-provider; it runs on Node.js. As tools/demo.py, but here every token comes from
a login with a code and PKCE: by the provider's own page, whose form the demo fills in as a browser does; with `--browser`
a person does it, with a real one.
"""

import argparse
import dataclasses
import functools
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.parse

import demo_login
import demo_stack
from demo_login import Login
from demo_stack import say

CONFIG = demo_stack.DEMO / "oidc"
LEAST_NODE = 20
RESOURCE = "https://accounts.demo.example"  # as countersign.yaml and provider.mjs have it
BROWSER_SECONDS = 300  # to accept a certificate, read a page and type a word
FORM_SECONDS = 30  # the same without a person
WITHDRAWAL_SECONDS = 20  # Countersign looks each second, and reads what has looked the same twice
# What is shown of each login after the first, of its request and its token.
BRIEFLY = ("client_id", "login_hint", "scope", "acr_values", "sub", "roles", "acr", "cnf")

ALICE = Login("alice", "accounts:read")
BOB = Login("bob", "accounts:read")
ALICE_WIDER = Login("alice", "accounts:read transfers:write")
ALICE_BETTER = Login("alice", "accounts:read transfers:write", acr="otp")
ALICE_OPAQUE = Login("alice", "accounts:read", client_id="ledger-opaque")
ALICE_BOUND = Login("alice", "accounts:read", dpop=True)


@dataclasses.dataclass
class Step(demo_stack.Case):
    """A request for which its user logs in first, unless they did before: `token` is the login."""

    headers: dict = dataclasses.field(default_factory=lambda: {"host": RESOURCE.removeprefix("https://")})
    withdrawn_by: str | None = None  # who withdraws the token first: the `operator`, or the `client`
    id_token: bool = False  # whether the login's ID token is sent, in the place of its access token
    # Whose key proves a DPoP token. `caught`: with the ledger's last proof; None: it is sent like one that needs no proof.
    key: str | None = "ledger"

    @property
    def user(self):
        return self.token and self.token.user


STEPS = [
    Step(
        "GET /accounts/42", "ledger", None, 401, "token_missing",
        "The agent is proven by its certificate, but says not for whom it acts. All that it knows is this address.\n"
        "The answer says where to read how to get a token:",
        challenge="resource_metadata=",
    ),
    Step(
        "GET /.well-known/oauth-protected-resource", "ledger", None, 200, "answered_resource_metadata",
        "It reads that (RFC 9728). Countersign answers, before a token is asked for; the service never sees it:",
    ),
    Step(
        "GET /accounts/42", "ledger", ALICE, 200, "policy_allowed",
        "The same request with alice's token: the agent has the right, alice the role `teller`, the token the scope.\n"
        "The service gets who it was, and not the token:",
    ),
    Step(
        "GET /accounts/42", "ledger", ALICE, 401, "token_type",
        "The login gave an ID token, too: it tells the client who logged in, and opens nothing.\n"
        "It is alice's, by the same issuer, signed with the same key, and refused:",
        id_token=True, challenge='error="invalid_token"',
    ),
    Step(
        "GET /accounts/42", "ledger", BOB, 403, "policy_denied",
        "A login is not a permission: bob's token is as good as alice's, but he has no role.\n"
        "No other login would help him, so the answer asks for none.",
    ),
    Step(
        "POST /transfers", "ledger", ALICE, 403, "policy_insufficient_scope",
        "Alice let the agent read, not make transfers. The answer names the scope that is missing (RFC 6750):",
        challenge='error="insufficient_scope", scope="transfers:write"',
    ),
    Step(
        "POST /transfers", "ledger", ALICE_WIDER, 401, "policy_step_up",
        "The scope is there now, but a password is not enough for a transfer. The answer asks for a better login (RFC 9470):",
        challenge='error="insufficient_user_authentication", acr_values="otp", scope="transfers:write"',
    ),
    Step(
        "POST /transfers", "ledger", ALICE_BETTER, 200, "policy_allowed",
        "With the one-time code `acr` is `otp`, and the transfer is allowed:",
    ),
    Step(
        "GET /accounts/42", "ledger", ALICE, 401, "token_revoked",
        "Alice's first token was good above, and its signature and its life still are.\n"
        "It is on the list now, and the client is told to get another:",
        withdrawn_by="operator", challenge='error="invalid_token"',
    ),
    Step(
        "GET /accounts/42", "ledger", ALICE_OPAQUE, 200, "policy_allowed",
        "A token that says nothing itself: Countersign asks the provider about it (RFC 7662), and keeps the answer for\n"
        "a second. The service gets the same as ever:",
    ),
    Step(
        "GET /accounts/42", "ledger", ALICE_OPAQUE, 401, "token_inactive",
        "This time nobody had to write a list: the provider says so when it is asked.",
        withdrawn_by="client", challenge='error="invalid_token"',
    ),
    Step(
        "GET /accounts/42", "ledger", ALICE_BOUND, 200, "policy_allowed",
        "This token is bound to a key of the client's (`cnf`), which proves with each request that it has it (RFC 9449):",
    ),
    Step(
        "GET /accounts/42", "planner", ALICE_BOUND, 401, "token_confirmation",
        "The planner, an agent that may read accounts too, stole this token, and sends it like one that needs no proof:\n"
        "of no use.",
        key=None, challenge='error="invalid_token"',
    ),
    Step(
        "GET /accounts/42", "planner", ALICE_BOUND, 401, "token_dpop_invalid",
        "It makes a proof, by a key of its own: of no use either.",
        key="planner", challenge='DPoP realm="accounts", error="invalid_dpop_proof"',
    ),
    Step(
        "GET /accounts/42", "planner", ALICE_BOUND, 401, "token_dpop_replayed",
        "It has caught the ledger's proof, too. A proof is good once.",
        key="caught", challenge='DPoP realm="accounts", error="invalid_dpop_proof"',
    ),
]


class OidcDemo(demo_stack.Demo):
    """As the other demo, with users who log in."""

    def __init__(self, stack, programs, by_browser):
        super().__init__(stack, programs)
        self.by_browser = by_browser
        self.metadata_url = None  # of the resource, once a challenge named it
        self.client = None  # once the metadata named the authorization server
        self.tokens = {}
        self.proof = None  # the ledger's last

    def start(self):
        self.start_peers()
        self.write_revocations([])
        self.start_countersign(CONFIG / "countersign.yaml")
        self.start_envoy(demo_stack.DEMO / "envoy.yaml")
        print(f"\n{RESOURCE} is Envoy at 127.0.0.1:{self.ports['mesh']} here; the provider is {self.issuer_url}")

    def start_issuer(self):
        (self.dir / "introspection-secret").write_text(secrets.token_urlsafe())
        provider = self.spawn("provider", ["node", str(CONFIG / "provider.mjs")])
        return demo_stack.wait_for("the provider", provider, lambda: demo_stack.json_lines(provider.out)[0]["issuer"])

    def show_answer(self, answer, case):
        if case.reason == "answered_resource_metadata":
            return self.show_metadata(json.loads(answer.body), case)
        problems = super().show_answer(answer, case)
        if found := re.search(r'resource_metadata="([^"]+)"', answer.challenge or ""):
            self.metadata_url = found[1]
        return problems

    def show_metadata(self, metadata, case):
        show(metadata)
        server = metadata["authorization_servers"][0]
        self.client = demo_login.Client(server, metadata["resource"], self.dir / "web-ca.pem", self.prove)
        # §3.3: a client must not use what is another resource's.
        wanted = {"the address": (RESOURCE + case.request.split()[1], self.metadata_url)}
        wanted["`resource`"] = (RESOURCE, metadata["resource"])
        return [f"{what} should be `{want}`, not `{got}`" for what, (want, got) in wanted.items() if want != got]

    def credentials(self, case):
        if case.token is None:
            return {}
        if case.token not in self.tokens:
            self.tokens[case.token] = self.log_in(case.token)
        token = self.tokens[case.token]
        if case.id_token:
            return {"authorization": f"Bearer {token.id_token}"}
        if token.kind == "Bearer" or case.key is None:
            return {"authorization": f"Bearer {token.text}"}
        method, path = case.request.split()
        proof = self.proof if case.key == "caught" else self.prove(method, RESOURCE + path, token, case.key)
        if case.key == "ledger":
            self.proof = proof
        return {"authorization": f"DPoP {token.text}", "dpop": proof}

    def log_in(self, login):
        """One login: told in full the first time, and later only what is new."""
        is_first = not self.tokens
        if is_first:
            self.discover()
        with demo_login.Receiver() as receiver:
            url, verifier, state = self.client.authorize(login, receiver.uri)
            self.show_request(url, login, is_first)
            self.ask_user(url, login, is_first)
            answer = receiver.wait(BROWSER_SECONDS if self.by_browser else FORM_SECONDS)
        code = self.client.code(answer, state)
        if is_first:
            say(f"A code came to {receiver.uri}, with the same `state`, and `iss` is the provider.")
            say("With the PKCE verifier, which only this client knows, the code gets a token (its signature is left out):")
        token = self.client.redeem(login, code, verifier, receiver.uri)
        header, claims = token.decoded()
        if is_first:
            show(header)
        else:
            opaque = f"The token is no JWT, but {len(token.text)} characters that only the provider knows."
            say("The token:" if claims else opaque)
        show(claims if is_first else {name: claims[name] for name in BRIEFLY if name in claims})
        print()
        return token

    def show_request(self, url, login, is_first):
        endpoint, _, query = url.partition("?")
        fields = dict(urllib.parse.parse_qsl(query))
        if is_first:
            say(f"LOGIN of {login.user}. The client sends the browser to the authorization endpoint, with PKCE (RFC 7636):")
            show({"GET": endpoint} | fields)
        else:
            say(f"LOGIN of {login.user}, as before, but with:")
            more = {"DPoP": "a proof of the client's key, at the token endpoint"} if login.dpop else {}
            show({name: fields[name] for name in BRIEFLY if name in fields} | more)

    def discover(self):
        say("The client asks the authorization server that the resource named for its metadata (RFC 8414):")
        self.client.discover()
        names = ("issuer", "authorization_endpoint", "token_endpoint", "code_challenge_methods_supported")
        show({name: self.client.metadata[name] for name in names})
        print()

    def ask_user(self, url, login, is_first):
        if self.by_browser:
            code = ", one-time code 123456" if login.acr else ""
            say(f"Open this in a browser on this machine, and log in as {login.user}: password demo{code}.")
            say("It will warn of the provider's certificate, which is by an authority of the demo's own: go on.")
            print(f"\n{url}\n")
            say(f"Waiting for {BROWSER_SECONDS // 60} minutes …")
            return
        address, fields = demo_login.fill_in(url, login, self.client.tls)
        say(f"The provider's page is {address}")
        hint = " (OIDC=browser lets you do it.)" if is_first else ""
        say(f"{login.user.capitalize()} fills in its form: {', '.join(fields)}.{hint}")

    def prove(self, method, uri, token=None, key="ledger"):
        """A DPoP proof by one of the keys."""
        command = ["node", str(CONFIG / "proof.mjs"), f"{key}-dpop.key", method, uri]
        command += [token.text] if token else []
        return subprocess.run(command, cwd=self.dir, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def send(self, case):
        if case.withdrawn_by is None:
            return super().send(case)
        self.withdraw(case)
        return self.send_until_refused(case)

    def withdraw(self, case):
        if case.withdrawn_by == "client":
            say("The client is done, and tells the provider to revoke the token (RFC 7009).")
            self.client.revoke(case.token, self.tokens[case.token])
        else:
            entry = {"issuer": self.issuer_url, "jti": [self.tokens[case.token].decoded()[1]["jti"]]}
            say("Alice's first token is withdrawn: the operator puts its `jti` into the file of `revocations`.")
            show(entry)
            self.write_revocations([entry])

    def send_until_refused(self, case):
        """Sends the same request all the while; the answer is the first that is no 200, whose decision is not read yet."""
        started = time.monotonic()
        while (answer := super().send(case)).status == 200 and time.monotonic() - started < WITHDRAWAL_SECONDS:
            self.next_decision()
            time.sleep(0.1)
        say(f"The same request all the while, until it is refused after {time.monotonic() - started:.1f} s:\n")
        return answer

    def write_revocations(self, entries):
        """Replaces the file whole, so that no half of it is ever read."""
        fresh = self.dir / "revoked.fresh"
        fresh.write_text(json.dumps(entries))
        fresh.rename(self.dir / "revoked.json")


def show(members):
    """Prints a JSON object, a member on each line."""
    for name, value in members.items():
        say(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")


def problem_with_node():
    if not shutil.which("node"):
        return "there is no `node` here"
    version = subprocess.run(["node", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return None if int(version.lstrip("v").split(".")[0]) >= LEAST_NODE else f"`node` here is {version}"


def main():
    parser = argparse.ArgumentParser(description="The demo with logins.")
    parser.add_argument("--browser", action="store_true", help="wait for a person to log in with a browser")
    arguments = parser.parse_args()
    if not os.environ.get("OIDC_PROVIDER"):
        sys.exit("OIDC_PROVIDER is not set: `make demo OIDC=1` fetches oidc-provider and names it")
    if problem := problem_with_node():
        sys.exit(f"the OpenID provider runs on Node.js {LEAST_NODE} or later, and {problem}: "
                 "install it, from https://nodejs.org or your system's packages")
    demo_stack.run(functools.partial(OidcDemo, by_browser=arguments.browser), STEPS)


if __name__ == "__main__":
    main()
