//! What is shown of workload identity.

use serde_json::Value as Json;
use serde_json::json;

use super::without_nulls;
use super::without_query;
use crate::config::declaration::workloads::JWT_SVID_HEADER;
use crate::config::words;
use crate::config::words::Profile;
use crate::config::words::word;
use crate::identity::JwtSvidConfig;
use crate::identity::WimseConfig;
use crate::listener::Tls;
use crate::trust;
use crate::trust::BundleConfig;
use crate::trust::CertificateFiles;
use crate::trust::Endpoint;

pub(super) fn spiffe(config: &trust::Config) -> Json {
    let trust::Config { workload_api, svid_id, svid, bundles } = config;
    without_nulls(json!({
        "workload_api": workload_api,
        "svid_id": svid_id.as_ref().map(ToString::to_string),
        "svid": svid.as_ref().map(|CertificateFiles { certificate, key }| json!({"certificate": certificate, "key": key})),
        "bundles": bundles.iter().map(bundle).collect::<Vec<_>>(),
    }))
}

fn bundle(config: &BundleConfig) -> Json {
    let BundleConfig { trust_domain, files, endpoint, optional } = config;
    let mut shown = json!({"trust_domain": trust_domain.as_str(), "files": files, "optional": optional});
    if let (Json::Object(shown), Some(Json::Object(endpoint))) = (&mut shown, endpoint.as_ref().map(self::endpoint)) {
        shown.extend(endpoint);
    }
    shown
}

fn endpoint(Endpoint { url, profile, refuse_rollback }: &Endpoint) -> Json {
    let (profile, id, ca_file) = match profile {
        trust::Profile::HttpsWeb { ca_file } => (Profile::HttpsWeb, None, ca_file.as_ref()),
        trust::Profile::HttpsSpiffe { id } => (Profile::HttpsSpiffe, Some(id.to_string()), None),
    };
    without_nulls(json!({
        "endpoint": without_query(url),
        "profile": word(words::PROFILE, &profile),
        "endpoint_id": id,
        "ca_file": ca_file,
        "refuse_rollback": refuse_rollback,
    }))
}

/// Who is let in stands under `key`.
pub(super) fn tls(config: Option<&Tls>, key: &str) -> Json {
    let allowed = config.map(|Tls { allowed }| allowed.as_slice()).unwrap_or_default();
    json!({"enabled": config.is_some(), key: allowed.iter().map(ToString::to_string).collect::<Vec<_>>()})
}

pub(super) fn jwt_svid(config: Option<&JwtSvidConfig>) -> Json {
    let off = JwtSvidConfig { header: JWT_SVID_HEADER.to_owned(), audiences: Vec::new() };
    let JwtSvidConfig { header, audiences } = config.unwrap_or(&off);
    json!({"header": header, "audiences": audiences})
}

pub(super) fn wimse(config: Option<&WimseConfig>) -> Json {
    json!({"audiences": config.map(|WimseConfig { audiences }| audiences.as_slice()).unwrap_or_default()})
}
