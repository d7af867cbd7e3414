//! Which lines of the policies were evaluated.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::policy::unstable::Outline;

/// Lines with expressions, by file, and whether they were evaluated. Files that no test reached are not there.
#[derive(Default)]
pub(super) struct Lines(BTreeMap<String, BTreeMap<u32, bool>>);

impl Lines {
    pub(super) fn add(&mut self, file: String, covered: BTreeSet<u32>, not_covered: BTreeSet<u32>) {
        let lines = self.0.entry(file).or_default();
        for line in not_covered {
            lines.entry(line).or_insert(false);
        }
        lines.extend(covered.into_iter().map(|line| (line, true)));
    }
}

/// Which lines of the policies were evaluated; lines without an expression do not count.
#[derive(Debug)]
pub struct Coverage {
    /// The policies, in order.
    pub files: Vec<FileCoverage>,
}

/// Which lines of one policy were evaluated.
#[derive(Debug)]
pub struct FileCoverage {
    /// The file.
    pub file: String,
    /// The lines that were.
    pub covered: Vec<u32>,
    /// The lines that were not.
    pub not_covered: Vec<u32>,
}

impl Coverage {
    pub(super) fn of(policies: &[Outline], evaluated: &Lines) -> Self {
        let files = policies.iter().map(|policy| {
            let unreached = || policy.lines.iter().map(|&line| (line, false)).collect();
            let lines = evaluated.0.get(&policy.file).cloned().unwrap_or_else(unreached);
            let with = |wanted: bool| lines.iter().filter(|(_, is)| **is == wanted).map(|(&line, _)| line).collect();
            FileCoverage { file: policy.file.clone(), covered: with(true), not_covered: with(false) }
        });
        Self { files: files.collect() }
    }

    /// The share of lines that were evaluated, from 0 to 100; 100 where there is none to evaluate.
    pub fn percent(&self) -> f64 {
        let count = |lines: fn(&FileCoverage) -> usize| {
            f64::from(u32::try_from(self.files.iter().map(lines).sum::<usize>()).unwrap_or(u32::MAX))
        };
        let covered = count(|file| file.covered.len());
        let all = covered + count(|file| file.not_covered.len());
        if all > 0.0 { 100.0 * covered / all } else { 100.0 }
    }
}
