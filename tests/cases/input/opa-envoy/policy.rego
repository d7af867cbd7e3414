package envoy.authz

default allow := false

# Only the plugin's own keys are there.
allow if object.keys(input) == {
	"attributes", "version", "parsed_path", "parsed_query", "parsed_body", "truncated_body", "source_principal",
}
