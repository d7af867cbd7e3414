//! A syntax tree as text again, on one line: as it is, or with what OPA evaluates outside of a negation before it.
//!
//! The text is made from the tree and not cut out of the source: the engine's spans leave out quotes and parentheses,
//! those of objects are wrong, and what lies over several lines, with comments, has to fit on one.

use regorus::unstable::ArithOp;
use regorus::unstable::AssignOp;
use regorus::unstable::BinOp;
use regorus::unstable::BoolOp;
use regorus::unstable::Expr;
use regorus::unstable::Literal;
use regorus::unstable::LiteralStmt;
use regorus::unstable::Query;
use regorus::unstable::Ref;
use regorus::unstable::Span;
use regorus::unstable::WithModifier;

use super::negation::Names;
use super::negation::Refusal;
use super::negation::hoisted;
use super::walk::MAX_DEPTH;

/// The longest text: twice what the engine takes of a file. Negations in comprehensions in negations double at each
/// level.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Writes expressions.
pub(super) struct Printer<'n> {
    text: String,
    /// What is known of names, where the text is to mean what OPA means by it.
    names: Option<&'n Names>,
    depth: usize,
    refusal: Option<Refusal>,
}

impl<'n> Printer<'n> {
    /// Of the tree as it is, or as OPA evaluates it.
    pub(super) const fn new(names: Option<&'n Names>) -> Self {
        Self { text: String::new(), names, depth: 0, refusal: None }
    }

    /// The text.
    ///
    /// # Errors
    /// What is too deep, or too long.
    pub(super) fn finish(self) -> Result<String, Refusal> {
        self.refusal.map_or(Ok(self.text), Err)
    }

    pub(super) fn put(&mut self, text: &str) {
        if self.text.len().saturating_add(text.len()) > MAX_BYTES {
            self.refusal.get_or_insert(Refusal::TooLong);
        } else {
            self.text.push_str(text);
        }
    }

    /// One level down, where there is one.
    fn deeper(&mut self, print: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.refusal.get_or_insert(Refusal::TooDeep);
        }
        if self.refusal.is_none() {
            self.depth = self.depth.saturating_add(1);
            print(self);
            self.depth = self.depth.saturating_sub(1);
        }
    }

    pub(super) fn list<'e>(&mut self, items: impl IntoIterator<Item = &'e Expr>) {
        for (at, item) in items.into_iter().enumerate() {
            self.put(if at == 0 { "" } else { ", " });
            self.expression(item);
        }
    }

    pub(super) fn query(&mut self, query: &Query) {
        for (at, statement) in query.stmts.iter().enumerate() {
            self.put(if at == 0 { "" } else { "; " });
            self.deeper(|printer| printer.statement(statement));
        }
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                let names: Vec<_> = vars.iter().map(Span::text).collect();
                self.put("some ");
                self.put(&names.join(", "));
            }
            Literal::SomeIn { key, value, collection, .. } => {
                self.put("some ");
                self.list(key.iter().chain([value]).map(AsRef::as_ref));
                self.put(" in ");
                self.expression(collection);
            }
            Literal::Expr { expr, .. } => self.top(expr, false),
            Literal::NotExpr { expr, .. } => {
                let items = self.names.map(|names| hoisted(expr, names)).unwrap_or_default();
                self.outside(&items, &statement.with_mods);
                self.put("not ");
                self.top(expr, true);
            }
            Literal::Every { key, value, domain, query, .. } => {
                let names: Vec<_> = key.iter().chain([value]).map(Span::text).collect();
                self.put("every ");
                self.put(&names.join(", "));
                self.put(" in ");
                self.expression(domain);
                self.put(" { ");
                self.query(query);
                self.put(" }");
            }
        }
        self.with(&statement.with_mods);
    }

    /// What OPA evaluates before a negation: a statement that holds if all of it is defined.
    pub(super) fn outside(&mut self, items: &[&Expr], with: &[WithModifier]) {
        if !items.is_empty() {
            self.put("[");
            self.list(items.iter().copied());
            self.put("]");
            self.with(with);
            self.put("; ");
        }
    }

    fn with(&mut self, modifiers: &[WithModifier]) {
        for with in modifiers {
            self.put(" with ");
            self.expression(&with.refr);
            self.put(" as ");
            self.expression(&with.r#as);
        }
    }

    /// A statement's own expression: it may assign, and a membership without a key is left alone, since of something
    /// undefined it holds as little as a false one. One with a key would hold, of an undefined value at no such key.
    fn top(&mut self, expression: &Expr, is_negated: bool) {
        match expression {
            Expr::AssignExpr { op, lhs, rhs, .. } => {
                self.expression(lhs);
                self.put(if *op == AssignOp::Eq { " = " } else { " := " });
                self.expression(rhs);
            }
            Expr::Membership { key, value, collection, .. } if is_negated || key.is_none() => {
                self.deeper(|printer| printer.membership(key.as_ref(), value, collection));
            }
            _ => self.expression(expression),
        }
    }

    /// An expression that can stand anywhere.
    pub(super) fn expression(&mut self, expression: &Expr) {
        self.deeper(|printer| printer.parts(expression));
    }

    fn parts(&mut self, expression: &Expr) {
        match expression {
            Expr::String { value, .. } | Expr::RawString { value, .. } => {
                let text = value.as_string().map(|text| serde_json::Value::from(text.as_ref()).to_string());
                self.put(&text.unwrap_or_default());
            }
            Expr::Number { span, .. } | Expr::Bool { span, .. } | Expr::Null { span, .. } => self.put(span.text()),
            Expr::Var { span, .. } => {
                let renamed = self.names.and_then(|names| names.renamed(span));
                self.put(renamed.unwrap_or_else(|| span.text()));
            }
            Expr::Array { items, .. } => self.enclosed("[", items.iter().map(AsRef::as_ref), "]"),
            Expr::Set { items, .. } if items.is_empty() => self.put("set()"),
            Expr::Set { items, .. } => self.enclosed("{", items.iter().map(AsRef::as_ref), "}"),
            Expr::Object { fields, .. } => self.object(fields.iter().map(|(_, key, value)| (key, value))),
            Expr::ArrayCompr { term, query, .. } => self.comprehension("[", None, term, query, "]"),
            Expr::SetCompr { term, query, .. } => self.comprehension("{", None, term, query, "}"),
            Expr::ObjectCompr { key, value, query, .. } => self.comprehension("{", Some(key), value, query, "}"),
            Expr::Call { fcn, params, .. } => {
                self.expression(fcn);
                self.enclosed("(", params.iter().map(AsRef::as_ref), ")");
            }
            Expr::RefDot { refr, field, .. } => {
                self.expression(refr);
                self.put(".");
                self.put(field.0.text());
            }
            Expr::RefBrack { refr, index, .. } => {
                self.expression(refr);
                self.enclosed("[", [index.as_ref()], "]");
            }
            Expr::Membership { key, value, collection, .. } => self.nested_membership(key.as_ref(), value, collection),
            Expr::UnaryExpr { .. }
            | Expr::BinExpr { .. }
            | Expr::BoolExpr { .. }
            | Expr::ArithExpr { .. }
            | Expr::AssignExpr { .. } => {
                self.put("(");
                self.operation(expression);
                self.put(")");
            }
        }
    }

    fn enclosed<'e>(&mut self, begin: &str, items: impl IntoIterator<Item = &'e Expr>, end: &str) {
        self.put(begin);
        self.list(items);
        self.put(end);
    }

    fn object<'e>(&mut self, fields: impl Iterator<Item = (&'e Ref<Expr>, &'e Ref<Expr>)>) {
        self.put("{");
        for (at, (key, value)) in fields.enumerate() {
            self.put(if at == 0 { "" } else { ", " });
            self.expression(key);
            self.put(": ");
            self.expression(value);
        }
        self.put("}");
    }

    fn comprehension(&mut self, begin: &str, key: Option<&Ref<Expr>>, term: &Expr, query: &Query, end: &str) {
        self.put(begin);
        if let Some(key) = key {
            self.expression(key);
            self.put(": ");
        }
        self.expression(term);
        self.put(" | ");
        self.query(query);
        self.put(end);
    }

    fn operation(&mut self, expression: &Expr) {
        match expression {
            Expr::UnaryExpr { expr, .. } => {
                self.put("- ");
                self.expression(expr);
            }
            Expr::BinExpr { op, lhs, rhs, .. } => self.infix(lhs, binary(op), rhs),
            Expr::BoolExpr { op, lhs, rhs, .. } => self.infix(lhs, comparison(op), rhs),
            Expr::ArithExpr { op, lhs, rhs, .. } => self.infix(lhs, arithmetic(op), rhs),
            Expr::AssignExpr { lhs, rhs, .. } => self.infix(lhs, "=", rhs),
            _ => self.expression(expression),
        }
    }

    /// The left operand needs no parentheses where it has the same operator: the engine's parser takes few.
    fn infix(&mut self, lhs: &Expr, operator: &str, rhs: &Expr) {
        if operator_of(lhs) == Some(operator) {
            self.deeper(|printer| printer.operation(lhs));
        } else {
            self.expression(lhs);
        }
        self.put(" ");
        self.put(operator);
        self.put(" ");
        self.expression(rhs);
    }

    /// OPA's membership of something undefined is undefined, the engine's is false: beside its operands it is neither.
    fn nested_membership(&mut self, key: Option<&Ref<Expr>>, value: &Ref<Expr>, collection: &Ref<Expr>) {
        let guards: Vec<_> =
            self.names.map(|names| names.needed(key.into_iter().chain([value, collection]))).unwrap_or_default();
        if guards.is_empty() {
            self.membership(key, value, collection);
        } else {
            self.put("[");
            self.membership(key, value, collection);
            self.put(", ");
            self.list(guards);
            self.put("][0]");
        }
    }

    fn membership(&mut self, key: Option<&Ref<Expr>>, value: &Ref<Expr>, collection: &Ref<Expr>) {
        self.put("(");
        self.list(key.into_iter().chain([value]).map(AsRef::as_ref));
        self.put(" in ");
        self.expression(collection);
        self.put(")");
    }
}

fn operator_of(expression: &Expr) -> Option<&'static str> {
    match expression {
        Expr::BinExpr { op, .. } => Some(binary(op)),
        Expr::BoolExpr { op, .. } => Some(comparison(op)),
        Expr::ArithExpr { op, .. } => Some(arithmetic(op)),
        _ => None,
    }
}

const fn binary(operator: &BinOp) -> &'static str {
    match operator {
        BinOp::Intersection => "&",
        BinOp::Union => "|",
    }
}

const fn comparison(operator: &BoolOp) -> &'static str {
    match operator {
        BoolOp::Lt => "<",
        BoolOp::Le => "<=",
        BoolOp::Eq => "==",
        BoolOp::Ge => ">=",
        BoolOp::Gt => ">",
        BoolOp::Ne => "!=",
    }
}

const fn arithmetic(operator: &ArithOp) -> &'static str {
    match operator {
        ArithOp::Add => "+",
        ArithOp::Sub => "-",
        ArithOp::Mul => "*",
        ArithOp::Div => "/",
        ArithOp::Mod => "%",
    }
}
