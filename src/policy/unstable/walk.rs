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

/// What has been seen.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) calls: Vec<Call>,
    pub(super) lines: BTreeSet<u32>,
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
                key.iter().for_each(|key| self.expression(key));
            }
            RuleHead::Func { assign, .. } => self.assignment(assign.as_ref()),
        }
    }

    pub(super) fn body(&mut self, body: &RuleBody) {
        self.assignment(body.assign.as_ref());
        self.query(&body.query);
    }

    fn assignment(&mut self, assignment: Option<&RuleAssign>) {
        assignment.iter().for_each(|assignment| self.expression(&assignment.value));
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
        query.stmts.iter().for_each(|statement| self.statement(statement));
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

    /// References are followed in a loop: the parser does not bound how long they are.
    pub(super) fn expression(&mut self, expression: &Expr) {
        let mut next = Some(expression);
        while let Some(expression) = next {
            self.lines.insert(expression.span().line);
            next = self.step(expression);
        }
    }

    /// Looks at an expression and its parts, but for the reference it begins with, which it gives back.
    fn step<'e>(&mut self, expression: &'e Expr) -> Option<&'e Expr> {
        match expression {
            Expr::RefDot { refr, .. } => return Some(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.expression(index);
                return Some(refr);
            }
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
        None
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
