//! What is not as it should be, for `/readyz`.

use super::Report;
use super::WorkloadApi;
use super::notes;

impl Report {
    /// What is not as it should be, in words. What is held stays in use meanwhile.
    pub fn troubles(&self) -> Vec<String> {
        let Self { svid, svid_files, workload_api, trust_domains, awaited } = self;
        let mut troubles = Vec::new();
        if let Some(svid) = svid.as_ref().filter(|svid| svid.expires_in_seconds < 0) {
            troubles.push(format!("the own certificate expired at {}", svid.not_after));
        }
        if let Some(error) = svid_files.as_ref().and_then(|files| files.last_error.as_ref()) {
            troubles.push(format!("own certificate: {error}"));
        }
        match workload_api {
            // A part of what it gives may be missing while it is connected.
            Some(WorkloadApi { last_error: Some(error), .. }) => troubles.push(format!("Workload API: {error}")),
            Some(WorkloadApi { connected: false, .. }) => troubles.push("Workload API: not connected".to_owned()),
            Some(_) | None => {}
        }
        for domain in trust_domains {
            troubles.extend(notes(domain).map(|note| format!("bundle of {}: {note}", domain.name)));
        }
        let missing = awaited.iter().filter_map(|awaited| Some((&awaited.trust_domain, awaited.last_error.as_ref()?)));
        troubles.extend(missing.map(|(domain, error)| format!("bundle of {domain}: {error}")));
        troubles
    }
}
