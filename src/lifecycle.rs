//! Start, readiness, reload triggers and the end.

pub mod watch;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde::Serialize;

use crate::clock::UnixTime;

/// What `/readyz` says. Readiness gates the start and the end, not trouble in between: taking the only authorizer out
/// of service would be an error to the proxy, and so a possible allow, while a denial is always safe.
#[derive(Debug, Default)]
pub struct Readiness {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    policy_loaded: bool,
    keys_missing: BTreeSet<String>,
    was_ready: bool,
    draining: bool,
    revision: u64,
    reload_failed: Option<ReloadFailure>,
    stale_keys: BTreeSet<String>,
    keys_troubles: Vec<String>,
    trust_missing: BTreeSet<String>,
    trust_troubles: Vec<String>,
}

/// The last reload, where it failed.
#[derive(Debug, Clone, Serialize)]
pub struct ReloadFailure {
    /// When, RFC 3339.
    pub at: String,
    /// What was wrong, one line a problem.
    pub problems: Vec<String>,
}

/// A readable copy of the state.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether checks should be sent here.
    pub ready: bool,
    /// What is waited for; empty once ready.
    pub missing: Vec<String>,
    /// The revision in force; 0 before the first.
    pub revision: u64,
    /// The last reload's failure; null once one succeeds.
    pub reload_failed: Option<ReloadFailure>,
    /// Issuers whose keys could not be refreshed and are missing or too old: their tokens are denied with 503.
    pub keys_unavailable: Vec<String>,
    /// Issuers whose keys could not be fetched the last time, and why. What is held stays in use, up to `max_stale`.
    pub keys_troubles: Vec<String>,
    /// What is wrong with the own certificate, the Workload API or a trust domain's bundle. What is held stays in use.
    pub trust_troubles: Vec<String>,
}

impl Readiness {
    /// A new revision is in force in every worker.
    pub fn in_force(&self, revision: u64) {
        let mut state = self.lock();
        state.policy_loaded = true;
        state.revision = revision;
        state.settle();
    }

    /// The issuers whose keys readiness waits for, those that have none now, and why keys could not be fetched.
    pub fn keys(&self, waited_for: BTreeSet<String>, unavailable: BTreeSet<String>, troubles: Vec<String>) {
        let mut state = self.lock();
        state.keys_missing = waited_for;
        state.stale_keys = unavailable;
        state.keys_troubles = troubles;
        state.settle();
    }

    /// What of own identity and trust readiness waits for, and what is wrong with it.
    pub fn trust(&self, waited_for: BTreeSet<String>, troubles: Vec<String>) {
        let mut state = self.lock();
        state.trust_missing = waited_for;
        state.trust_troubles = troubles;
        state.settle();
    }

    /// A reload succeeded.
    pub fn reloaded(&self) {
        self.lock().reload_failed = None;
    }

    /// A reload failed; what was in force stays.
    pub fn reload_failed(&self, at: UnixTime, problems: Vec<String>) {
        self.lock().reload_failed = Some(ReloadFailure { at: at.to_string(), problems });
    }

    /// The end has begun.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// Whether checks should be sent here.
    pub fn is_ready(&self) -> bool {
        let state = self.lock();
        state.was_ready && !state.draining
    }

    /// Everything, for `/readyz`.
    pub fn report(&self) -> Report {
        let state = self.lock();
        let mut missing = Vec::new();
        if state.draining {
            missing.push("shutting down".to_owned());
        } else if !state.was_ready {
            if !state.policy_loaded {
                missing.push("policy".to_owned());
            }
            missing.extend(state.keys_missing.iter().map(|issuer| format!("keys of {issuer}")));
            missing.extend(state.trust_missing.iter().cloned());
        }
        Report {
            ready: state.was_ready && !state.draining,
            missing,
            revision: state.revision,
            reload_failed: state.reload_failed.clone(),
            keys_unavailable: state.stale_keys.iter().cloned().collect(),
            keys_troubles: state.keys_troubles.clone(),
            trust_troubles: state.trust_troubles.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self) {
        self.was_ready |= self.policy_loaded && self.keys_missing.is_empty() && self.trust_missing.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_waits_for_policy_and_keys_and_then_stays() {
        let readiness = Readiness::default();
        let issuer = BTreeSet::from(["https://idp.example".to_owned()]);
        readiness.keys(issuer.clone(), issuer.clone(), Vec::new());
        readiness.trust(BTreeSet::from(["own certificate".to_owned()]), Vec::new());
        assert_eq!(readiness.report().missing, ["policy", "keys of https://idp.example", "own certificate"]);
        readiness.in_force(1);
        assert!(!readiness.is_ready());
        readiness.keys(BTreeSet::new(), BTreeSet::new(), Vec::new());
        assert!(!readiness.is_ready());
        readiness.trust(BTreeSet::new(), vec!["the Workload API is away".to_owned()]);
        assert!(readiness.is_ready());
        readiness.keys(issuer.clone(), issuer, vec!["https://idp.example: the server answered 500".to_owned()]);
        assert!(readiness.is_ready(), "trouble later is a denial, not an outage");
        assert_eq!(readiness.report().keys_unavailable, ["https://idp.example"]);
        assert_eq!(readiness.report().keys_troubles, ["https://idp.example: the server answered 500"]);
        readiness.drain();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.report().missing, ["shutting down"]);
    }
}
