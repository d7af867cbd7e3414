package shipped

test_patterns_without_case if regex.match("(?i)^/admin", "/ADMIN")

test_classes_of_patterns if regex.match(`^\w+\s\d\b`, "a 1")

test_properties_of_patterns if regex.match(`^\p{L}+$`, "ä")

test_a_pattern_is_no_way_out if not regex.match("(?i)^/admin", "/orders")

test_globs if glob.match("/orders/*", ["/"], "/orders/1")

test_times if time.parse_rfc3339_ns("2026-11-26T00:00:00Z") == 1795651200000000000

test_addresses if net.cidr_contains("10.0.0.0/8", "10.1.2.3")

test_base64 if base64url.decode("YQ") == "a"

test_hex if hex.encode("a") == "61"

test_json if json.unmarshal("[1]") == [1]

test_yaml if yaml.unmarshal("a: 1") == {"a": 1}

test_queries if urlquery.encode("a b") == "a+b"

test_versions if semver.compare("1.2.3", "1.10.0") == -1

test_graphs if graph.reachable({"a": ["b"], "b": []}, {"a"}) == {"a", "b"}

test_names if uuid.rfc4122("a") == uuid.rfc4122("a")

test_negations if {
	undefined_inside := {true | not "banned" in data.nobody.roles}
	count(undefined_inside) == 0
}
