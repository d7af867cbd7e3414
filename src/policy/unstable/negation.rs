//! Negation as OPA has it.
//!
//! OPA's compiler moves what is nested in a negated expression to before the negation: in `not "x" in input.roles` it
//! evaluates `input.roles` first, and where that is undefined, so is the body. The engine evaluates it inside, and
//! where it is undefined, the negation holds: a rule that denies under OPA would allow. So before every such negation
//! the engine is given a statement that is undefined where one of the parts is: `[input.roles]; not "x" in input.roles`.
//!
//! Moved is every reference and call nested in the negated expression, except
//! * the negated expression itself, and the operands of `==` and `=`, where these are references (of which the keys
//!   that are no constants are moved);
//! * what is in a comprehension: that has a body of its own.
//!
//! A membership nested in anything else is of the same kind: of something undefined, it is undefined in OPA and false
//! in the engine. It is written beside its operands: `[("x" in input.roles), input.roles][0]`.
//!
//! The engine gets the changed source, all else the original one; lines are the same in both. Whether the change is
//! the one that was meant is not left to the engine's spans: what it parses of it is compared with the tree it has to
//! have become.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;

use regorus::Engine;
use regorus::PolicyLengthConfig;
use regorus::unstable::AssignOp;
use regorus::unstable::BoolOp;
use regorus::unstable::Expr;
use regorus::unstable::Module;
use regorus::unstable::Ref;
use regorus::unstable::Rule;
use regorus::unstable::RuleHead;
use regorus::unstable::Span;

use super::Outline;
use super::print::MAX_BYTES;
use super::print::Printer;
use crate::policy::engine::fault;
use crate::problem::Problem;

mod edits;

use edits::Rewriter;

/// How long a changed module may be, and its lines: what is added has its own limit, and stands on one line.
pub(in crate::policy) fn lengths() -> PolicyLengthConfig {
    let max_file_bytes = NonZeroUsize::new(MAX_BYTES).unwrap_or(NonZeroUsize::MIN);
    PolicyLengthConfig { max_col: NonZeroU32::MAX, max_file_bytes, ..PolicyLengthConfig::default() }
}

/// Why a module cannot be given the meaning it has in OPA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    TooDeep,
    TooLong,
    /// A `_` that nothing but the negation would give values to, in this line.
    Wildcard(u32),
    /// The changed source does not parse to what was meant, in the rule that begins in this line.
    Misread(u32),
    /// The changed source does not parse.
    Unparsable(String),
}

impl Refusal {
    fn problem(&self, file: &str) -> Problem {
        let name_it = "give what is under `not` a name in a statement before it";
        let (line, message, hint) = match self {
            Self::TooDeep => (None, "expressions nest too deep".to_owned(), name_it),
            Self::TooLong => (None, "negations nest too deep in comprehensions".to_owned(), name_it),
            Self::Wildcard(line) => (
                Some(*line),
                "`_` under `not` is unsafe: it has no value that is not the negation's own".to_owned(),
                "for none of them, negate a rule or a membership; for one of them, take it before with `some`",
            ),
            Self::Misread(line) => (Some(*line), "this rule's `not` or `in` cannot be read safely".to_owned(), name_it),
            Self::Unparsable(text) => (None, format!("with what is under `not` moved before it: {text}"), name_it),
        };
        let problem = Problem::error("", message).hint(hint).in_file(file);
        match line {
            Some(line) => problem.at_line(usize::try_from(line).unwrap_or(usize::MAX)),
            None => problem,
        }
    }
}

/// The sources that mean to the engine what its modules mean to OPA, in their order; `None` where that is the same.
///
/// # Errors
/// The modules for which there is none.
pub(in crate::policy) fn rewritten(
    engine: &mut Engine,
    outlines: &[Outline],
    v0: bool,
) -> Result<Vec<Option<String>>, Vec<Problem>> {
    let modules = engine.get_modules();
    let mut problems = Vec::new();
    let mut texts = Vec::new();
    for (module, outline) in modules.iter().zip(outlines) {
        match rewrite(module, globals(outline, outlines), v0) {
            Ok(text) => texts.push(text),
            Err(refusal) => problems.push(refusal.problem(&outline.file)),
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
}

/// The names that a module can use and that may be undefined: the rules of its package, and imports.
fn globals(module: &Outline, all: &[Outline]) -> BTreeSet<String> {
    let package = all.iter().filter(|other| other.package == module.package);
    let rules = package.flat_map(|other| other.rules.iter().filter_map(|rule| rule.path.get(other.package.len())));
    rules.chain(module.imports.keys()).cloned().chain(["data", "input"].map(str::to_owned)).collect()
}

fn rewrite(module: &Module, globals: BTreeSet<String>, v0: bool) -> Result<Option<String>, Refusal> {
    let source = module.package.span.source.contents();
    let mut rewriter = Rewriter::new(source, Names::new(globals, source));
    rewriter.look(&module.policy)?;
    let Some((text, names)) = rewriter.finish()? else { return Ok(None) };
    let meant = rules(&module.policy, Some(&names))?;
    let mut engine = Engine::new();
    engine.set_rego_v0(v0);
    engine.set_policy_length_config(lengths());
    let file = module.package.span.source.file().clone();
    engine.add_policy(file, text.clone()).map_err(|error| Refusal::Unparsable(fault::flattened(&error)))?;
    let read = engine.get_modules().first().map_or_else(|| Ok(Vec::new()), |module| rules(&module.policy, None))?;
    let mut lines = meant.iter().enumerate().filter(|(at, rule)| read.get(*at) != Some(rule));
    match lines.next() {
        Some((_, (line, _))) => Err(Refusal::Misread(*line)),
        None if meant.len() == read.len() => Ok(Some(text)),
        None => Err(Refusal::Misread(0)),
    }
}

/// Line and text of each rule: as OPA evaluates it, or as it is.
fn rules(rules: &[Ref<Rule>], names: Option<&Names>) -> Result<Vec<(u32, String)>, Refusal> {
    let texts = rules.iter().map(|rule| {
        let mut printer = Printer::new(names);
        if let Rule::Spec { head, bodies, .. } = rule.as_ref() {
            printer.list(of_head(head));
            for body in bodies {
                printer.put(if body.is_else { " else " } else { " if " });
                printer.list(body.assign.iter().map(|assign| assign.value.as_ref()));
                printer.put(" { ");
                printer.query(&body.query);
                printer.put(" }");
            }
        }
        Ok((rule.span().line, printer.finish()?))
    });
    texts.collect()
}

/// The expressions in a rule's head, without a function's parameters.
fn of_head(head: &RuleHead) -> impl Iterator<Item = &Expr> {
    let (name, key, assign) = match head {
        RuleHead::Compr { refr, assign, .. } | RuleHead::Func { refr, assign, .. } => (refr, None, assign.as_ref()),
        RuleHead::Set { refr, key, .. } => (refr, key.as_ref(), None),
    };
    let parts = [Some(name), key, assign.map(|assign| &assign.value)];
    parts.into_iter().flatten().map(AsRef::as_ref)
}

/// What is known of a module's names.
pub(super) struct Names {
    globals: BTreeSet<String>,
    /// By where it stands, the name that a `_` gets, so that it is the same before the negation and in it.
    wildcards: BTreeMap<u32, String>,
    prefix: String,
}

impl Names {
    fn new(globals: BTreeSet<String>, source: &str) -> Self {
        let mut prefix = "_any".to_owned();
        while source.contains(&prefix) {
            prefix.push('_');
        }
        Self { globals, wildcards: BTreeMap::new(), prefix }
    }

    fn name_wildcard(&mut self, span: &Span) {
        let name = format!("{}{}", self.prefix, self.wildcards.len());
        self.wildcards.entry(span.start).or_insert(name);
    }

    pub(super) fn renamed(&self, span: &Span) -> Option<&str> {
        if span.text() == "_" { self.wildcards.get(&span.start).map(String::as_str) } else { None }
    }

    /// Those of the expressions that may be undefined.
    pub(super) fn needed<'e>(&self, expressions: impl IntoIterator<Item = &'e Ref<Expr>>) -> Vec<&'e Expr> {
        expressions.into_iter().map(AsRef::as_ref).filter(|expression| self.may_be_undefined(expression)).collect()
    }

    fn may_be_undefined(&self, expression: &Expr) -> bool {
        let any = |items: &[Ref<Expr>]| items.iter().any(|item| self.may_be_undefined(item));
        match expression {
            Expr::Var { span, .. } => self.globals.contains(span.text()),
            Expr::Array { items, .. } | Expr::Set { items, .. } => any(items),
            Expr::Object { fields, .. } => {
                fields.iter().any(|(_, key, value)| self.may_be_undefined(key) || self.may_be_undefined(value))
            }
            Expr::UnaryExpr { expr, .. } => self.may_be_undefined(expr),
            _ => !is_constant(expression) && !is_comprehension(expression),
        }
    }
}

const fn is_constant(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. }
    )
}

const fn is_comprehension(expression: &Expr) -> bool {
    matches!(expression, Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. })
}

/// Prints its arguments whatever they are, undefined ones too.
const PRINT: &str = "print";

/// What OPA evaluates before the negation of an expression, of which anything may be undefined.
pub(super) fn hoisted<'e>(negated: &'e Expr, names: &Names) -> Vec<&'e Expr> {
    match negated {
        Expr::Call { fcn, .. } if fcn.span().text() == PRINT => Vec::new(),
        Expr::Call { params, .. } => names.needed(params),
        Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } | Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
            [lhs, rhs].into_iter().flat_map(|operand| of_operand(operand, names)).collect()
        }
        Expr::BoolExpr { lhs, rhs, .. }
        | Expr::BinExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => names.needed([lhs, rhs]),
        Expr::Membership { key, value, collection, .. } => names.needed(key.iter().chain([value, collection])),
        _ => of_operand(negated, names),
    }
}

/// Of a reference, its keys; of anything else, all of it.
fn of_operand<'e>(operand: &'e Expr, names: &Names) -> Vec<&'e Expr> {
    let mut found = Vec::new();
    let mut next = operand;
    loop {
        next = match next {
            Expr::RefBrack { refr, index, .. } => {
                found.extend(names.needed([index]));
                refr
            }
            Expr::RefDot { refr, .. } => refr,
            Expr::Var { .. } => break,
            base => {
                found.extend(names.may_be_undefined(base).then_some(base));
                break;
            }
        };
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests;
