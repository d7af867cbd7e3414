package envoy.authz_test

import data.envoy.authz

planner := "spiffe://demo.example/ns/agents/sa/planner"

ledger := "spiffe://demo.example/ns/agents/sa/ledger"

read_account := {"method": "GET", "segments": ["accounts", "42"]}

make_transfer := {"method": "POST", "segments": ["transfers"]}

# The decision on a request by this agent for a user with these scopes.
decision(caller, scopes, http) := result if {
	request := {"caller": {"spiffe_id": caller}, "user": {"scopes": scopes}, "http": http}
	result := authz.allow with input as request
}

test_an_agent_reads_for_a_user_who_lets_it if {
	decision(planner, ["accounts:read"], read_account).allowed == true
}

test_the_upstream_is_told_the_right_and_not_the_token if {
	result := decision(planner, ["accounts:read"], read_account)
	result.headers == {"x-policy-right": "accounts:read"}
	result.request_headers_to_remove == ["authorization"]
}

test_the_users_right_alone_is_not_enough if {
	result := decision(planner, ["accounts:read", "transfers:write"], make_transfer)
	result == {"allowed": false, "reason": "the agent has no right to `transfers:write`"}
}

test_the_agents_right_alone_is_not_enough if {
	result := decision(ledger, ["accounts:read"], make_transfer)
	result == {"allowed": false, "reason": "the user has not granted `transfers:write`"}
}

test_both_rights_are_enough if {
	decision(ledger, ["transfers:write"], make_transfer).allowed == true
}

test_an_unknown_agent_has_no_rights if {
	decision("spiffe://demo.example/ns/agents/sa/stranger", ["accounts:read"], read_account).allowed == false
}

test_a_route_that_is_not_listed_is_refused if {
	every http in [
		{"method": "DELETE", "segments": ["accounts", "42"]},
		{"method": "POST", "segments": ["transfers", "7"]},
		{"method": "GET", "segments": [""]},
	] {
		decision(ledger, ["accounts:read", "transfers:write"], http) == {
			"allowed": false,
			"reason": "no rule allows this",
		}
	}
}

test_without_a_caller_or_a_user_nothing_is_allowed if {
	every nobody in [{"caller": null}, {"user": null}] {
		request := object.union(
			{
				"caller": {"spiffe_id": ledger},
				"user": {"scopes": ["transfers:write"]},
				"http": make_transfer,
			},
			nobody,
		)
		result := authz.allow with input as request
		result.allowed == false
	}
}
