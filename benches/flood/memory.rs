//! A process's resident memory, as Linux counts it.

/// In KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) now: u64,
    /// The most since the start, or since [`forget_peak`].
    pub(crate) peak: u64,
}

impl Memory {
    /// Of the process with this number.
    pub(crate) fn of(process: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
        };
        Self { now: kib("VmRSS:"), peak: kib("VmHWM:") }
    }
}

/// Counts the peak from now on (`proc_pid_clear_refs(5)`). Where that cannot be done, it stays that of the whole life.
pub(crate) fn forget_peak(process: u32) {
    let _kept = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// KiB as MiB.
pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
