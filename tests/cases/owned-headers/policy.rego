package envoy.authz

allow := {"allowed": true, "headers": {"x-countersign-user": "admin"}} if {
	input.http.path == "/sets-an-owned-header"
} else := {"allowed": true, "request_headers_to_remove": ["X_Countersign_User"]} if {
	input.http.path == "/removes-an-owned-header"
} else := true
