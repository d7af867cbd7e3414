# Agents that act for users. What an agent may do is what it may do itself and what its user lets it do: taking a
# right away from either never opens anything.
#
# data.routes   which rights a request needs: all rights of all routes that fit it, and none fits: refused
# data.agents   SPIFFE ID → {"rights": [...], "unattended": [...]}; unattended rights need no user
#
# A user's rights are the scopes of the token.
package countersign.agents

default permitted := false

permitted if {
	count(required) > 0
	count(problems) == 0
}

# Every right that the request needs.
required contains route.right if {
	some route in data.routes
	input.http.method in route.methods
	glob.match(route.path, ["/"], input.http.path)
}

# Why the request is refused, in words for the log.
problems contains "no route fits this request" if count(required) == 0

problems contains sprintf("the agent has no right to `%s`", [right]) if {
	some right in required
	not right in agent.rights
	not right in agent.unattended
}

problems contains sprintf("the user has not granted `%s`", [right]) if {
	some right in required
	not right in agent.unattended
	not right in user_rights
}

# A token that names who acts for the user (RFC 8693 §4.1) is good for that agent alone.
problems contains "the token was delegated to another agent" if {
	input.delegation.actors[0].subject != input.caller.spiffe_id
}

default agent := {"rights": set(), "unattended": set()}

agent := {"rights": listed(entry, "rights"), "unattended": listed(entry, "unattended")} if {
	entry := data.agents[input.caller.spiffe_id]
}

listed(entry, key) := {right | some right in object.get(entry, key, [])}

user_rights := {right | some right in input.user.scopes}
