# Who may do what: the agent needs the right, the user the role, the token the scope, and a transfer a login of two factors.
# In this order: nobody is asked to log in again for what would be refused all the same.
package envoy.authz

default allow := {"allowed": false, "reason": "no rule allows this"}

allow := {"allowed": false, "reason": sprintf("the agent has no right to `%s`", [right])} if {
	not right in agent_rights
} else := {"allowed": false, "reason": "the user is no teller"} if {
	not "teller" in user_roles
} else := {"allowed": false, "insufficient_scope": right} if {
	not right in user_scopes
} else := {"allowed": false, "step_up": {"acr_values": ["otp"], "scope": right}} if {
	right == "transfers:write"
	not input.user.claims.acr == "otp"
} else := {
	"allowed": true,
	"headers": {"x-policy-right": right},
	"response_headers_to_add": {"cache-control": "no-store"},
	"request_headers_to_remove": ["authorization", "dpop"],
} if {
	right
}

# What a request asks for; nothing for a route that is not listed.
right := "accounts:read" if {
	input.http.method == "GET"
	input.http.segments[0] == "accounts"
}

right := "transfers:write" if {
	input.http.method == "POST"
	input.http.segments == ["transfers"]
}

# The agent's rights are the operator's choice: demo/policy/data.json.
agent_rights := {granted | some granted in data.agents[input.caller.spiffe_id]}

# Sets, so that what is absent is empty: `not … in` of something undefined is undefined in OPA, which is no refusal.
user_roles := {role | some role in input.user.roles}

user_scopes := {scope | some scope in input.user.scopes}
