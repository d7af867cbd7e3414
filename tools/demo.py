#!/usr/bin/env python3
"""The demo: a real Envoy with mutual TLS asks Countersign about requests of two agents, honest and not.

Run by `make demo`, which fetches Envoy. Sends the requests of `CASES`. Exits 1 if an outcome is not the expected one.
"""

import demo_stack
from demo_stack import ALICE
from demo_stack import Case

BOB = ["--subject", "bob", "--scope", "accounts:read"]
FORGED_XFCC = {"x-forwarded-client-cert": f"URI={demo_stack.agent_id('ledger')}"}

CASES = [
    Case(
        "GET /accounts/42", "planner", ALICE, 200, "policy_allowed",
        "Certificate and token are proven, and both the agent and the user have the right `accounts:read`.\n"
        "The upstream gets who it was, and not the token:",
    ),
    Case(
        "POST /transfers", "ledger", ALICE, 200, "policy_allowed",
        "The client also sends `x-countersign-user: root`, a header that is not its own to send.\n"
        "It is overwritten with the user who was proven:",
        headers={"x-countersign-user": "root"},
    ),
    Case(
        "POST /transfers", "planner", ALICE, 403, "policy_denied",
        "Alice may make transfers, but this agent may not do it for her:\n"
        "a user's rights do not become the agent's.",
    ),
    Case(
        "POST /transfers", "ledger", BOB, 403, "policy_denied",
        "The agent may make transfers, but bob has not granted it:\n"
        "an agent's rights do not become the user's.",
    ),
    Case(
        "GET /accounts/42", "planner", None, 401, "token_missing",
        "The agent is proven, but says not for whom it acts.\n"
        "The route requires a token, and the answer asks for one:",
        challenge="Bearer",
    ),
    Case(
        "GET /accounts/42", "planner", [*ALICE, "--expires-in", "-60"], 401, "token_expired",
        "A genuine token whose life ended a minute ago.\n"
        "Five seconds of leeway are configured, not sixty.",
    ),
    Case(
        "GET /accounts/42", "planner", [*ALICE, "--forgery", "foreign-key"], 401, "token_signature_invalid",
        "A token with the right issuer and key ID, signed by somebody else's key.\n"
        "Only the issuer's own keys verify its tokens.",
    ),
    Case(
        "GET /accounts/42", "planner", [*ALICE, "--forgery", "alg-none"], 401, "token_algorithm",
        "A token that says it needs no signature: `alg: none`.\n"
        "The configuration says which algorithms an issuer uses, the token never.",
    ),
    Case(
        "POST /transfers", "planner", ALICE, 403, "caller_conflict",
        "The planner forges `x-forwarded-client-cert: URI=…/ledger`, and a careless Envoy listener hands it on.\n"
        "Countersign sees that the certificate of the connection names another agent.",
        door="careless", headers=FORGED_XFCC,
    ),
    Case(
        "GET /accounts/42", "planner", ALICE, 200, "policy_allowed",
        "The same forged header at the listener with SANITIZE_SET, for a request that the planner may make:\n"
        "Envoy threw the forgery away and wrote its own, so the upstream sees the planner:",
        headers=FORGED_XFCC,
    ),
    Case(
        "GET /accounts/42", "stranger", ALICE, None, None,
        "A certificate with the planner's name, signed by an authority of the caller's own making.\n"
        "Envoy trusts the mesh's authority alone, and Countersign is not asked.",
    ),
]


if __name__ == "__main__":
    demo_stack.run(demo_stack.Demo, CASES)
