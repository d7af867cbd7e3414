//! What a policy may call: checked when it is loaded, since the engine itself finds an unknown function only when a
//! request reaches it.
//!
//! Three kinds of builtin functions are not the engine's own: those that would make a decision depend on more than
//! its input ([`ambient`]), those that are wrong, and those whose cost the caller chooses ([`guard`]).

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::problem::Problem;

use super::unstable;
use super::unstable::Call;
use super::unstable::Outline;
use super::unstable::RuleOutline;

mod ambient;
mod guard;
mod limits;

pub(super) use ambient::Ambient;
pub(super) use guard::install;

/// Functions of OPA that are refused, each with its reason.
const REFUSED: &[(&str, &str)] = &[
    ("http.send", "a decision waits for no other server: bring the facts in as data or headers"),
    ("net.lookup_ip_addr", "a decision waits for no name server: compare addresses or names as they are"),
    ("opa.runtime", "a policy does not see the process or its environment: use data"),
    ("regex.template_match", "the engine fails on texts shorter than the template: use `regex.match`"),
    ("graph.reachable_paths", "its cost grows exponentially with the graph: use `graph.reachable`"),
];

/// Functions that OPA has dropped, each with what stands in its place.
const DEPRECATED: &[(&str, &str)] = &[
    ("all", "use `every`"),
    ("any", "use `some … in`"),
    ("cast_array", "use `is_array`"),
    ("cast_boolean", "use `is_boolean`"),
    ("cast_null", "use `is_null`"),
    ("cast_object", "use `is_object`"),
    ("cast_set", "use `is_set`"),
    ("cast_string", "use `is_string`"),
    ("net.cidr_overlap", "use `net.cidr_contains`"),
    ("re_match", "use `regex.match`"),
    ("set_diff", "use `-`"),
];

/// Functions that OPA has and this engine does not; a name that ends in a dot is a family.
const UNSUPPORTED: &[&str] = &[
    "array.flatten",
    "crypto.",
    "graphql.",
    "io.jwt.",
    "json.match_schema",
    "json.verify_schema",
    "net.cidr_contains_matches",
    "net.cidr_intersects",
    "net.cidr_merge",
    "providers.aws.",
    "regex.globs_match",
    "rego.metadata.",
    "rego.parse_module",
    "strings.render_template",
];

/// The engine's own, which takes any number of arguments and is in no table.
const PRINT: &str = "print";

/// Whether the modules that are checked are all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modules {
    /// They are.
    All,
    /// Some could not be read: a function that is not found may be in one of them.
    Some,
}

/// Everything that is wrong with the calls in these modules.
pub(super) fn check(modules: &[Outline], complete: Modules) -> Vec<Problem> {
    let functions = Functions::of(modules, complete);
    let mut problems = Vec::new();
    for module in modules {
        for call in module.rules.iter().flat_map(|rule| &rule.calls) {
            let found = functions.check(module, call);
            problems.extend(found.map(|problem| problem.in_file(&module.file).at_line(line(call.line))));
        }
    }
    problems.extend(functions.recursive(modules));
    problems.extend(too_deep(modules));
    problems
}

/// Rules whose expressions the engine could not follow without the risk of running out of stack.
fn too_deep(modules: &[Outline]) -> impl Iterator<Item = Problem> {
    let rules = modules.iter().flat_map(|module| module.rules.iter().map(move |rule| (module, rule)));
    rules.filter(|(_, rule)| rule.too_deep).map(|(module, rule)| {
        let message = format!("`data.{}` nests its expressions too deep", rule.path.join("."));
        Problem::error("", message).in_file(&module.file).at_line(line(rule.lines.0))
    })
}

pub(super) fn line(line: u32) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX)
}

/// The functions that the modules define: how many parameters each has.
struct Functions<'m> {
    parameters: BTreeMap<&'m [String], usize>,
    complete: Modules,
}

impl<'m> Functions<'m> {
    fn of(modules: &'m [Outline], complete: Modules) -> Self {
        let rules = modules.iter().flat_map(|module| &module.rules);
        let functions = rules.filter_map(|rule| Some((rule.path.as_slice(), rule.parameters?)));
        Self { parameters: functions.collect(), complete }
    }

    /// The function of the modules that a call means, resolved in the engine's own order: an imported name, a path
    /// from `data`, a neighbour in the package.
    fn resolve(&self, module: &Outline, call: &Call) -> Option<&'m [String]> {
        let (first, rest) = call.name.split_first()?;
        let imported = module.imports.get(first).map(|target| [target.as_slice(), rest].concat());
        let imported = imported.as_deref().and_then(|path| path.split_first()).filter(|(root, _)| *root == "data");
        let known = |path: &[String]| self.parameters.get_key_value(path).map(|(path, _)| *path);
        imported
            .and_then(|(_, path)| known(path))
            .or_else(|| if first == "data" { known(rest) } else { known(&[&module.package, &*call.name].concat()) })
    }

    fn check(&self, module: &Outline, call: &Call) -> Option<Problem> {
        let name = call.name.join(".");
        let parameters = match self.resolve(module, call).and_then(|path| self.parameters.get(path)) {
            Some(&parameters) => parameters,
            None if name == PRINT => return None,
            None => match unstable::builtin_arity(&name) {
                Some(arity) if !REFUSED.iter().any(|(refused, _)| *refused == name) => arity,
                _ => return self.unknown(&name),
            },
        };
        let fits = call.arguments == parameters || call.arguments == parameters.saturating_add(1);
        let message = || format!("`{name}` takes {parameters} arguments, not {}", call.arguments);
        (!fits).then(|| Problem::error("", message()))
    }

    /// Why there is no function of that name.
    fn unknown(&self, name: &str) -> Option<Problem> {
        let nowhere = || Problem::error("", format!("there is no function `{name}`"));
        withheld(name).or_else(|| (self.complete == Modules::All).then(nowhere))
    }

    /// Functions that call themselves. The engine would follow them until the stack ends, and the process with it.
    fn recursive(&self, modules: &[Outline]) -> Vec<Problem> {
        let mut calls: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
        let mut places = Vec::new();
        for (module, rule) in functions(modules) {
            let called = rule.calls.iter().filter_map(|call| self.resolve(module, call));
            calls.entry(&rule.path).or_default().extend(called);
            places.push((module, rule));
        }
        let recursive = places.into_iter().filter(|(_, rule)| reaches_itself(&rule.path, &calls));
        recursive.map(|(module, rule)| recursion(module, rule)).collect()
    }
}

fn functions(modules: &[Outline]) -> impl Iterator<Item = (&Outline, &RuleOutline)> {
    let rules = modules.iter().flat_map(|module| module.rules.iter().map(move |rule| (module, rule)));
    rules.filter(|(_, rule)| rule.parameters.is_some())
}

fn reaches_itself<'p>(start: &'p [String], calls: &BTreeMap<&'p [String], BTreeSet<&'p [String]>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(next) = open.pop() {
        for &called in calls.get(next).into_iter().flatten() {
            if called == start {
                return true;
            }
            if seen.insert(called) {
                open.push(called);
            }
        }
    }
    false
}

fn recursion(module: &Outline, rule: &RuleOutline) -> Problem {
    Problem::error("", format!("the function `data.{}` calls itself, directly or through others", rule.path.join(".")))
        .hint("Rego has no recursion: use `walk`, `graph.reachable` or a comprehension")
        .in_file(&module.file)
        .at_line(line(rule.lines.0))
}

/// Why a function that OPA has, or had, is none here.
fn withheld(name: &str) -> Option<Problem> {
    let listed = |list: &[(&str, &'static str)]| list.iter().find(|(listed, _)| *listed == name).map(|(_, hint)| *hint);
    if let Some(hint) = listed(REFUSED) {
        return Some(Problem::error("", format!("`{name}` is refused")).hint(hint));
    }
    if let Some(hint) = listed(DEPRECATED) {
        return Some(Problem::error("", format!("`{name}` is deprecated and not supported")).hint(hint));
    }
    let is_it = |listed: &&str| name == *listed || (listed.ends_with('.') && name.starts_with(*listed));
    let unsupported = UNSUPPORTED.iter().any(is_it);
    unsupported.then(|| Problem::error("", format!("`{name}` is a function of OPA that is not supported")))
}

#[cfg(test)]
mod tests;
