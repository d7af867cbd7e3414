//! Servers as processes of their own, on a core of their own, and what they cost.

use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use super::load;

/// A server process, ended when dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Pinned to the first core, where that can be done: the load then has the second for itself.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let pinned = Command::new("taskset").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        let mut command = if pinned { Command::new("taskset") } else { Command::new(program) };
        if pinned {
            command.args(["-c", "0", program]);
        }
        Self(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Its process's number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let nanos = tasks.flatten().map(|task| {
            let line = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            line.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)
        });
        Duration::from_nanos(nanos.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ignored = self.0.kill();
        let _ignored = self.0.wait();
    }
}

/// Ports of this machine that nobody listens on.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Waits until somebody answers there.
pub(crate) fn wait_until_ready(address: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    while !load::answers(address) {
        assert!(Instant::now() < until, "{address} does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
}
