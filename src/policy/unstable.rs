//! Everything of regorus that its authors call unstable, in one place: the syntax tree, the table of builtin
//! functions, and the evaluation of a single rule. A new version of regorus changes this module or nothing.
//!
//! What leaves here is plain: [`Outline`], what a module defines, calls and reads.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Result;
use regorus::Engine;
use regorus::Value;
use regorus::unstable::BUILTINS;
use regorus::unstable::BuiltinFcn;
use regorus::unstable::Expr;
use regorus::unstable::Import;
use regorus::unstable::Module;
use regorus::unstable::Ref;
use regorus::unstable::Rule;
use regorus::unstable::RuleHead;
use regorus::unstable::Source;
use regorus::unstable::Span;

use super::projection::Projection;

pub(super) mod negation;
mod print;
mod walk;

use walk::Walk;
use walk::constant_path;

/// What one module defines, calls and reads.
#[derive(Debug)]
pub(super) struct Outline {
    /// The module's file, as it was named when it was added.
    pub(super) file: String,
    /// The package's path, without `data`.
    pub(super) package: Vec<String>,
    /// What an imported name stands for, `data` or `input` first.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// The rules, in order.
    pub(super) rules: Vec<RuleOutline>,
    /// The lines that hold an expression: what coverage counts.
    pub(super) lines: BTreeSet<u32>,
    /// What it can see of the input document; rather too much than too little.
    pub(super) reads: Projection,
}

/// One definition of a rule.
#[derive(Debug)]
pub(super) struct RuleOutline {
    /// The rule's path below `data`, package included, up to the first key that is no constant.
    pub(super) path: Vec<String>,
    /// Whether the engine can be asked for `path` by itself: no key but the last is variable.
    pub(super) addressable: bool,
    /// The number of parameters, where it is a function.
    pub(super) parameters: Option<usize>,
    /// Whether it is a `default`, and whether that is `true`.
    pub(super) default: Option<bool>,
    /// First and last line.
    pub(super) lines: (u32, u32),
    /// The functions it calls.
    pub(super) calls: Vec<Call>,
    /// Whether its expressions nest deeper than the engine should follow.
    pub(super) too_deep: bool,
}

/// One call of a function.
#[derive(Debug)]
pub(super) struct Call {
    /// The function's name as written, split at its dots.
    pub(super) name: Vec<String>,
    /// How many arguments are given; a function may take one more than it has parameters, for its result.
    pub(super) arguments: usize,
    /// Where it stands.
    pub(super) line: u32,
}

/// The outlines of an engine's modules, in the order they were added.
pub(super) fn outlines(engine: &mut Engine) -> Vec<Outline> {
    engine.get_modules().iter().map(|module| outline(module)).collect()
}

fn outline(module: &Module) -> Outline {
    let (package, _) = constant_path(&module.package.refr);
    let (mut lines, mut reads) = (BTreeSet::new(), Projection::default());
    let rules = module.policy.iter().map(|rule| rule_outline(rule, &package, &mut lines, &mut reads)).collect();
    // `import input` by itself is no use: the engine ignores it.
    let names_a_part = |import: &&Import| import.r#as.is_some() || !matches!(*import.refr, Expr::Var { .. });
    module.imports.iter().filter(names_a_part).for_each(|import| reads.join(&walk::reads(&import.refr)));
    let imports = module.imports.iter().filter_map(|import| {
        let (target, _) = constant_path(&import.refr);
        let alias = import.r#as.as_ref().map_or_else(|| target.last().cloned(), |alias| Some(alias.text().to_owned()));
        Some((alias?, target))
    });
    Outline {
        file: module.package.span.source.file().clone(),
        package,
        imports: imports.collect(),
        rules,
        lines,
        reads,
    }
}

fn rule_outline(rule: &Rule, package: &[String], lines: &mut BTreeSet<u32>, reads: &mut Projection) -> RuleOutline {
    let mut walk = Walk::default();
    let (reference, parameters, default) = match rule {
        Rule::Spec { head, bodies, .. } => {
            walk.head(head);
            for body in bodies {
                walk.body(body);
            }
            let parameters = match head {
                RuleHead::Func { args, .. } => Some(args.len()),
                RuleHead::Compr { .. } | RuleHead::Set { .. } => None,
            };
            (head_reference(head), parameters, None)
        }
        Rule::Default { refr, args, value, .. } => {
            walk.default_rule(args, value);
            let is_true = matches!(**value, Expr::Bool { value: Value::Bool(true), .. });
            (refr, (!args.is_empty()).then_some(args.len()), Some(is_true))
        }
    };
    let (own, addressable) = constant_path(reference);
    lines.append(&mut walk.lines);
    reads.join(&walk.reads);
    RuleOutline {
        path: [package, own.as_slice()].concat(),
        addressable,
        parameters,
        default,
        lines: line_range(rule.span()),
        calls: walk.calls,
        too_deep: walk.too_deep,
    }
}

const fn head_reference(head: &RuleHead) -> &Ref<Expr> {
    match head {
        RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
    }
}

fn line_range(span: &Span) -> (u32, u32) {
    let breaks = span.text().trim_end().bytes().filter(|&byte| byte == b'\n').count();
    (span.line, span.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX)))
}

/// Evaluates one definition of a rule, whatever its other definitions say, and gives the data document after it.
///
/// # Errors
/// What the engine says.
pub(super) fn evaluate_alone(engine: &mut Engine, module: usize, rule: usize) -> Result<Value> {
    let found =
        engine.get_modules().get(module).and_then(|module| Some((module.clone(), module.policy.get(rule)?.clone())));
    match found {
        Some((module, rule)) => engine.eval_rule_in_module(&module, &rule, false),
        None => Ok(Value::Undefined),
    }
}

/// A builtin function of the engine, to be called from one that stands before it.
#[derive(Clone)]
pub(super) struct Builtin {
    function: BuiltinFcn,
    place: Span,
    parameters: Vec<Ref<Expr>>,
}

impl Builtin {
    /// The engine's function of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let function = *BUILTINS.get(name)?;
        // The function wants to know where it is called. The caller reports that itself, so this is only a name.
        let source = Source::from_contents(name.to_owned(), String::new()).ok()?;
        let place = Span { source, line: 1, col: 1, start: 0, end: 0 };
        let parameter = |_| Ref::new(Expr::Null { span: place.clone(), value: Value::Null, eidx: 0 });
        let parameters = (0..function.1).map(parameter).collect();
        Some(Self { function, place, parameters })
    }

    /// How many arguments it takes.
    pub(super) const fn arity(&self) -> u8 {
        self.function.1
    }

    /// Calls it.
    ///
    /// # Errors
    /// What the function says.
    pub(super) fn call(&self, arguments: &[Value], strict: bool) -> Result<Value> {
        (self.function.0)(&self.place, &self.parameters, arguments, strict)
    }
}

/// How many arguments a builtin function of the engine takes, where there is one of that name.
pub(super) fn builtin_arity(name: &str) -> Option<usize> {
    BUILTINS.get(name).map(|(_, arity)| usize::from(*arity))
}

#[cfg(test)]
mod tests;
