package envoy.authz

# The last part of the path picks the answer.
allow := answers[input.http.segments[count(input.http.segments) - 1]]

answers := {
	"true": true,
	"false": false,
	"step-up": {
		"allowed": false,
		"step_up": {"acr_values": ["urn:example:hardware", "phr"], "max_age": 300, "scope": "orders:read"},
		"reason": "this order wants a fresh login",
	},
	"insufficient-scope": {"allowed": false, "insufficient_scope": "orders:read orders:write"},
	"own-body": {"allowed": false, "body": "no orders today"},
	"allowed-and-step-up": {"allowed": true, "step_up": {"max_age": 300}},
	"step-up-in-words": {"allowed": false, "step_up": {"max_age": "five minutes"}},
}
