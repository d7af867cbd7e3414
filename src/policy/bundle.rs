//! A bundle: the policies, tests and data that an operator wrote, read once, checked as a whole, and named by their
//! content.

use std::sync::Arc;

use aws_lc_rs::digest;
use regorus::Engine;
use regorus::Value;

use super::Config;
use super::Instance;
use super::RegoVersion;
use super::builtins;
use super::builtins::Modules;
use super::engine::EntryPoint;
use super::engine::Rules;
use super::engine::fault;
use super::engine::prepared;
use super::projection::Projection;
use super::unstable;
use super::unstable::Outline;
use super::unstable::negation;
use crate::hex;
use crate::problem::Problem;

mod data;
mod files;

use files::Kind;
use files::Loaded;

/// Policies and data, checked.
#[derive(Debug)]
pub struct Bundle {
    config: Config,
    policies: Vec<Module>,
    /// The policies as the engine evaluates them.
    evaluated: Vec<Module>,
    tests: Vec<Module>,
    data: Value,
    projection: Arc<Projection>,
    rules: Arc<Rules>,
    revision: String,
    warnings: Vec<Problem>,
}

/// The source of one module.
#[derive(Debug, Clone)]
pub(super) struct Module {
    /// Its file, for messages.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
}

/// How much of the content's hash names a revision: 48 bits, of which no operator meets two by accident.
const REVISION_DIGITS: usize = 12;

impl Bundle {
    /// Reads and checks what the configuration names.
    ///
    /// # Errors
    /// Everything that is wrong, with its place: unreadable files, syntax, unknown functions, contradicting data.
    pub fn load(config: &Config) -> Result<Self, Vec<Problem>> {
        Self::assemble(config, files::read(&config.paths)?)
    }

    /// Checks files that have been read.
    fn assemble(config: &Config, files: Vec<Loaded>) -> Result<Self, Vec<Problem>> {
        let (data, data_problems) = split(data::merge(&files), Value::new_object());
        let revision = revision(&files);
        let (tests, policies) = modules(files);
        let mut problems = data_problems;
        if policies.is_empty() {
            problems.push(Problem::error("", "there is no policy").hint("name a file or a directory with .rego files"));
        }
        let Checked { outlines, evaluated, problems: source_problems } = checked(config, &policies);
        problems.extend(source_problems);
        problems.extend(data::conflicts(&data, &outlines));
        if problems.is_empty() {
            // The engine's own look at the whole: unsafe variables, contradicting functions. It stops at the first.
            problems.extend(prepared(config, &evaluated, &data, &Arc::default()).err());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let rules = Rules::of(&outlines);
        let warnings = warnings(&data, &outlines);
        let projection = Arc::new(projection(&outlines));
        Ok(Self {
            config: config.clone(),
            policies,
            evaluated,
            tests,
            data,
            projection,
            rules: Arc::new(rules),
            revision,
            warnings,
        })
    }

    /// What names this content: the same files with the same text have the same revision, wherever they lie. Tests
    /// are not part of it.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// What works, but rarely as meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Whether a rule, a package or data stands at an entry point. Where none does, every request is denied.
    pub fn defines(&self, entry_point: &str) -> bool {
        is_defined(&EntryPoint::parse(entry_point), &self.rules, &self.data)
    }

    /// An engine of its own for one worker: parsed anew, its data copied, so that no two workers share a counter.
    ///
    /// # Errors
    /// What the engine does not take; nothing that loading has not found already.
    pub fn instance(&self) -> Result<Instance, Vec<Problem>> {
        Instance::new(self).map_err(|problem| vec![problem])
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn policies(&self) -> &[Module] {
        &self.policies
    }

    /// The policies as the engine evaluates them: see [`unstable::negation`].
    pub(super) fn evaluated(&self) -> &[Module] {
        &self.evaluated
    }

    pub(super) fn tests(&self) -> &[Module] {
        &self.tests
    }

    pub(super) const fn data(&self) -> &Value {
        &self.data
    }

    /// What the policies can see of the input document, whatever the entry point.
    pub(super) const fn projection(&self) -> &Arc<Projection> {
        &self.projection
    }

    pub(super) const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }
}

fn split<T>(result: Result<T, Vec<Problem>>, otherwise: T) -> (T, Vec<Problem>) {
    match result {
        Ok(value) => (value, Vec::new()),
        Err(problems) => (otherwise, problems),
    }
}

/// SHA-256 over names and texts, each with its length, so that nothing can move from one to the other.
fn revision(files: &[Loaded]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for file in files.iter().filter(|file| file.kind != Kind::Test) {
        for part in [&file.relative, &file.text] {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    let mut digits = hex::lower(context.finish().as_ref());
    digits.truncate(REVISION_DIGITS);
    digits
}

/// The tests, and the policies.
fn modules(files: Vec<Loaded>) -> (Vec<Module>, Vec<Module>) {
    let modules = files.into_iter().filter(|file| matches!(file.kind, Kind::Rego | Kind::Test));
    let (tests, policies): (Vec<_>, Vec<_>) = modules.partition(|file| file.kind == Kind::Test);
    let sources =
        |files: Vec<Loaded>| files.into_iter().map(|Loaded { name, text, .. }| Module { name, text }).collect();
    (sources(tests), sources(policies))
}

/// An engine with nothing but the language version and the modules that parse, and what is wrong with the others.
fn parsed(version: RegoVersion, modules: &[Module]) -> (Engine, Vec<Problem>) {
    with_modules(Engine::new(), version, modules)
}

/// The same with modules as the engine evaluates them, of which a line may be long.
pub(super) fn reparsed(version: RegoVersion, modules: &[Module]) -> (Engine, Vec<Problem>) {
    let mut engine = Engine::new();
    engine.set_policy_length_config(negation::lengths());
    with_modules(engine, version, modules)
}

fn with_modules(mut engine: Engine, version: RegoVersion, modules: &[Module]) -> (Engine, Vec<Problem>) {
    engine.set_rego_v0(version == RegoVersion::V0);
    let mut problems = Vec::new();
    for Module { name, text } in modules {
        let parsed = engine.add_policy(name.clone(), text.clone());
        problems.extend(parsed.err().map(|error| fault::problem(&error, Some(name))));
    }
    (engine, problems)
}

/// What modules are, once they are read.
pub(super) struct Checked {
    /// The outlines of those that parse.
    pub(super) outlines: Vec<Outline>,
    /// All of them as the engine evaluates them; the same as they are where there are problems.
    pub(super) evaluated: Vec<Module>,
    /// Everything wrong with those that do not parse, and with what the others call.
    pub(super) problems: Vec<Problem>,
}

/// Reads modules.
pub(super) fn checked(config: &Config, modules: &[Module]) -> Checked {
    let (mut engine, mut problems) = parsed(config.rego_version, modules);
    let outlines = unstable::outlines(&mut engine);
    let are_complete = if problems.is_empty() { Modules::All } else { Modules::Some };
    problems.extend(builtins::check(&outlines, are_complete));
    let mut evaluated = modules.to_vec();
    if problems.is_empty() {
        match negation::rewritten(&mut engine, &outlines, config.rego_version == RegoVersion::V0) {
            Ok(texts) => {
                let changed = evaluated.iter_mut().zip(texts).filter_map(|(module, text)| Some((module, text?)));
                changed.for_each(|(module, text)| module.text = text);
            }
            Err(refused) => problems = refused,
        }
    }
    Checked { outlines, evaluated, problems }
}

/// The entries in which others wrote what they liked. They are built whether or not a policy reads them: what goes
/// beyond the limits of a document is refused, and a change of policy does not change that.
const FOREIGN: [&str; 2] = ["parsed_body", "user"];

fn projection(outlines: &[Outline]) -> Projection {
    let mut projection = Projection::default();
    for name in FOREIGN {
        projection.add(name);
    }
    for module in outlines {
        projection.join(&module.reads);
    }
    projection
}

fn warnings(data: &Value, outlines: &[Outline]) -> Vec<Problem> {
    let mut warnings = data::copied(data, outlines);
    for module in outlines {
        let open = module.rules.iter().filter(|rule| rule.default == Some(true) && rule.parameters.is_none());
        warnings.extend(open.map(|rule| {
            let message = format!("`data.{}` is true where nothing else is said", rule.path.join("."));
            Problem::warning("", message)
                .hint("let the default be false: what a policy forgets is then denied")
                .in_file(&module.file)
                .at_line(builtins::line(rule.lines.0))
        }));
    }
    warnings
}

fn is_defined(entry: &EntryPoint, rules: &Rules, data: &Value) -> bool {
    rules.define(entry) || entry.descend(data) != Value::Undefined
}

#[cfg(test)]
mod tests;
