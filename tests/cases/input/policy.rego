package envoy.authz

default allow := false

allow if input.http.method in {"GET", "POST"}
