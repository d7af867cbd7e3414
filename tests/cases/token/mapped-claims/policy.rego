package envoy.authz

default allow := false

allow if {
	input.user.tenant == "acme"
	"orders:read" in input.user.roles
	count(input.user.groups) == 0
}
