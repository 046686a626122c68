//! From a file to a model, in steps: text, tree, values of variables, model, checks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Problem};
use crate::model::Project;
use crate::read::context::{Context, clean};
use crate::template::Template;
use crate::yaml::{Node, Value};
use crate::{check, path, read, yaml};

/// The bytes of a file at most. A stack of fifty services has a hundred thousand.
const MAX_BYTES: u64 = 1 << 20;

/// Reads `file`, with `environment` for its `${…}` and for variables without a value. Nothing is read from the
/// environment of this process.
///
/// `COMPOSE_PROJECT_NAME` in `environment` names the project instead of the file's `name`, and `HOME` is what `~`
/// stands for.
pub fn load(file: &Path, environment: &BTreeMap<String, String>) -> Result<Project, Error> {
    let fatal = |problem| Error::new(Some(file), vec![problem]);
    let absolute = std::path::absolute(file).map_err(|error| fatal(unreadable(&error)))?;
    let absolute = clean(&absolute);
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let text = text(file).map_err(fatal)?;
    let mut problems = Vec::new();
    let mut root = yaml::parse(&text, &mut problems).map_err(fatal)?;
    let environment = with_project_name(&root, environment);
    let mut unresolved = Vec::new();
    resolve(&mut root, "", &environment, &mut unresolved);
    let context = Context::new(folder, &environment, problems);
    let project = read::project(&absolute, &root, &context);
    if let Some(project) = &project {
        check::check(project, &root, &context);
    }
    let mut problems = context.problems.take();
    // A text without its variables makes no sense, and to say so twice would not help.
    problems.retain(|problem| unresolved.iter().all(|earlier| earlier.path != problem.path));
    problems.extend(unresolved);
    match project {
        Some(project) if problems.is_empty() => Ok(project),
        _ => Err(Error::new(Some(file), problems)),
    }
}

/// A variable that a file mentions as `${…}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What stands for it when it has no value, as written in the file; absent when the file gives none.
    pub default: Option<String>,
}

/// The variables that the text of a compose file mentions, by name; once for each different default.
pub fn variables(text: &str) -> Result<Vec<Variable>, Error> {
    let mut problems = Vec::new();
    let root = match yaml::parse(text, &mut problems) {
        Ok(root) => root,
        Err(problem) => return Err(Error::new(None, vec![problem])),
    };
    let mut variables = BTreeSet::new();
    collect(&root, "", &mut variables, &mut problems);
    if problems.is_empty() {
        Ok(variables.into_iter().collect())
    } else {
        Err(Error::new(None, problems))
    }
}

fn text(file: &Path) -> Result<String, Problem> {
    let open = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    open.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::new(
            None,
            "",
            format!("is larger than {MAX_BYTES} bytes, which no compose file is"),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let (good, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        Problem::new(Some(last_line(good)), "", "is no UTF-8 text")
    })?;
    let control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{85}');
    match text.find(control) {
        Some(index) => Err(Problem::new(
            Some(last_line(&text.as_bytes()[..index])),
            "",
            "has a control character in it",
        )),
        None => Ok(text),
    }
}

/// The number of the line that `text` ends on.
fn last_line(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').count()
}

fn unreadable(error: &std::io::Error) -> Problem {
    Problem::new(None, "", format!("cannot be read: {error}"))
}

/// `environment` with the name of the project, which the whole file can mention.
fn with_project_name(root: &Node, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut environment = environment.clone();
    let given = environment
        .get(read::PROJECT_NAME)
        .is_some_and(|name| !name.is_empty());
    let entry = root.entries().iter().find(|entry| entry.key == "name");
    if let (false, Some(Value::Text(name))) = (given, entry.map(|entry| &entry.value.value)) {
        let name = Template::parse(name).and_then(|name| name.resolve(&environment));
        environment.extend(name.ok().map(|name| (read::PROJECT_NAME.to_owned(), name)));
    }
    environment
}

/// Puts the values of variables into all texts of `node`, which is at `path`.
fn resolve(node: &mut Node, path: &str, environment: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Text(text) => match Template::parse(text).and_then(|template| template.resolve(environment)) {
            Ok(resolved) if resolved.contains('\0') => {
                problems.push(Problem::new(Some(node.line), path, "has a NUL character in it"));
            }
            Ok(resolved) => *text = resolved,
            Err(message) => problems.push(Problem::new(Some(node.line), path, message)),
        },
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                resolve(item, &path::item(path, index), environment, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                resolve(
                    &mut entry.value,
                    &path::key(path, &entry.key),
                    environment,
                    problems,
                );
            }
        }
        Value::Null | Value::Bare(..) => {}
    }
}

/// Adds the variables in the texts of `node`, which is at `path`.
fn collect(node: &Node, path: &str, variables: &mut BTreeSet<Variable>, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Text(text) => match Template::parse(text) {
            Ok(template) => template.variables(&mut |name, default| {
                variables.insert(Variable {
                    name: name.to_owned(),
                    default: default.map(str::to_owned),
                });
            }),
            Err(message) => problems.push(Problem::new(Some(node.line), path, message)),
        },
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &path::item(path, index), variables, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                collect(&entry.value, &path::key(path, &entry.key), variables, problems);
            }
        }
        Value::Null | Value::Bare(..) => {}
    }
}
