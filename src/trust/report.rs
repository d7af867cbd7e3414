//! What the program holds and trusts, as `/identity` and `countersign identity` show it. No secret is in it: of the own
//! certificate the name, the serial number and the times, never the key.

mod troubles;

use std::fmt;

use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::Config;
use super::Held;
use super::Material;
use super::Svid;
use super::bundle::Authority;
use super::refresh::SourceStatus;
use super::refresh::Status;
use crate::clock::UnixTime;
use crate::spiffe_id::TrustDomain;

#[cfg(test)]
mod tests;

/// Own identity and trust at one moment: as JSON by [`Serialize`], as text by [`Display`](fmt::Display).
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The own certificate.
    svid: Option<OwnSvid>,
    /// How its files fare, where it comes from files.
    svid_files: Option<Source>,
    workload_api: Option<WorkloadApi>,
    trust_domains: Vec<Domain>,
    /// Trust domains whose bundle has never come yet.
    awaited: Vec<Awaited>,
}

#[derive(Debug, Clone, Serialize)]
struct OwnSvid {
    /// Null where the certificate is no X509-SVID.
    spiffe_id: Option<String>,
    serial: Option<String>,
    not_before: String,
    not_after: String,
    /// Negative once it has expired.
    expires_in_seconds: i64,
}

#[derive(Debug, Clone, Serialize)]
struct Source {
    updated_at: Option<String>,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct WorkloadApi {
    endpoint: String,
    connected: bool,
    /// Whether it has ever said what trust domains there are.
    answered: bool,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Domain {
    #[serde(rename = "trust_domain")]
    name: String,
    origin: &'static str,
    x509_authorities: X509Authorities,
    jwt_authorities: usize,
    wit_authorities: usize,
    sequence: Option<u64>,
    refresh_hint_seconds: Option<u64>,
    updated_at: String,
    rolled_back: bool,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct X509Authorities {
    /// Those that verify something now.
    valid: usize,
    total: usize,
    /// When the first of the valid ones ends.
    next_expiry: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Awaited {
    trust_domain: String,
    last_error: Option<String>,
}

impl Report {
    /// Describes `material`, which `config` asks for, and how its refreshing fares.
    pub fn new(config: &Config, material: &Material, status: &Status, now: UnixTime) -> Self {
        let bundles = &material.bundles;
        let workload_api = config.workload_api.as_ref().zip(status.workload_api.as_ref());
        let awaited = bundles.awaited().map(|domain| Awaited {
            trust_domain: domain.to_string(),
            last_error: status.of_bundle(domain).and_then(|source| source.last_error.clone()),
        });
        Self {
            svid: material.svid.as_ref().map(|svid| OwnSvid::new(svid, now)),
            svid_files: status.of_svid_files().map(Source::new),
            workload_api: workload_api.map(|(endpoint, connection)| WorkloadApi {
                endpoint: endpoint.clone(),
                connected: connection.connected,
                answered: !bundles.awaits_workload_api(),
                last_error: connection.last_error.clone(),
            }),
            trust_domains: bundles
                .iter()
                .map(|(domain, held)| Domain::new(domain, held, status.of_bundle(domain), now))
                .collect(),
            awaited: awaited.collect(),
        }
    }
}

impl OwnSvid {
    fn new(svid: &Svid, now: UnixTime) -> Self {
        let serial = svid.chain().next().and_then(|leaf| X509Certificate::from_der(leaf).ok());
        Self {
            spiffe_id: svid.spiffe_id.as_ref().map(ToString::to_string),
            serial: serial.map(|(_, certificate)| certificate.raw_serial_as_string()),
            not_before: svid.not_before.to_string(),
            not_after: svid.not_after.to_string(),
            expires_in_seconds: svid.not_after.seconds().saturating_sub(now.seconds()),
        }
    }
}

impl Source {
    fn new(status: &SourceStatus) -> Self {
        Self {
            updated_at: status.last_success.as_ref().map(ToString::to_string),
            last_error: status.last_error.clone(),
        }
    }
}

impl Domain {
    fn new(domain: &TrustDomain, held: &Held, source: Option<&SourceStatus>, now: UnixTime) -> Self {
        let bundle = &held.bundle;
        // What is in force is older than the last look that found nothing new.
        let seen = source.and_then(|source| source.last_success).map_or(held.at, |seen| seen.max(held.at));
        Self {
            name: domain.to_string(),
            origin: held.origin.name(),
            x509_authorities: X509Authorities::new(bundle.x509_authorities(), now),
            jwt_authorities: bundle.jwt_authorities().usable(),
            wit_authorities: bundle.wit_authorities().usable(),
            sequence: bundle.sequence,
            refresh_hint_seconds: bundle.refresh_hint.map(|hint| hint.as_secs()),
            updated_at: seen.to_string(),
            rolled_back: source.is_some_and(|source| source.rolled_back),
            last_error: source.and_then(|source| source.last_error.clone()),
        }
    }
}

impl X509Authorities {
    fn new(authorities: &[Authority], now: UnixTime) -> Self {
        let valid = || authorities.iter().filter(|authority| authority.is_valid_at(now));
        Self {
            valid: valid().count(),
            total: authorities.len(),
            next_expiry: valid().map(Authority::not_after).min().map(|end| end.to_string()),
        }
    }
}

/// For a person at a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { svid, svid_files, workload_api, trust_domains, awaited } = self;
        f.write_str("own certificate\n")?;
        match svid {
            None => f.write_str("  none\n")?,
            Some(svid) => write!(f, "{}", table(&own_rows(svid)))?,
        }
        if let Some(source) = svid_files {
            write!(f, "{}", table(&source_rows(source)))?;
        }
        if let Some(connection) = workload_api {
            write!(f, "\nWorkload API\n{}", table(&connection_rows(connection)))?;
        }
        f.write_str("\ntrust domains\n")?;
        if trust_domains.is_empty() {
            f.write_str("  none\n")?;
        } else {
            write!(f, "{}", table(&domain_rows(trust_domains)))?;
        }
        for domain in trust_domains {
            notes(domain).try_for_each(|note| writeln!(f, "  {}: {note}", domain.name))?;
        }
        if !awaited.is_empty() {
            let rows = awaited.iter().map(|awaited| {
                vec![
                    awaited.trust_domain.clone(),
                    awaited.last_error.clone().unwrap_or_else(|| "not asked yet".to_owned()),
                ]
            });
            write!(f, "\nawaited\n{}", table(&rows.collect::<Vec<_>>()))?;
        }
        Ok(())
    }
}

fn own_rows(svid: &OwnSvid) -> Vec<Vec<String>> {
    let left = svid.expires_in_seconds;
    let state = if left > 0 { format!("{} left", span(left)) } else { format!("expired {} ago", span(left)) };
    let id = svid.spiffe_id.clone().unwrap_or_else(|| "none: this is no X509-SVID".to_owned());
    let serial = svid.serial.clone().map(|serial| row("serial", serial));
    [row("SPIFFE ID", id)]
        .into_iter()
        .chain(serial)
        .chain([row("valid", format!("{} to {}, {state}", svid.not_before, svid.not_after))])
        .collect()
}

fn source_rows(source: &Source) -> Vec<Vec<String>> {
    let read = source.updated_at.clone().unwrap_or_else(|| "never".to_owned());
    let error = source.last_error.clone().map(|error| row("last error", error));
    [row("last read", read)].into_iter().chain(error).collect()
}

fn connection_rows(connection: &WorkloadApi) -> Vec<Vec<String>> {
    let state = match (connection.connected, connection.answered) {
        (true, _) => "connected",
        (false, true) => "not connected; what it said before is in force",
        (false, false) => "not connected, and nothing is known from it",
    };
    let error = connection.last_error.clone().map(|error| row("last error", error));
    let rows = [row("endpoint", connection.endpoint.clone()), row("state", state.to_owned())];
    rows.into_iter().chain(error).collect()
}

fn domain_rows(domains: &[Domain]) -> Vec<Vec<String>> {
    let head = ["", "from", "X.509 valid", "until", "JWT", "WIT", "sequence", "refresh", "updated"];
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rows = domains.iter().map(|domain| {
        let x509 = &domain.x509_authorities;
        vec![
            domain.name.clone(),
            domain.origin.to_owned(),
            format!("{} of {}", x509.valid, x509.total),
            or_dash(x509.next_expiry.clone()),
            domain.jwt_authorities.to_string(),
            domain.wit_authorities.to_string(),
            or_dash(domain.sequence.map(|sequence| sequence.to_string())),
            or_dash(domain.refresh_hint_seconds.map(|seconds| span(i64::try_from(seconds).unwrap_or(i64::MAX)))),
            domain.updated_at.clone(),
        ]
    });
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

/// What is amiss with a trust domain.
fn notes(domain: &Domain) -> impl Iterator<Item = &str> {
    let Domain { x509_authorities: x509, jwt_authorities: jwt, wit_authorities: wit, .. } = domain;
    let is_empty = x509.total == 0 && *jwt == 0 && *wit == 0;
    let empty = is_empty.then_some("it has no authorities: no workload is trusted");
    let ended = (x509.total > 0 && x509.valid == 0).then_some("none of its X.509 authorities is valid now");
    let rolled_back = domain.rolled_back.then_some("its sequence number has gone down");
    empty.into_iter().chain(ended).chain(rolled_back).chain(domain.last_error.as_deref())
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

/// Rows of cells as lines, indented, the cells of each column below each other.
fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("  {cell:width$}"));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

/// A number of seconds, in the unit that a person would say.
fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let units = [(86_400_u64, "d"), (3600, "h"), (60, "min")];
    let fits = |(length, name): (u64, &str)| {
        let whole = seconds.checked_div(length).filter(|whole| *whole >= 2)?;
        Some(format!("{whole} {name}"))
    };
    units.into_iter().find_map(fits).unwrap_or_else(|| format!("{seconds} s"))
}
