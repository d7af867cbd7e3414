package envoy.authz

default allow := false

allow if input.caller.kubernetes.service_account == "planner"
