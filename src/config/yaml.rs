//! YAML text to a tree that remembers its lines.
//!
//! Scalars stay text: the key that takes a value says whether it is a number or a duration. Aliases, tags and complex
//! keys are refused: a configuration that must be read by an auditor has no use for them, and without aliases the tree
//! cannot grow beyond its text. The tree is built from the parser's events, without recursion.

use std::borrow::Cow;

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;
use saphyr_parser::ScanError;
use saphyr_parser::Span;
use saphyr_parser::Tag;

use crate::problem::Problem;

/// The longest text read. Policies and keys have files of their own, so real configurations have some kilobytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The most values in one document. A hundred issuers with everything set have two thousand.
const MAX_NODES: usize = 10_000;
/// The deepest nesting. The format needs five; the rest is for the values of required claims.
const MAX_DEPTH: usize = 16;

/// A value and its line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Line of its first character, counted from 1.
    pub(crate) line: usize,
    /// The value.
    pub(crate) value: Value,
}

/// A value, its scalars not interpreted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Anything else that is no list and no map.
    Scalar {
        /// The text without its quotes.
        text: String,
        /// Whether it had quotes, or was a block: never a number then.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the text, each key once.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// The key's line.
    pub(crate) line: usize,
    /// The value.
    pub(crate) node: Node,
}

impl Node {
    /// An empty document, as if at line 1.
    pub(crate) const fn empty() -> Self {
        Self { line: 1, value: Value::Null }
    }

    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// What stands under a key, or at an index counted from 0, and the line where that begins.
    pub(crate) fn step(&self, step: &str) -> Option<(usize, &Self)> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|entry| entry.key == step).map(|entry| (entry.line, &entry.node))
            }
            Value::List(items) => items.get(step.parse::<usize>().ok()?).map(|item| (item.line, item)),
            Value::Null | Value::Scalar { .. } => None,
        }
    }
}

impl Value {
    /// What a person calls it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar { .. } => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Reads one YAML document. Problems that leave a tree to look at (a key given twice, an alias) come with that tree, so
/// that whatever else is wrong can be told at once.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut builder = Builder::default();
    if text.len() > MAX_BYTES {
        return (None, vec![Problem::error("", format!("is longer than {MAX_BYTES} bytes"))]);
    }
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        if let Err(stop) = event.map_err(|error| unreadable(&error)).and_then(|(event, span)| builder.take(event, span))
        {
            builder.problems.push(stop);
            return (None, builder.problems);
        }
    }
    (Some(builder.root.unwrap_or(Node::empty())), builder.problems)
}

/// What has been read so far.
#[derive(Default)]
struct Builder {
    /// The lists and maps still open, the innermost last.
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    problems: Vec<Problem>,
}

/// A list or a map whose end has not come.
enum Open {
    List { line: usize, items: Vec<Node> },
    Map { line: usize, entries: Vec<Entry>, key: Option<(String, usize)> },
}

impl Builder {
    /// Takes the parser's next event. `Err` where reading on makes no sense.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.begin_document(line),
            Event::Alias(_) => Err(self.stop(line, "aliases (`*name`) are not read here", "write the value out")),
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(line, tag.as_deref());
                self.add(Node { line, value: scalar(text, style) })
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(line, tag.as_deref());
                self.begin(Open::List { line, items: Vec::new() })
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(line, tag.as_deref());
                self.begin(Open::Map { line, entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { line, items }) => self.add(Node { line, value: Value::List(items) }),
                Some(Open::Map { line, entries, .. }) => self.add(Node { line, value: Value::Map(entries) }),
                None => Ok(()),
            },
        }
    }

    fn begin_document(&mut self, line: usize) -> Result<(), Problem> {
        self.documents = self.documents.saturating_add(1);
        if self.documents == 1 {
            return Ok(());
        }
        Err(self.stop(line, "a second document begins here", "keep one document in a file"))
    }

    fn begin(&mut self, open: Open) -> Result<(), Problem> {
        let (Open::List { line, .. } | Open::Map { line, .. }) = open;
        if self.open.len() >= MAX_DEPTH {
            return Err(self.stop(line, &format!("is nested deeper than {MAX_DEPTH} levels"), "flatten it"));
        }
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            return Err(self.stop(
                line,
                "a list or a map stands where a key should",
                "quote keys that begin with `[` or `{`",
            ));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a finished value where it belongs: a key, a key's value, an item, or the whole document.
    fn add(&mut self, node: Node) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(self.stop(
                node.line,
                &format!("has more than {MAX_NODES} values"),
                "move data to the policy's files",
            ));
        }
        let path = self.path();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match (key.take(), node.value) {
                (None, Value::Scalar { text, .. }) => *key = Some((text, node.line)),
                (None, _) => return Err(self.stop(node.line, "a key is empty", "name it")),
                (Some((name, line)), value) => match entries.iter().find(|entry| entry.key == name) {
                    Some(first) => {
                        let hint = format!("the first is on line {}", first.line);
                        self.problems.push(Problem::error(path, "is given twice").hint(hint).at_line(line));
                    }
                    None => entries.push(Entry { key: name, line, node: Node { line: node.line, value } }),
                },
            },
        }
        Ok(())
    }

    fn refuse_tag(&mut self, line: usize, tag: Option<&Tag>) {
        if let Some(tag) = tag {
            let problem = Problem::error(self.path(), format!("the tag `{tag}` is not read here"));
            self.problems.push(problem.hint("remove it: the key says how its value is read").at_line(line));
        }
    }

    fn stop(&self, line: usize, message: &str, hint: &str) -> Problem {
        Problem::error(self.path(), message).hint(hint).at_line(line)
    }

    /// The path of the value that comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path = format!("{path}[{}]", items.len()),
                Open::Map { key: None, .. } => {}
                Open::Map { key: Some((key, _)), .. } if path.is_empty() => path.clone_from(key),
                Open::Map { key: Some((key, _)), .. } => path = format!("{path}.{key}"),
            }
        }
        path
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    match (quoted, text.as_ref()) {
        (false, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        _ => Value::Scalar { text: text.into_owned(), quoted },
    }
}

fn unreadable(error: &ScanError) -> Problem {
    Problem::error("", format!("is no YAML: {}", error.info())).at_line(error.marker().line())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let (root, problems) = parse(text);
        assert_eq!(problems, []);
        root.unwrap()
    }

    fn problems(text: &str) -> Vec<String> {
        parse(text).1.iter().map(ToString::to_string).collect()
    }

    fn plain(line: usize, text: &str) -> Node {
        Node { line, value: Value::Scalar { text: text.to_owned(), quoted: false } }
    }

    #[test]
    fn keys_and_values_know_their_lines() {
        let items = Node { line: 3, value: Value::List(vec![plain(3, "1"), Node { line: 4, value: Value::Null }]) };
        let entry = |key: &str, line, node| Entry { key: key.to_owned(), line, node };
        let quoted = Node { line: 5, value: Value::Scalar { text: "null".to_owned(), quoted: true } };
        let entries = vec![entry("a", 2, items), entry("b", 5, quoted)];
        assert_eq!(tree("# about\na:\n- 1\n- ~\nb: \"null\"\n"), Node { line: 2, value: Value::Map(entries) });
    }

    #[test]
    fn an_empty_document_is_nothing() {
        for text in ["", "# only a comment\n", "---\n", "~"] {
            assert_eq!(tree(text).value, Value::Null, "{text:?}");
        }
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(tree("{\"a\": [1, true]}"), tree("{a: [1, true]}"));
    }

    #[test]
    fn a_key_given_twice_is_told_and_the_rest_still_read() {
        let (root, problems) = parse("a: {x: 1,\n  x: 2}\nb: [{c: 1}, {c: 1,\n c: 2}]\na: 3\n");
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 2: error: a.x: is given twice (the first is on line 1)",
                "line 4: error: b[1].c: is given twice (the first is on line 3)",
                "line 5: error: a: is given twice (the first is on line 1)",
            ]
        );
        assert!(matches!(root.unwrap().value, Value::Map(entries) if entries.len() == 2));
    }

    #[test]
    fn what_is_not_read_is_refused_with_its_line() {
        for (text, problem) in [
            ("a: &x 1\nb: *x\n", "line 2: error: b: aliases (`*name`) are not read here (write the value out)"),
            ("a: 1\n---\nb: 1\n", "line 2: error: a second document begins here (keep one document in a file)"),
            ("a:\n  b: !!binary aGk=\n", "line 2: error: a.b: the tag `tag:yaml.org,2002:!binary` is not read here"),
            ("? [a]\n: 1\n", "line 1: error: a list or a map stands where a key should"),
            ("a: {~: 1}\n", "line 1: error: a: a key is empty (name it)"),
            ("a: 'x\n", "error: is no YAML: "),
            ("a: 1\n b: 2\n", "line 2: error: is no YAML: "),
            ("a: [1\n", "error: is no YAML: "),
            ("a: \0\n", "line 1: error: is no YAML: "),
        ] {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
            assert!(problems[0].contains(problem), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn size_depth_and_number_are_bounded() {
        let deep_flow = "[".repeat(100);
        let deep_block = "- ".repeat(MAX_BYTES / 2);
        for deep in [deep_flow, deep_block] {
            assert!(problems(&deep)[0].contains("is nested deeper than 16 levels"));
        }
        assert!(problems(&"- a\n".repeat(MAX_NODES + 1))[0].contains("has more than 10000 values"));
        assert!(problems(&" ".repeat(MAX_BYTES + 1))[0].contains("is longer than 1048576 bytes"));
    }

    #[test]
    fn a_billion_laughs_are_not_heard() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
        assert_eq!(problems(bomb).len(), 1);
    }
}
