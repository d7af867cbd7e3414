//! A process that a test started: its output in files, its end with the test's.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child as Process;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use serde_json::Value as Json;

/// A running process, killed when dropped.
pub(crate) struct Child {
    name: String,
    process: Mutex<Process>,
    out: PathBuf,
    err: PathBuf,
}

/// How many of the last lines are shown when a test fails.
const TAIL_LINES: usize = 30;

impl Child {
    /// Starts it in `dir`, where its output goes to `NAME.out` and `NAME.err`.
    pub(crate) fn start(name: &str, command: &mut Command, dir: &Path) -> Self {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let process = command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), process: Mutex::new(process), out, err }
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.lock().unwrap().id()
    }

    /// Sends a signal, named as `kill` names it.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id();
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
        assert!(sent.success(), "cannot signal {}", self.name);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.process.lock().unwrap().try_wait().unwrap()
    }

    /// Fails the test when it has ended.
    pub(crate) fn must_run(&self) {
        if let Some(status) = self.ended() {
            panic!("{} ended: {status}\n{}", self.name, self.tail());
        }
    }

    /// The lines of JSON that it wrote, first those of standard output. A line that is still being written is none.
    pub(crate) fn documents(&self) -> Vec<Json> {
        self.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it wrote, both streams, as text for searching.
    pub(crate) fn output(&self) -> String {
        [&self.out, &self.err].map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).concat()
    }

    fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- last lines of {} ---\n{}", self.name, self.tail());
        }
        let process = self.process.get_mut().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }
}
