//! What is wrong with the files that a configuration names. Nothing is fetched.

use std::path::Path;

use crate::clock::UnixTime;
use crate::fetch;
use crate::fetch::FetchLimits;
use crate::problem::Problem;
use crate::trust::Bundle;
use crate::trust::BundleConfig;
use crate::trust::CertificateFiles;
use crate::trust::Config;
use crate::trust::Endpoint;
use crate::trust::Profile;
use crate::trust::Svid;
use crate::trust::SvidError;
use crate::trust::certificate::Leaf;

/// What is wrong with the files that `config` names: own certificate and key, bundles, root certificates. The Workload
/// API's socket is no such file: it is there while the agent is.
pub async fn check_files(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(files) = &config.svid {
        problems.extend(check_svid(files).await);
    }
    for (position, bundle) in config.bundles.iter().enumerate() {
        let path = format!("spiffe.bundles[{position}]");
        problems.extend(check_bundle(&path, bundle).await);
        if let Some(endpoint) = &bundle.endpoint {
            problems.extend(check_roots(&path, endpoint).await);
        }
    }
    problems
}

async fn check_svid(files: &CertificateFiles) -> Vec<Problem> {
    let (at, at_certificate, at_key) = ("spiffe.svid", "spiffe.svid.certificate", "spiffe.svid.key");
    let (certificate, key) = match (read(at_certificate, &files.certificate).await, read(at_key, &files.key).await) {
        (Ok(certificate), Ok(key)) => (certificate, key),
        (certificate, key) => return certificate.err().into_iter().chain(key.err()).collect(),
    };
    match Svid::from_pem(&certificate, &key) {
        Ok(svid) => check_own(at_certificate, &svid, UnixTime::now()),
        Err(error) => {
            let problem = |at| Problem::error(at, error.to_string());
            vec![match error {
                SvidError::Certificate | SvidError::TooLong => problem(at_certificate),
                SvidError::Key | SvidError::UnusableKey(_) => problem(at_key),
                SvidError::Mismatch => problem(at).hint("the key must be that of the first certificate in the file"),
            }]
        }
    }
}

/// What works with some peers, or did until now.
fn check_own(path: &str, svid: &Svid, now: UnixTime) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(Err(error)) = svid.chain().next().map(Leaf::from_der) {
        let hint = "who proves workloads by SPIFFE refuses it";
        problems.push(Problem::warning(path, format!("the certificate is no X509-SVID: {error}")).hint(hint));
    }
    if !svid.is_valid_at(now) {
        let message = format!("the certificate is valid from {} to {}, not now", svid.not_before, svid.not_after);
        problems.push(Problem::warning(path, message));
    }
    problems
}

async fn check_bundle(path: &str, config: &BundleConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut joined = Bundle::empty();
    for (position, file) in config.files.iter().enumerate() {
        let path = format!("{path}.files[{position}]");
        let document = match read(&path, file).await {
            Ok(document) => document,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match Bundle::parse(&document, &config.trust_domain) {
            Err(error) => problems.push(Problem::error(&path, error.to_string())),
            Ok(bundle) => {
                problems.extend(bundle.warnings().map(|warning| Problem::warning(&path, warning)));
                joined = joined.joined(bundle);
            }
        }
    }
    if !config.files.is_empty() && joined.is_empty() && !problems.iter().any(Problem::is_error) {
        let hint = "no workload of the trust domain would be trusted";
        let message = "the bundle has no authority that could be used";
        problems.push(Problem::error(format!("{path}.files"), message).hint(hint));
    }
    problems
}

async fn check_roots(path: &str, endpoint: &Endpoint) -> Option<Problem> {
    let Profile::HttpsWeb { ca_file: Some(ca_file) } = &endpoint.profile else { return None };
    let client = fetch::web_client(Some(ca_file), FetchLimits::default().bytes).await;
    client.err().map(|error| Problem::error(format!("{path}.ca_file"), error.to_string()))
}

async fn read(path: &str, file: &Path) -> Result<Vec<u8>, Problem> {
    let limits = FetchLimits::default();
    let read = limits.within(fetch::read(file, limits.bytes)).await;
    read.map_err(|error| Problem::error(path, error.to_string()))
}
