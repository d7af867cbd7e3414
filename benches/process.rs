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

    /// Of all its threads so far: how long they ran, and how long they were ready and had no core, which is the machine's
    /// other work and not theirs.
    pub(crate) fn ran_and_waited(&self) -> [Duration; 2] {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let lines: Vec<_> =
            tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("schedstat"))).collect();
        [0, 1].map(|field| {
            let nanos = |line: &String| line.split(' ').nth(field).and_then(|nanos| nanos.parse::<u64>().ok());
            Duration::from_nanos(lines.iter().flatten().filter_map(nanos).sum())
        })
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
