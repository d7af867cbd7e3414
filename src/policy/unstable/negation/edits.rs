//! Where the source of a module changes.

use regorus::unstable::Expr;
use regorus::unstable::Literal;
use regorus::unstable::LiteralStmt;
use regorus::unstable::Query;
use regorus::unstable::Ref;
use regorus::unstable::Rule;
use regorus::unstable::RuleBody;

use super::Names;
use super::Refusal;
use super::hoisted;
use super::is_comprehension;
use super::of_head;
use crate::policy::unstable::print::MAX_BYTES;
use crate::policy::unstable::print::Printer;
use crate::policy::unstable::walk::MAX_DEPTH;

/// A text in place of another, which is mostly empty.
struct Edit {
    begin: usize,
    end: usize,
    text: String,
}

/// Two walks over the rules of a module: names have to be known before anything is written with them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Wildcards,
    Edits,
}

pub(super) struct Rewriter<'m> {
    source: &'m str,
    names: Names,
    edits: Vec<Edit>,
    added: usize,
    pass: Pass,
    depth: usize,
    refusal: Option<Refusal>,
}

impl<'m> Rewriter<'m> {
    pub(super) const fn new(source: &'m str, names: Names) -> Self {
        Self { source, names, edits: Vec::new(), added: 0, pass: Pass::Wildcards, depth: 0, refusal: None }
    }

    /// Finds the changes.
    ///
    /// # Errors
    /// What cannot be given its meaning.
    pub(super) fn look(&mut self, rules: &[Ref<Rule>]) -> Result<(), Refusal> {
        for pass in [Pass::Wildcards, Pass::Edits] {
            self.pass = pass;
            for rule in rules {
                self.rule(rule);
            }
        }
        self.refusal.take().map_or(Ok(()), Err)
    }

    /// The changed source, if it is changed, and the names in it.
    ///
    /// # Errors
    /// Spans that do not lie in the source.
    pub(super) fn finish(mut self) -> Result<Option<(String, Names)>, Refusal> {
        if self.edits.is_empty() {
            return Ok(None);
        }
        // A stable order: what begins at the same place was found from the outside to the inside.
        self.edits.sort_by_key(|edit| edit.begin);
        let (mut text, mut at) = (String::new(), 0);
        for edit in &self.edits {
            text.push_str(self.source.get(at..edit.begin).ok_or(Refusal::Misread(0))?);
            text.push_str(&edit.text);
            at = edit.end;
        }
        text.push_str(self.source.get(at..).ok_or(Refusal::Misread(0))?);
        Ok(Some((text, self.names)))
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    fn edit(&mut self, begin: usize, end: usize, text: String) {
        self.added = self.added.saturating_add(text.len());
        if self.added.saturating_add(self.source.len()) > MAX_BYTES {
            self.refuse(Refusal::TooLong);
        }
        self.edits.push(Edit { begin, end, text });
    }

    fn printed(&mut self, print: impl FnOnce(&mut Printer<'_>)) -> String {
        let mut printer = Printer::new(Some(&self.names));
        print(&mut printer);
        printer.finish().unwrap_or_else(|refusal| {
            self.refuse(refusal);
            String::new()
        })
    }

    fn rule(&mut self, rule: &Rule) {
        if let Rule::Spec { head, bodies, .. } = rule {
            of_head(head).for_each(|part| self.expression(part));
            for body in bodies {
                self.body(body);
            }
        }
    }

    fn body(&mut self, body: &RuleBody) {
        if let Some(assign) = &body.assign {
            self.expression(&assign.value);
        }
        match body.query.stmts.as_slice() {
            // A statement that is a body by itself, without braces.
            [only] if only.span.start == body.query.span.start => self.statement(only, true),
            _ => self.query(&body.query),
        }
    }

    fn query(&mut self, query: &Query) {
        query.stmts.iter().for_each(|statement| self.statement(statement, false));
    }

    /// One level down, where there is one.
    fn deeper(&mut self, look: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.refuse(Refusal::TooDeep);
        }
        if self.refusal.is_none() {
            self.depth = self.depth.saturating_add(1);
            look(self);
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn statement(&mut self, statement: &LiteralStmt, is_bare: bool) {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.expression(part));
            }
            Literal::Expr { expr, .. } => self.top(expr, false),
            Literal::NotExpr { expr, .. } => {
                match self.pass {
                    Pass::Wildcards => self.wildcards(expr, false),
                    Pass::Edits => self.negation(statement, expr, is_bare),
                }
                self.top(expr, true);
            }
            Literal::Every { domain, query, .. } => {
                self.expression(domain);
                self.deeper(|rewriter| rewriter.query(query));
            }
        }
        statement.with_mods.iter().for_each(|with| self.expression(&with.r#as));
        if is_bare && self.pass == Pass::Edits {
            self.close(statement);
        }
    }

    /// A statement's own expression.
    fn top(&mut self, expression: &Expr, is_negated: bool) {
        match expression {
            Expr::Membership { key, .. } if is_negated || key.is_none() => {
                self.deeper(|rewriter| rewriter.parts(expression));
            }
            _ => self.expression(expression),
        }
    }

    fn negation(&mut self, statement: &LiteralStmt, negated: &Expr, is_bare: bool) {
        let items = hoisted(negated, &self.names);
        if items.is_empty() {
            return;
        }
        let text = self.printed(|printer| {
            printer.put(if is_bare { "{ " } else { "" });
            printer.outside(&items, &statement.with_mods);
        });
        let begin = offset(statement.span.start);
        self.edit(begin, begin, text);
    }

    /// Ends the braces around a negation that had none.
    fn close(&mut self, statement: &LiteralStmt) {
        if let Literal::NotExpr { expr, .. } = &statement.literal
            && !hoisted(expr, &self.names).is_empty()
        {
            let end = self.after(statement.span.end);
            self.edit(end, end, " }".to_owned());
        }
    }

    fn expression(&mut self, expression: &Expr) {
        self.deeper(|rewriter| match expression {
            Expr::Membership { key, value, collection, span, .. } if rewriter.pass == Pass::Edits => {
                let guards = rewriter.names.needed(key.iter().chain([value, collection]));
                let (begin, end) = (rewriter.before(span.start), rewriter.after(span.end));
                if !guards.is_empty() {
                    rewriter.edit(begin, begin, "[(".to_owned());
                }
                rewriter.parts(expression);
                if !guards.is_empty() {
                    let text = rewriter.printed(|printer| {
                        printer.put("), ");
                        printer.list(guards.iter().copied());
                        printer.put("][0]");
                    });
                    rewriter.edit(end, end, text);
                }
            }
            _ => rewriter.parts(expression),
        });
    }

    fn parts(&mut self, expression: &Expr) {
        match expression {
            Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. } => {
                children(expression).for_each(|part| self.expression(part));
                self.query(query);
            }
            _ => children(expression).for_each(|part| self.expression(part)),
        }
    }

    /// What a `_` under a negation stands for is decided before it, as in OPA, where it is part of something that is
    /// evaluated before it; OPA refuses any other.
    fn wildcards(&mut self, expression: &Expr, is_before: bool) {
        self.deeper(|rewriter| match expression {
            Expr::Var { span, .. } if span.text() == "_" && is_before => {
                rewriter.names.name_wildcard(span);
                if let Some(name) = rewriter.names.renamed(span).map(str::to_owned) {
                    rewriter.edit(offset(span.start), offset(span.end), name);
                }
            }
            Expr::Var { span, .. } if span.text() == "_" => rewriter.refuse(Refusal::Wildcard(span.line)),
            _ if is_comprehension(expression) => {}
            _ => {
                for part in children(expression) {
                    rewriter.wildcards(part, is_before || is_call(part));
                }
            }
        });
    }

    /// Where a token begins, whose span is without its quotes.
    fn before(&self, start: u32) -> usize {
        let start = offset(start);
        let quote = start.checked_sub(1).filter(|&before| self.is_quote(before));
        quote.unwrap_or(start)
    }

    /// Where a token ends, whose span is without its quotes.
    fn after(&self, end: u32) -> usize {
        let end = offset(end);
        if self.is_quote(end) { end.saturating_add(1) } else { end }
    }

    fn is_quote(&self, at: usize) -> bool {
        self.source.as_bytes().get(at).is_some_and(|byte| b"\"`".contains(byte))
    }
}

fn offset(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// What OPA takes for a call, operators too.
const fn is_call(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Call { .. }
            | Expr::UnaryExpr { .. }
            | Expr::BinExpr { .. }
            | Expr::BoolExpr { .. }
            | Expr::ArithExpr { .. }
            | Expr::Membership { .. }
    )
}

/// The expressions that an expression is made of, without a comprehension's body.
fn children(expression: &Expr) -> impl Iterator<Item = &Expr> {
    let parts: Vec<&Ref<Expr>> = match expression {
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().collect(),
        Expr::Object { fields, .. } => fields.iter().flat_map(|(_, key, value)| [key, value]).collect(),
        Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => vec![term],
        Expr::ObjectCompr { key, value, .. } => vec![key, value],
        Expr::Call { params, .. } => params.iter().collect(),
        Expr::UnaryExpr { expr, .. } => vec![expr],
        Expr::RefDot { refr, .. } => vec![refr],
        Expr::RefBrack { refr, index, .. } => vec![refr, index],
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
        Expr::Membership { key, value, collection, .. } => key.iter().chain([value, collection]).collect(),
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => Vec::new(),
    };
    parts.into_iter().map(AsRef::as_ref)
}
