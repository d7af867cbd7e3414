package envoy.authz_test

import data.envoy.authz

ledger := "spiffe://demo.example/ns/agents/sa/ledger"

teller := {
	"roles": ["teller"],
	"scopes": ["accounts:read", "transfers:write"],
	"claims": {"acr": "otp"},
}

read_account := {"method": "GET", "segments": ["accounts", "42"]}

make_transfer := {"method": "POST", "segments": ["transfers"]}

# The decision on a request by the agent with this right, for this user.
decision(agent_right, user, http) := result if {
	result := authz.allow with input as {"caller": {"spiffe_id": ledger}, "user": user, "http": http}
		with data.agents as {ledger: [agent_right]}
}

changed(change) := object.union(teller, change)

test_the_upstream_is_told_the_right_and_gets_no_credential if {
	result := decision("transfers:write", teller, make_transfer)
	result.allowed == true
	result.headers == {"x-policy-right": "transfers:write"}
	result.request_headers_to_remove == ["authorization", "dpop"]
}

test_reading_needs_no_second_factor if {
	decision("accounts:read", changed({"claims": {"acr": "password"}}), read_account).allowed == true
}

test_an_agent_without_the_right_is_refused if {
	decision("accounts:read", teller, make_transfer) == {
		"allowed": false,
		"reason": "the agent has no right to `transfers:write`",
	}
}

test_a_user_without_the_role_is_refused_and_not_sent_to_log_in if {
	decision("transfers:write", changed({"roles": [], "scopes": [], "claims": {}}), make_transfer) == {
		"allowed": false,
		"reason": "the user is no teller",
	}
}

test_a_missing_scope_is_named if {
	decision("transfers:write", changed({"scopes": ["accounts:read"]}), make_transfer) == {
		"allowed": false,
		"insufficient_scope": "transfers:write",
	}
}

test_a_transfer_needs_a_login_of_two_factors if {
	every claims in [{"acr": "password"}, {"acr": ["otp"]}] {
		decision("transfers:write", changed({"claims": claims}), make_transfer) == {
			"allowed": false,
			"step_up": {"acr_values": ["otp"], "scope": "transfers:write"},
		}
	}
}

test_a_login_that_says_not_how_it_was_is_not_enough if {
	user := {"roles": ["teller"], "scopes": ["transfers:write"], "claims": {}}
	decision("transfers:write", user, make_transfer).step_up.acr_values == ["otp"]
}

test_a_route_that_is_not_listed_is_refused if {
	every http in [
		{"method": "DELETE", "segments": ["accounts", "42"]},
		{"method": "POST", "segments": ["transfers", "7"]},
	] {
		decision("transfers:write", teller, http) == {"allowed": false, "reason": "no rule allows this"}
	}
}

test_without_a_user_nothing_is_allowed if {
	decision("accounts:read", null, read_account).allowed == false
}
