//! One walk over a rule, for the calls it makes and the lines it has.

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

use super::Call;

/// The deepest nesting of expressions. The engine follows them on the stack, at several kilobytes a level.
const MAX_DEPTH: usize = 100;

/// What has been seen.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) calls: Vec<Call>,
    pub(super) lines: BTreeSet<u32>,
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
            RuleHead::Func { assign, .. } => self.assignment(assign.as_ref()),
        }
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
        statement.with_mods.iter().for_each(|with| self.expression(&with.r#as));
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
            Expr::RefDot { refr, .. } => self.expression(refr),
            Expr::RefBrack { refr, index, .. } => self.all([refr, index]),
            Expr::Call { fcn, params, span, .. } => {
                let (name, _) = constant_path(fcn);
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
            | Expr::Null { .. }
            | Expr::Var { .. } => {}
        }
    }
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
                keys.push(constant(index));
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

fn constant(key: &Expr) -> Option<String> {
    match key {
        Expr::String { value: Value::String(text), .. } | Expr::RawString { value: Value::String(text), .. } => {
            Some(text.as_ref().to_owned())
        }
        _ => None,
    }
}
