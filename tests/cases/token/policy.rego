package envoy.authz

default allow := false

allow if "orders:read" in input.user.scopes
