# The entry point. Start here: change what the upstream and the client are told, or add rules beside the library's.
package envoy.authz

import data.countersign.agents

allow := {
	"allowed": true,
	"headers": {"x-rights": concat(" ", sort(agents.required))},
	"request_headers_to_remove": ["authorization"],
} if {
	agents.permitted
} else := {
	"allowed": false,
	"reason": concat("; ", sort(agents.problems)),
}
