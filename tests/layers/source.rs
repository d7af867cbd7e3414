//! One source file as the rules see it: code without comments and literals, line by line.

use std::fs;
use std::io;
use std::path::Path;

/// A file of the tree.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// The text as written.
    pub(crate) text: String,
    /// The lines of code, in order.
    pub(crate) lines: Vec<Line>,
}

/// A line with comments and literals blanked out.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    /// What is left of it.
    pub(crate) code: String,
    /// Whether it is compiled for tests only.
    pub(crate) test: bool,
}

impl Source {
    /// Reads `text` as the file at `path`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut region = TestRegion::default();
        let mut line = |(code, number): (&str, usize)| Line { number, code: code.to_owned(), test: region.holds(code) };
        let lines = mask(text).lines().zip(1..).map(&mut line).collect();
        Self { path: path.to_owned(), text: text.to_owned(), lines }
    }

    /// The module path: `["policy", "result"]` for `src/policy/result.rs`; empty for the crate's roots and other trees.
    pub(crate) fn module(&self) -> Vec<&str> {
        let Some(name) = self.path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")) else {
            return Vec::new();
        };
        if name == "lib" || name == "main" { Vec::new() } else { name.split('/').collect() }
    }

    /// The module paths of the files that this one declares for tests only.
    fn test_modules(&self) -> impl Iterator<Item = Vec<&str>> {
        let declared = self.lines.iter().filter(|line| line.test).filter_map(|line| {
            let (_, module) = line.code.split_once("mod ")?;
            module.trim_end().strip_suffix(';')
        });
        declared.map(|name| [self.module(), vec![name]].concat())
    }
}

/// Marks the files that are modules of tests only, as `#[cfg(test)] mod fixtures;` makes them, and all that is below.
pub(crate) fn mark_test_files(sources: &mut [Source]) {
    let declared = sources.iter().flat_map(Source::test_modules);
    let declared: Vec<String> = declared.map(|module| format!("src/{}", module.join("/"))).collect();
    let is_below = |path: &str, module: &String| {
        path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    for source in sources.iter_mut().filter(|source| declared.iter().any(|module| is_below(&source.path, module))) {
        source.lines.iter_mut().for_each(|line| line.test = true);
    }
}

/// Every `.rs` file below `root/folder`, in order; none where there is no such folder.
///
/// # Errors
/// What the file system answers.
pub(crate) fn read(root: &Path, folder: &str) -> io::Result<Vec<Source>> {
    let directory = root.join(folder);
    let mut sources = Vec::new();
    if !directory.is_dir() {
        return Ok(sources);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            sources.extend(read(root, &path)?);
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            sources.push(Source::new(&path, &fs::read_to_string(entry.path())?));
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

/// Follows `#[cfg(test)]` items from line to line by their braces.
#[derive(Default)]
struct TestRegion {
    /// After the attribute, before the item's opening brace or semicolon.
    announced: bool,
    /// Open braces of the item; 0 outside of one.
    depth: usize,
}

impl TestRegion {
    /// Whether the next line belongs to a test item.
    fn holds(&mut self, code: &str) -> bool {
        self.announced |= self.depth == 0 && code.contains("#[cfg(test)]");
        let inside = self.announced || self.depth > 0;
        if inside {
            code.chars().for_each(|c| self.step(c));
        }
        inside
    }

    fn step(&mut self, c: char) {
        match c {
            '{' => (self.announced, self.depth) = (false, self.depth.saturating_add(1)),
            '}' => self.depth = self.depth.saturating_sub(1),
            ';' if self.depth == 0 => self.announced = false,
            _ => {}
        }
    }
}

/// The text with every comment and literal replaced by spaces; line breaks stay, and the quote that opens a string.
fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hidden = hidden_prefix(rest);
        if hidden == 0 {
            masked.push(first);
        }
        let (skipped, after) = rest.split_at(hidden.max(first.len_utf8()));
        if hidden > 0 {
            let opens_string = skipped.starts_with('"');
            let stays = |(at, c): &(usize, char)| *c == '\n' || (*at == 0 && opens_string);
            masked.extend(skipped.char_indices().map(|found| if stays(&found) { found.1 } else { ' ' }));
        }
        rest = after;
    }
    masked
}

/// The length in bytes of the comment or literal that `rest` starts with; 0 where it starts with code.
fn hidden_prefix(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    rest.strip_prefix('r').map_or(0, raw_string)
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut pairs = rest.char_indices().zip(rest.chars().skip(1));
    while let Some(((at, first), second)) = pairs.next() {
        match (first, second) {
            ('/', '*') => depth = depth.saturating_add(1),
            ('*', '/') => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at.saturating_add("*/".len());
        }
        pairs.next();
    }
    rest.len()
}

/// A literal from its opening quote to its closing one, escapes stepped over.
fn quoted(rest: &str, quote: char) -> usize {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            characters.next();
        } else if c == quote {
            return at.saturating_add(quote.len_utf8());
        }
    }
    rest.len()
}

/// `'x'` and `'\n'` are literals; `'x` is a lifetime and stays.
fn character(rest: &str) -> usize {
    let mut characters = rest.chars().skip(1);
    match (characters.next(), characters.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// What follows the `r` of `r"…"` or `r#"…"#`; 0 where that is no raw string.
fn raw_string(after_r: &str) -> usize {
    let body = after_r.trim_start_matches('#');
    let hashes = after_r.len().saturating_sub(body.len());
    let Some(content) = body.strip_prefix('"') else {
        return 0;
    };
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = "r\"".len().saturating_add(hashes);
    content.find(&end).map_or(usize::MAX, |at| at.saturating_add(end.len())).min(content.len()).saturating_add(opening)
}
