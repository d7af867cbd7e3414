package envoy.authz

# The path picks the answer.
allow := answers[input.http.segments[0]]

allow := 1 if input.http.path == "/conflict"

allow := 2 if input.http.path == "/conflict"

allow if {
	input.http.path == "/builtin-error"
	not to_number(input.http.path) == 1
}

allow if {
	input.http.path == "/huge-pattern"
	not regex.match("(a{1000}){1000}", "a")
}

# With backtracking this would take longer than the universe has been there.
allow if {
	input.http.path == "/exploding-pattern"
	regex.match("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!")
}

answers := {
	"true": true,
	"false": false,
	"grant": {
		"allowed": true,
		"headers": {"x-role": "reader", "x-team": ["a", "b"]},
		"request_headers_to_remove": ["authorization"],
		"response_headers_to_add": {"x-answered-by": "policy"},
		"query_parameters_to_set": {"tenant": "acme"},
		"query_parameters_to_remove": ["debug"],
		"dynamic_metadata": {"team": "orders"},
	},
	"refusal": {
		"allowed": false,
		"http_status": 429,
		"headers": {"retry-after": "7"},
		"body": "come back later",
		"reason": "too many orders",
	},
	"string": "true",
	"number": 1,
	"no-allowed": {"allow": true},
	"split": {"allowed": true, "headers": {"x-role": "reader\r\nx-admin: 1"}},
	"pseudo": {"allowed": true, "headers": {":path": "/admin"}},
	"framing": {"allowed": true, "headers": {"transfer-encoding": "chunked"}},
	"routing": {"allowed": true, "headers": {"x-forwarded-host": "accounts.example"}},
	"no-status": {"allowed": false, "http_status": 299},
}
