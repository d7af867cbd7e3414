//! What the program would hold and trust: got once, shown, and forgotten.

use std::path::Path;

use tokio::runtime::Builder;

use super::Environment;
use crate::clock::UnixTime;
use crate::config::Settings;
use crate::problem::Problem;
use crate::trust::refresh::look_once;
use crate::trust::report::Report;

/// What a look around found.
#[derive(Debug)]
pub struct Found {
    /// What is held and trusted.
    pub report: Report,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// Gets own identity and trust from where the configuration says, as serving would. The policy is not looked at.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn look(path: &Path, environment: &Environment) -> Result<Found, Vec<Problem>> {
    let settings = Settings::load(path, &**environment)?.settings;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| vec![Problem::error("", format!("no runtime: {error}"))])?;
    let (material, status, problems) = runtime.block_on(look_once(&settings.spiffe));
    let report = Report::new(&settings.spiffe, &material, &status, UnixTime::now());
    Ok(Found { report, problems })
}
