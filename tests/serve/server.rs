//! The built server as a process.

use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

/// How long anything may take before the test fails: machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    folder: tempfile::TempDir,
    process: Child,
    ports: [u16; 3],
}

impl Server {
    /// Starts with `config` (which gets addresses and policy added) and waits until it is ready.
    pub(crate) fn start(config: &str, policy: &str) -> Self {
        let server = Self::start_unready(config, policy);
        eventually("the server is ready", || server.probe("/readyz").0 == 200);
        server
    }

    /// Starts and waits for the probes alone.
    pub(crate) fn start_unready(config: &str, policy: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, policy)
    }

    /// The same with a standard output that takes nothing.
    pub(crate) fn start_with_full_disk(config: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("stdout")).unwrap();
        let server = Self::start_in(folder, config, policy);
        eventually("the server is ready", || server.probe("/readyz").0 == 200);
        server
    }

    fn start_in(folder: tempfile::TempDir, config: &str, policy: &str) -> Self {
        let ports = free_ports();
        write_config(folder.path(), ports, config, policy);
        let process = command(folder.path()).spawn().unwrap();
        let server = Self { folder, process, ports };
        eventually("the probes answer", || server.probe("/livez").0 == 200);
        server
    }

    /// Starts what must fail: exit code and stderr.
    pub(crate) fn fail(config: &str, policy: &str) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), free_ports(), config, policy);
        let status = command(folder.path()).status().unwrap();
        (status.code(), fs::read_to_string(folder.path().join("stderr")).unwrap())
    }

    pub(crate) fn tcp(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn unix(&self) -> String {
        format!("unix:{}", self.folder.path().join("checks.sock").display())
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Replaces a part of the configuration.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let path = self.folder.path().join("config.yaml");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{from} in {config}");
        fs::write(path, config.replace(from, to)).unwrap();
    }

    /// What the program has said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// A connection to the probes' port that says nothing.
    pub(crate) fn connect_to_probes(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.ports[1])).unwrap()
    }

    /// How many descriptors the process has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// Status and body of a GET on the probes' port.
    pub(crate) fn probe(&self, path: &str) -> (u16, String) {
        get(self.ports[1], path)
    }

    /// The sum of a metric's series whose labels contain all of these texts, in whole numbers.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let metrics = self.probe("/metrics").1;
        let of_this_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let series =
            metrics.lines().filter(of_this_name).filter(|line| labels.iter().all(|label| line.contains(label)));
        let value = |line: &str| line.rsplit(' ').next()?.trim_end_matches(".0").parse::<u64>().ok();
        series.map(|line| value(line).unwrap_or_else(|| panic!("no whole number: {line}"))).sum()
    }

    /// Status and body of a GET on the private port.
    pub(crate) fn private(&self, path: &str) -> (u16, String) {
        get(self.ports[2], path)
    }

    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// The exit code, if the process ends in time.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<i32> {
        let until = Instant::now().checked_add(limit).unwrap();
        while Instant::now() < until {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// The decision log so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("stdout")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All that it has written, of either log.
    pub(crate) fn outputs(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("stdout")).unwrap();
        format!("{text}{}", self.log())
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ignored = self.process.kill();
        let _ignored = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default());
        }
    }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now().checked_add(PATIENCE).unwrap();
    while !is_so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["serve", "-c"]).arg(folder.join("config.yaml"));
    command.stdout(fs::File::create(folder.join("stdout")).unwrap());
    command.stderr(fs::File::create(folder.join("stderr")).unwrap());
    command.stdin(Stdio::null());
    command
}

/// Puts addresses and policy into the configuration, under `listeners` where it has that already.
fn write_config(folder: &Path, [checks, probes, private]: [u16; 3], config: &str, policy: &str) {
    let socket = folder.join("checks.sock");
    let listen = format!("checks: [\"127.0.0.1:{checks}\", \"unix://{}\"], ", socket.display());
    let config = if config.contains("listeners: {") {
        config.replace("listeners: {", &format!("listeners: {{{listen}"))
    } else {
        format!("{config}listeners: {{{listen}workers: 2}}\n")
    };
    let config = format!(
        "{config}admin: {{probes: \"127.0.0.1:{probes}\", private: \"127.0.0.1:{private}\"}}\npolicy: {{paths: [policy.rego]}}\n"
    );
    fs::write(folder.join("config.yaml"), config).unwrap();
    fs::write(folder.join("policy.rego"), policy).unwrap();
}

fn free_ports() -> [u16; 3] {
    let held = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn get(port: u16, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return (0, String::new()) };
    let _ignored = write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ignored = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}
