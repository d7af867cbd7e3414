# Who may do what, for whom. An example: replace it by your own.
package envoy.authz

default allow := false

# An agent of ours may read for a user who may read.
allow if {
	input.caller.trust_domain == "prod.example"
	input.caller.kubernetes.namespace == "agents"
	input.http.method in {"GET", "HEAD"}
	"orders:read" in input.user.scopes
}
