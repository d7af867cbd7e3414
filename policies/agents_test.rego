package countersign.agents_test

import data.countersign.agents
import data.envoy.authz

planner := "spiffe://prod.example/ns/agents/sa/planner"

ledger := "spiffe://prod.example/ns/agents/sa/ledger"

reporter := "spiffe://prod.example/ns/agents/sa/reporter"

transfer := {
	"caller": {"spiffe_id": ledger},
	"user": {"scopes": ["transfers:write"]},
	"delegation": null,
	"http": {"method": "POST", "path": "/transfers"},
}

changed(change) := object.union(transfer, change)

reading(path) := {
	"caller": {"spiffe_id": planner},
	"user": {"scopes": ["accounts:read"]},
	"http": {"method": "GET", "path": path},
}

test_both_have_the_right if {
	agents.permitted with input as transfer
}

test_the_agent_lacks_it if {
	request := changed({"caller": {"spiffe_id": planner}})
	agents.problems == {"the agent has no right to `transfers:write`"} with input as request
	not agents.permitted with input as request
}

test_the_user_lacks_it if {
	request := changed({"user": {"scopes": ["accounts:read"]}})
	agents.problems == {"the user has not granted `transfers:write`"} with input as request
	not agents.permitted with input as request
}

test_nobody_has_no_rights if {
	every change in [{"caller": null}, {"user": null}, {"caller": {"spiffe_id": "spiffe://prod.example/ns/x/sa/y"}}] {
		not agents.permitted with input as changed(change)
	}
}

# Of every pair of an agent's rights and a user's scopes, those alone open in which both have the right.
some_rights := [[], ["accounts:read"], ["transfers:write"], ["accounts:read", "transfers:write"]]

opens(rights, scopes) if {
	request := changed({"user": {"scopes": scopes}})
	agents.permitted with data.agents as {ledger: {"rights": rights}} with input as request
}

test_a_right_opens_only_where_both_have_it if {
	opened := {[rights, scopes] | some rights in some_rights; some scopes in some_rights; opens(rights, scopes)}
	opened == {[rights, scopes] |
		some rights in some_rights
		some scopes in some_rights
		"transfers:write" in rights
		"transfers:write" in scopes
	}
	count(opened) == 4
}

test_an_unattended_right_needs_no_user if {
	request := {
		"caller": {"spiffe_id": reporter},
		"user": null,
		"http": {"method": "GET", "path": "/reports/2026/q3"},
	}
	agents.permitted with input as request
	not agents.permitted with input as object.union(request, {"http": {"method": "GET", "path": "/accounts/1"}})
}

test_one_star_is_one_segment if {
	agents.permitted with input as reading("/accounts/42")
	not agents.permitted with input as reading("/accounts/42/owner")
	not agents.permitted with input as reading("/accounts")
}

test_a_delegated_token_is_for_its_actor_alone if {
	agents.permitted with input as changed({"delegation": {"actors": [{"subject": ledger}]}})
	request := changed({"delegation": {"actors": [{"subject": planner}, {"subject": ledger}]}})
	agents.problems == {"the token was delegated to another agent"} with input as request
}

test_the_entry_point_says_why if {
	result := authz.allow with input as changed({"user": {"scopes": []}})
	result.allowed == false
	result.reason == "the user has not granted `transfers:write`"
}

test_the_entry_point_strips_the_token if {
	result := authz.allow with input as transfer
	result.allowed == true
	result.request_headers_to_remove == ["authorization"]
}
