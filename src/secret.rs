//! Values that cannot print.

use std::fmt;

/// Holds a secret; `Debug` and `Display` show only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value as secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Callers keep it out of logs, errors and labels.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_print() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
        assert_eq!(*secret.expose(), "canary");
    }
}
