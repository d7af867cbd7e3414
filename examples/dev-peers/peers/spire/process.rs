//! Programs that run for a while, and commands that answer and end.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

/// A running program, killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

/// How many of a log's last lines go into an error.
const TAIL_LINES: usize = 20;

impl Process {
    /// Starts it; both its streams go to the file `log`.
    ///
    /// # Errors
    /// When the file cannot be made or the program not be started.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let name = command.get_program().to_owned();
        let file = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", name.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// # Errors
    /// When it has ended, with the last lines that it wrote.
    pub(super) fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}\n{}", self.log.display(), self.tail()),
        }
    }

    /// The last lines that it wrote.
    pub(super) fn tail(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
    }

    fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!(%error, log = %self.log.display(), "cannot kill");
        }
    }
}

/// Runs a command to its end, off the runtime's threads, and gives what it wrote to standard output.
///
/// # Errors
/// When it cannot be started, fails, or writes no text.
pub(super) async fn output(mut command: Command) -> Result<String> {
    let output = tokio::task::spawn_blocking(move || command.output().map(|output| (command, output)));
    let (command, output) = output.await?.context("cannot start a command")?;
    if !output.status.success() {
        let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
        bail!("{command:?} failed: {said}");
    }
    Ok(String::from_utf8(output.stdout)?)
}
