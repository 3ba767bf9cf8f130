//! The `env` sections of Claude Code's settings: they come before the environment, so a gateway that is named there has to be
//! known, and outdone by `--settings`, which comes before all but an administrator's.

use crate::failure::Failure;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const OPTION: &str = "--settings";

/// Variables from settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The user's and the project's.
    own: HashMap<String, String>,
    /// The administrator's, which nobody can outdo.
    managed: HashMap<String, String>,
}

impl Settings {
    /// What Claude Code would read in `project`. Files that are missing or broken are passed over: it says so itself.
    pub fn read(home: &Path, project: &Path) -> Self {
        let user = std::env::var_os("CLAUDE_CONFIG_DIR").filter(|dir| !dir.is_empty());
        let user = user.map_or_else(|| home.join(".claude"), PathBuf::from);
        let project = project.join(".claude");
        let mut own = HashMap::new();
        // Later ones come before earlier ones.
        for file in
            [user.join("settings.json"), project.join("settings.json"), project.join("settings.local.json")]
        {
            own.extend(env_of_file(&file));
        }
        let managed = if cfg!(target_os = "macos") {
            "/Library/Application Support/ClaudeCode/managed-settings.json"
        } else {
            "/etc/claude-code/managed-settings.json"
        };
        Self { own, managed: env_of_file(Path::new(managed)) }
    }

    /// With what the client's own `--settings` says, which comes before the files.
    pub fn with_option(mut self, args: &[OsString]) -> Self {
        if let Some((_, given)) = option(args).and_then(|at| Some((at, value_at(args, at)?))) {
            self.own.extend(env_of(&parse(&given).unwrap_or_default()));
        }
        self
    }

    /// The value of a variable, if settings have one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.managed.get(name).or_else(|| self.own.get(name)).map(String::as_str)
    }

    /// Whether an administrator has said it.
    pub fn is_managed(&self, name: &str) -> bool {
        self.managed.contains_key(name)
    }

    /// The client's arguments, with a `--settings` that gives `variables` where settings would give something else.
    pub fn outdone(
        &self,
        mut args: Vec<OsString>,
        variables: &[(String, String)],
    ) -> Result<Vec<OsString>, Failure> {
        let ours: Map<String, Value> = variables
            .iter()
            .filter(|(name, value)| self.own.get(name).is_some_and(|other| other != value))
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        if ours.is_empty() {
            return Ok(args);
        }
        let Some(at) = option(&args) else {
            args.splice(0..0, [OPTION.into(), json!({ "env": ours }).to_string().into()]);
            return Ok(args);
        };
        // The last one counts: theirs and ours have to be one.
        let given = value_at(&args, at).unwrap_or_default();
        let mut merged = parse(&given).ok_or_else(|| {
            Failure::new(format_args!("{OPTION} {given:?} is neither JSON nor a file of JSON"))
        })?;
        let env = merged.entry("env").or_insert_with(|| json!({}));
        match env {
            Value::Object(env) => env.extend(ours),
            other => *other = Value::Object(ours),
        }
        let merged = Value::Object(merged).to_string();
        if args[at] == OPTION {
            args[at + 1] = merged.into();
        } else {
            args[at] = format!("{OPTION}={merged}").into();
        }
        Ok(args)
    }
}

/// Where the client's `--settings` stands.
fn option(args: &[OsString]) -> Option<usize> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    args[..end].iter().rposition(|arg| {
        let arg = arg.to_string_lossy();
        arg == OPTION || arg.strip_prefix(OPTION).is_some_and(|rest| rest.starts_with('='))
    })
}

fn value_at(args: &[OsString], at: usize) -> Option<String> {
    let word = args[at].to_string_lossy();
    match word.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => Some(args.get(at + 1)?.to_string_lossy().into_owned()),
    }
}

/// JSON, or the path of a file of JSON.
fn parse(given: &str) -> Option<Map<String, Value>> {
    let value = if given.trim_start().starts_with('{') {
        serde_json::from_str(given).ok()?
    } else {
        json_of(Path::new(given))?
    };
    match value {
        Value::Object(settings) => Some(settings),
        _ => None,
    }
}

fn json_of(file: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

fn env_of_file(file: &Path) -> HashMap<String, String> {
    match json_of(file) {
        Some(Value::Object(settings)) => env_of(&settings),
        _ => HashMap::new(),
    }
}

fn env_of(settings: &Map<String, Value>) -> HashMap<String, String> {
    let env = settings.get("env").and_then(Value::as_object);
    let variables = env.into_iter().flatten().filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return None,
        };
        Some((name.clone(), text))
    });
    variables.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "ANTHROPIC_BASE_URL";

    fn settings(own: &str) -> Settings {
        Settings { own: HashMap::from([(URL.to_owned(), own.to_owned())]), managed: HashMap::new() }
    }

    fn ours() -> Vec<(String, String)> {
        vec![(URL.into(), "http://127.0.0.1:1".into())]
    }

    fn outdone(args: &[&str]) -> Vec<String> {
        let args = args.iter().map(Into::into).collect();
        let args = settings("https://gw.example").outdone(args, &ours()).unwrap();
        args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn files_are_read_in_their_order_and_broken_ones_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write(
            "home/.claude/settings.json",
            r#"{"env":{"ANTHROPIC_BASE_URL":"https://user","A":1,"B":null}}"#,
        );
        write("project/.claude/settings.json", r#"{"env":{"ANTHROPIC_BASE_URL":"https://project"}}"#);
        write("project/.claude/settings.local.json", "{ broken");
        let read = Settings::read(&folder.path().join("home"), &folder.path().join("project"));
        assert_eq!((read.get(URL), read.get("A"), read.get("B")), (Some("https://project"), Some("1"), None));
        let with = read.with_option(&["--settings".into(), r#"{"env":{"A":"2"}}"#.into()]);
        assert_eq!((with.get(URL), with.get("A")), (Some("https://project"), Some("2")));
    }

    #[test]
    fn what_settings_say_is_outdone_by_an_option_in_front() {
        let expected = r#"{"env":{"ANTHROPIC_BASE_URL":"http://127.0.0.1:1"}}"#;
        assert_eq!(outdone(&["-p", "hi"]), ["--settings", expected, "-p", "hi"]);
        let same = Settings::default().outdone(vec!["-p".into()], &ours()).unwrap();
        assert_eq!(same, ["-p"], "nothing is added where nothing has to be outdone");
    }

    #[test]
    fn the_clients_own_option_keeps_what_else_it_says() {
        let own = r#"{"model":"x","env":{"A":"1","ANTHROPIC_BASE_URL":"https://gw"}}"#;
        let expected = r#"{"model":"x","env":{"A":"1","ANTHROPIC_BASE_URL":"http://127.0.0.1:1"}}"#;
        assert_eq!(outdone(&["-p", "--settings", own, "hi"]), ["-p", "--settings", expected, "hi"]);
        assert_eq!(outdone(&[&format!("--settings={own}")]), [format!("--settings={expected}")]);
        assert_eq!(outdone(&["--", "--settings"])[2..], ["--", "--settings"], "that one is no option");
    }

    proptest! {
        #[test]
        fn any_settings_are_read(text in ".{0,40}|\\{\"env\":(\\{\"A\":[a-z0-9\"\\[\\]{}]{0,6}\\}|[0-9\"]{0,3})\\}") {
            let read = settings("x").with_option(&["--settings".into(), text.clone().into()]);
            let _ = read.outdone(vec!["--settings".into(), text.into()], &ours());
        }
    }
}
