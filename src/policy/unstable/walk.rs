//! One walk over a rule, for the calls it makes, the lines it has, and what it reads of the input document.

use std::collections::BTreeSet;

use regorus::Value;
use regorus::unstable::Expr;
use regorus::unstable::Literal;
use regorus::unstable::LiteralStmt;
use regorus::unstable::Query;
use regorus::unstable::Ref;
use regorus::unstable::RuleAssign;
use regorus::unstable::RuleBody;
use regorus::unstable::RuleHead;
use regorus::unstable::WithModifier;

use super::Call;
use super::Projection;

/// The deepest nesting of expressions. The engine follows them on the stack, at several kilobytes a level.
pub(super) const MAX_DEPTH: usize = 100;

/// The name of the input document, which no other can take.
const INPUT: &str = "input";

/// What has been seen.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) calls: Vec<Call>,
    pub(super) lines: BTreeSet<u32>,
    /// What can be seen of the input document: where that is not plain, all of it.
    pub(super) reads: Projection,
    /// Whether expressions nest deeper than [`MAX_DEPTH`]; what is below has not been seen.
    pub(super) too_deep: bool,
    depth: usize,
}

impl Walk {
    pub(super) fn head(&mut self, head: &RuleHead) {
        match head {
            RuleHead::Compr { refr, assign, .. } => {
                self.keys(refr);
                self.assignment(assign.as_ref());
            }
            RuleHead::Set { refr, key, .. } => {
                self.keys(refr);
                self.all(key);
            }
            RuleHead::Func { refr, args, assign, .. } => {
                self.aside(|walk| {
                    walk.keys(refr);
                    walk.all(args);
                });
                self.assignment(assign.as_ref());
            }
        }
    }

    pub(super) fn default_rule(&mut self, parameters: &[Ref<Expr>], value: &Expr) {
        self.aside(|walk| walk.all(parameters));
        self.expression(value);
    }

    pub(super) fn body(&mut self, body: &RuleBody) {
        self.assignment(body.assign.as_ref());
        self.query(&body.query);
    }

    fn assignment(&mut self, assignment: Option<&RuleAssign>) {
        self.all(assignment.map(|assignment| &assignment.value));
    }

    /// The keys of a rule's name: the name itself is no expression.
    fn keys(&mut self, reference: &Expr) {
        let mut next = reference;
        loop {
            next = match next {
                Expr::RefBrack { refr, index, .. } => {
                    self.expression(index);
                    refr
                }
                Expr::RefDot { refr, .. } => refr,
                _ => return,
            };
        }
    }

    fn query(&mut self, query: &Query) {
        self.deeper(|walk| query.stmts.iter().for_each(|statement| walk.statement(statement)));
    }

    /// One level down, where there is one.
    fn deeper(&mut self, look: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.too_deep = true;
            self.reads = Projection::Whole;
            return;
        }
        self.depth = self.depth.saturating_add(1);
        look(self);
        self.depth = self.depth.saturating_sub(1);
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                self.all(key.iter().chain([value, collection]));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expression(expr),
            Literal::Every { domain, query, .. } => {
                self.expression(domain);
                self.query(query);
            }
        }
        statement.with_mods.iter().for_each(|with| self.with(with));
    }

    fn with(&mut self, with: &WithModifier) {
        self.expression(&with.r#as);
        if constant_path(&with.refr).0.first().is_some_and(|root| root == INPUT) {
            self.reads = Projection::Whole;
        } else {
            self.aside(|walk| walk.expression(&with.refr));
        }
    }

    /// Looks only for what is read: names, parameters and targets are not evaluated, so no test has to cover them.
    fn aside(&mut self, look: impl FnOnce(&mut Self)) {
        let mut walk = Self { depth: self.depth, ..Self::default() };
        look(&mut walk);
        self.reads.join(&walk.reads);
    }

    fn all<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Ref<Expr>>) {
        expressions.into_iter().for_each(|expression| self.expression(expression));
    }

    pub(super) fn expression(&mut self, expression: &Expr) {
        self.lines.insert(expression.span().line);
        self.deeper(|walk| walk.parts(expression));
    }

    fn parts(&mut self, expression: &Expr) {
        match expression {
            Expr::RefDot { refr, field, .. } => self.entry(refr, Some(field.0.text())),
            Expr::RefBrack { refr, index, .. } => {
                self.entry(refr, constant(index));
                self.expression(index);
            }
            Expr::Call { fcn, params, span, .. } => {
                let (name, _) = constant_path(fcn);
                self.aside(|walk| walk.expression(fcn));
                self.calls.push(Call { name, arguments: params.len(), line: span.line });
                self.all(params);
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.all(items),
            Expr::Object { fields, .. } => self.all(fields.iter().flat_map(|(_, key, value)| [key, value])),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expression(term);
                self.query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.all([key, value]);
                self.query(query);
            }
            Expr::UnaryExpr { expr, .. } => self.expression(expr),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => self.all([lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => self.all(key.iter().chain([value, collection])),
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::Var { .. } => {
                if is_input(expression) {
                    self.reads = Projection::Whole;
                }
            }
        }
    }

    /// What a reference goes through: of the input document, only the entry of the next key.
    fn entry(&mut self, of: &Expr, key: Option<&str>) {
        match key {
            Some(key) if is_input(of) => {
                self.lines.insert(of.span().line);
                self.reads.add(key);
            }
            _ => self.expression(of),
        }
    }
}

fn is_input(expression: &Expr) -> bool {
    matches!(expression, Expr::Var { span, .. } if span.text() == INPUT)
}

/// What a reference by itself reads of the input document.
pub(super) fn reads(reference: &Expr) -> Projection {
    let mut walk = Walk::default();
    walk.expression(reference);
    walk.reads
}

/// A reference as a path, up to its first key that is no constant string; and whether no key but the last is one.
pub(super) fn constant_path(reference: &Expr) -> (Vec<String>, bool) {
    let mut keys = Vec::new();
    let mut next = reference;
    loop {
        next = match next {
            Expr::RefDot { refr, field, .. } => {
                keys.push(Some(field.0.text().to_owned()));
                refr
            }
            Expr::RefBrack { refr, index, .. } => {
                keys.push(constant(index).map(str::to_owned));
                refr
            }
            Expr::Var { span, .. } => {
                keys.push(Some(span.text().to_owned()));
                break;
            }
            _ => break,
        };
    }
    let variable = keys.iter().skip(1).any(Option::is_none);
    (keys.into_iter().rev().map_while(|key| key).collect(), !variable)
}

fn constant(key: &Expr) -> Option<&str> {
    match key {
        Expr::String { value: Value::String(text), .. } | Expr::RawString { value: Value::String(text), .. } => {
            Some(text)
        }
        _ => None,
    }
}
