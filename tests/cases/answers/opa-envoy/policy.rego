package envoy.authz

allow := {"allowed": input.parsed_path[0] == "true", "step_up": {"max_age": 300}, "insufficient_scope": 1}
