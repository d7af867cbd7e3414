# Who may do what: an agent acts for a user, and so needs both its own right and the user's.
package envoy.authz

default allow := {"allowed": false, "reason": "no rule allows this"}

# An allowed request: the upstream is told under which rule, the client how long it may keep the answer.
allow := {
	"allowed": true,
	"headers": {"x-policy-right": right},
	"response_headers_to_add": {"cache-control": "no-store"},
	"request_headers_to_remove": ["authorization"],
} if {
	some right in required
	right in agent_rights
	right in user_rights
}

# The caller has the right, the user has not given it.
allow := {"allowed": false, "reason": sprintf("the user has not granted `%s`", [right])} if {
	some right in required
	right in agent_rights
	not right in user_rights
}

# The user has given the right, but not for this agent to use.
allow := {"allowed": false, "reason": sprintf("the agent has no right to `%s`", [right])} if {
	some right in required
	not right in agent_rights
}

# What a request asks for: one right at most, none for a route that is not listed.
required contains "accounts:read" if {
	input.http.method == "GET"
	input.http.segments[0] == "accounts"
}

required contains "transfers:write" if {
	input.http.method == "POST"
	input.http.segments == ["transfers"]
}

# The agent's rights are the operator's choice: data.json. The user's stand in the token that the issuer signed.
agent_rights := {right | some right in data.agents[input.caller.spiffe_id]}

user_rights := {right | some right in input.user.scopes}
