//! Which entries of the input document the policies can see. Nobody misses the others, so they are not built: that
//! would cost more than evaluating a small policy.

use std::collections::BTreeSet;

/// What is built of the input document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Projection {
    /// Everything.
    Whole,
    /// Its entries of these names.
    Entries(BTreeSet<String>),
}

impl Default for Projection {
    /// Nothing.
    fn default() -> Self {
        Self::Entries(BTreeSet::new())
    }
}

impl Projection {
    /// Adds the entry of this name.
    pub(super) fn add(&mut self, name: &str) {
        if let Self::Entries(names) = self {
            names.insert(name.to_owned());
        }
    }

    /// Adds what another shows.
    pub(super) fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Entries(names), Self::Entries(others)) => names.extend(others.iter().cloned()),
            _ => *self = Self::Whole,
        }
    }

    /// The same without the entry of this name; `None` where it has no such entry, or everything.
    pub(super) fn without(&self, name: &str) -> Option<Self> {
        match self {
            Self::Entries(names) if names.contains(name) => {
                Some(Self::Entries(names.iter().filter(|entry| *entry != name).cloned().collect()))
            }
            Self::Entries(_) | Self::Whole => None,
        }
    }

    /// Whether the entry of this name is built.
    pub(super) fn shows(&self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Entries(names) => names.contains(name),
        }
    }
}
