//! What is wrong with something an operator wrote, said so that it can be mended: where, what, and how.

use std::fmt;

/// One problem in a configuration or a policy. They are gathered, never thrown one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, where it is in one.
    pub file: Option<String>,
    /// Line, counted from 1, where known.
    pub line: Option<usize>,
    /// The place in the document, as `issuers[0].keys.url`; empty for the whole.
    pub path: String,
    /// What is wrong: lower case, no full stop, the user's own text in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it stops the program, or is only worth knowing.
    pub severity: Severity,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, but rarely as meant.
    Warning,
    /// Does not work.
    Error,
}

impl Problem {
    /// An error at a path of the document.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            path: path.into(),
            message: message.into(),
            hint: None,
            severity: Severity::Error,
        }
    }

    /// A warning at a path of the document.
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds the line.
    #[must_use]
    pub fn at_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Adds the file.
    #[must_use]
    pub fn in_file(self, file: impl Into<String>) -> Self {
        Self { file: Some(file.into()), ..self }
    }

    /// Whether it stops the program.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `FILE:LINE: error: PATH: MESSAGE (HINT)`, each part where known.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, path, message, hint, severity } = self;
        match (file, line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        f.write_str(match severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)?;
        hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_is_known() {
        let problem = Problem::error("a.b", "`x` is no number").hint("write 5").at_line(3).in_file("c.yaml");
        assert_eq!(problem.to_string(), "c.yaml:3: error: a.b: `x` is no number (write 5)");
        assert_eq!(Problem::warning("", "odd").to_string(), "warning: odd");
    }
}
