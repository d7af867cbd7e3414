//! Rego rules made up at random, the same for the same seed, full of what is undefined and what is negated.

use serde_json::Value as Json;
use serde_json::json;

/// What the rules can use.
pub(super) const HEADER: &str = r"package a

import rego.v1
import input.obj as im
import data.lib

u := input.nope
v := input.one
no := input.no
s := {y | some y in input.roles}
ps contains x if some x in input.roles
pn contains x if some x in input.nope
o[k] := w if some k, w in input.obj
g(x) := x
holds(x) if x
p1(x) if x == 1
part(x) := x.a
two(x, y) := [x, y]
";

pub(super) fn input() -> Json {
    json!({
        "one": 1, "two": 2, "text": "abc", "no": false, "nul": null, "key": "a", "idx": 0,
        "obj": {"a": 1, "b": {"c": false}, "k": "a"}, "list": [1, 2, "a"], "roles": ["x", "y"],
    })
}

const REFERENCES: &[&str] = &[
    "input.nope",
    "input.nope",
    "input.nope.x",
    "input.one",
    "input.obj",
    "input.obj.a",
    "input.obj.b.c",
    "input.text",
    "input.no",
    "input.roles",
    "input.list",
    "input.nul",
    "u",
    "v",
    "no",
    "s",
    "ps",
    "pn",
    "o",
    "o.a",
    "im",
    "im.a",
    "im.zz",
    "data.zzz",
    "data.a.u",
    "data.a.v",
    "lib.x",
    "l1",
    "l2",
    "lo",
    "lo.a",
    "lo.zz",
    "input[\"one\"]",
    "input.obj[input.key]",
    "input.obj[input.obj.k]",
    "input.nope[input.key]",
    "input.list[input.idx]",
];
const KEYED: &[&str] = &["input.obj[#]", "input.list[#]", "o[#]", "ps[#]", "lo[#]", "input.obj[#][#]"];
const SCALARS: &[&str] = &["0", "1", "2", "\"a\"", "\"x\"", "true", "false", "null"];
const CALLS: &[&str] = &[
    "g(#)",
    "g(#)",
    "holds(#)",
    "p1(#)",
    "part(#)",
    "lower(#)",
    "upper(#)",
    "count(#)",
    "is_null(#)",
    "is_string(#)",
    "to_number(#)",
    "data.a.g(#)",
    "object.keys(#)",
    "abs(#)",
    "sum(#)",
    "json.marshal(#)",
    "type_name(#)",
    "two(#, #)",
    "startswith(#, #)",
    "contains(#, #)",
    "array.concat(#, #)",
    "object.get(#, #, #)",
    "concat(\",\", #)",
    "sprintf(\"%v\", [#])",
];
const COMPOSITES: &[&str] = &["[#, #]", "{#}", "{\"a\": #}", "{#: 1}", "{}", "set()", "[]"];
const COMPREHENSIONS: &[&str] = &[
    "[~ | @; ~ := 1]",
    "{~ | ~ := #; @}",
    "{~: 1 | some ~ in input.list}",
    "[~ | ~ := input.nope[_]]",
    "[~ | ~ := #; @]",
];
const OPERATIONS: &[&str] = &[
    "# == #",
    "# == #",
    "# != #",
    "# < #",
    "# > #",
    "# + #",
    "# - #",
    "# * #",
    "# & #",
    "# | #",
    "# in #",
    "# in #",
    "#, # in #",
];
const MODIFIERS: &[&str] = &[
    "with input.nope as 1",
    "with input.nope as \"x\"",
    "with input.nope as {\"x\": 1}",
    "with input.nope as #",
    "with input as {\"nope\": 1}",
    "with input as {}",
    "with data.zzz as 1",
    "with data.zzz as u",
    "with g as p1",
];
const BODIES: &[&str] = &[
    "!",
    "!",
    "!",
    "!",
    "^",
    "every ~ in input.list { not ~ == # }",
    "every ~ in input.roles { not g(~) == # }",
    "~ := #; not ~ == #",
    "~ := #; not g(~) == #",
];
const LOCALS: &str = "l1 := input.one; l2 := input.text; lo := input.obj;";

/// Makes rules.
pub(super) struct Generator {
    state: u64,
    variables: usize,
}

impl Generator {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed, variables: 0 }
    }

    /// A rule without its name.
    pub(super) fn rule(&mut self) -> String {
        let depth = [1, 2, 2, 3][self.below(4)];
        let (first, second) = (self.body(depth), self.body(depth));
        match self.below(10) {
            0..=4 => format!("if {{ {LOCALS} {first} }}"),
            5 | 6 => format!("if {{ {LOCALS} {first}; {second} }}"),
            7 => format!(":= false if {{ input.nope }} else := true if {{ {LOCALS} {first} }}"),
            8 => format!("if not {}", self.condition(depth)),
            _ => format!("if {{ some l1, l2 in input.list; lo := {{l1: l2}}; {first} }}"),
        }
    }

    /// xorshift64.
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap().checked_rem(limit).unwrap()
    }

    fn one_of(&mut self, patterns: &[&'static str]) -> &'static str {
        patterns[self.below(patterns.len())]
    }

    /// A pattern with its marks replaced: `#` a term, `@` a body, `!` a negation, `^` a condition, `~` a new variable.
    fn filled(&mut self, patterns: &[&'static str], depth: usize) -> String {
        let pattern = self.one_of(patterns);
        self.variables = self.variables.saturating_add(1);
        let variable = format!("q{}", self.variables);
        let parts = pattern.chars().map(|letter| match letter {
            '#' => self.term(depth),
            '@' => self.body(depth),
            '!' => format!("not {}", self.condition(depth)),
            '^' => self.condition(depth),
            '~' => variable.clone(),
            other => other.to_string(),
        });
        parts.collect()
    }

    fn body(&mut self, depth: usize) -> String {
        self.filled(BODIES, depth)
    }

    fn condition(&mut self, depth: usize) -> String {
        let less = depth.saturating_sub(1);
        let condition = match self.below(20) {
            0..=8 => self.filled(OPERATIONS, less),
            9..=13 => self.filled(CALLS, less),
            14 | 15 => self.one_of(REFERENCES).to_owned(),
            16 | 17 => self.filled(&["# = #"], less),
            _ => self.term(depth),
        };
        if self.below(5) == 0 { format!("{condition} {}", self.filled(MODIFIERS, 0)) } else { condition }
    }

    fn term(&mut self, depth: usize) -> String {
        let Some(less) = depth.checked_sub(1) else {
            let patterns = if self.below(3) == 0 { SCALARS } else { REFERENCES };
            return self.one_of(patterns).to_owned();
        };
        match self.below(50) {
            0..=14 => self.one_of(REFERENCES).to_owned(),
            15..=19 => self.filled(KEYED, less),
            20..=29 => self.filled(CALLS, less),
            30..=35 => format!("({})", self.filled(OPERATIONS, less)),
            36..=39 => self.filled(COMPOSITES, less),
            40..=43 => self.filled(COMPREHENSIONS, less),
            _ => self.one_of(SCALARS).to_owned(),
        }
    }
}
