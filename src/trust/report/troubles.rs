//! What is not as it should be, for `/readyz`.

use super::Report;

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
        if let Some(api) = workload_api.as_ref().filter(|api| !api.connected) {
            troubles.push(format!("Workload API: {}", api.last_error.as_deref().unwrap_or("not connected")));
        }
        for domain in trust_domains {
            if let Some(error) = &domain.last_error {
                troubles.push(format!("bundle of {}: {error}", domain.name));
            }
            if domain.rolled_back {
                troubles.push(format!("bundle of {}: its sequence number went down", domain.name));
            }
        }
        let missing = awaited.iter().filter_map(|awaited| Some((&awaited.trust_domain, awaited.last_error.as_ref()?)));
        troubles.extend(missing.map(|(domain, error)| format!("bundle of {domain}: {error}")));
        troubles
    }
}
