//! What a client is, by its first bytes and, for scripts, by what they start.
//!
//! Only a program that is Node all the way is left to the loader. A proxy serves every client that takes a base URL, so that
//! is the answer wherever there is a doubt.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program that Node runs.
    Node,
    /// Anything else.
    Other,
}

/// Enough for a wrapper. A program that is bundled into one file has more.
const LOOKED_AT: u64 = 64 * 1024;
/// Wrappers that call wrappers.
const MAX_DEPTH: usize = 5;

/// What starts `program` with `args`.
pub fn of(program: &Path, args: &[OsString]) -> Kind {
    if is_node(program) {
        // Some wrappers are started as `node wrapper.js`.
        let script = args.iter().find(|arg| !arg.as_encoded_bytes().starts_with(b"-"));
        return match script.map(PathBuf::from).filter(|script| script.is_file()) {
            Some(script) if first_bytes(&script).is_some_and(|text| starts_another(&text)) => Kind::Other,
            _ => Kind::Node,
        };
    }
    look(program, MAX_DEPTH)
}

/// Whether that is Claude Code, in one of its forms.
pub fn is_claude_code(program: &Path, args: &[OsString]) -> bool {
    let script = if is_node(program) { args.first().map(PathBuf::from) } else { None };
    [Some(program.to_owned()), script].into_iter().flatten().any(|file| {
        let real = file.canonicalize().unwrap_or_default();
        let named = |path: &Path| {
            matches!(path.file_name().and_then(|name| name.to_str()), Some("claude" | "claude.exe"))
        };
        named(&file) || named(&real) || real.to_string_lossy().contains("/@anthropic-ai/claude-code")
    })
}

fn look(file: &Path, depth: usize) -> Kind {
    let Some(start) = first_bytes(file) else { return Kind::Other };
    let Some(line) = start.strip_prefix(b"#!") else { return Kind::Other };
    let line =
        String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    match interpreter(&line) {
        Some("node" | "nodejs") if starts_another(&start) => Kind::Other,
        Some("node" | "nodejs") => Kind::Node,
        Some("sh" | "bash" | "dash" | "zsh" | "ash" | "ksh") if depth > 0 => {
            let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
            let folder = real.parent().unwrap_or(Path::new("/"));
            match exec_target(&String::from_utf8_lossy(&start), folder) {
                Some(Target::Node(script)) => match first_bytes(&script) {
                    Some(text) if !starts_another(&text) => Kind::Node,
                    _ => Kind::Other,
                },
                Some(Target::Program(program)) => look(&program, depth - 1),
                None => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

/// The start of a file, if it is one.
pub fn first_bytes(file: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    let is_file = file.metadata().is_ok_and(|file| file.is_file());
    let file = File::open(file).ok().filter(|_| is_file)?;
    file.take(LOOKED_AT).read_to_end(&mut start).ok()?;
    Some(start)
}

fn is_node(program: &Path) -> bool {
    matches!(program.file_name().and_then(|name| name.to_str()), Some("node" | "nodejs"))
}

/// The name of the program in a `#!` line, behind `env` and its options.
fn interpreter(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let name = words.next()?.rsplit('/').next()?;
    if name != "env" {
        return Some(name);
    }
    words.find(|word| !word.starts_with('-') && !word.contains('='))?.rsplit('/').next()
}

/// Whether a script of Node's is a short one that starts another program: what npm packages of native executables have
/// (`codex`, `opencode`, Claude Code's fallback).
fn starts_another(text: &[u8]) -> bool {
    let has = |words: &str| memchr::memmem::find(text, words.as_bytes()).is_some();
    (text.len() as u64) < LOOKED_AT && has("child_process") && (has("spawn") || has("execFileSync"))
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    Node(PathBuf),
    Program(PathBuf),
}

/// What the first `exec` with a path in a shell script leads to. `$basedir` and the like are the script's folder.
fn exec_target(script: &str, folder: &Path) -> Option<Target> {
    for line in script.lines() {
        let Some(command) = line.trim_start().strip_prefix("exec ") else { continue };
        let mut paths =
            words(command).into_iter().filter(|word| !word.starts_with('-')).map(|word| place(&word, folder));
        let Some(first) = paths.next().flatten() else { continue };
        if is_node(&first) {
            if let Some(script) = paths.next().flatten().filter(|script| script.is_file()) {
                return Some(Target::Node(script));
            }
        } else if first.is_file() {
            return Some(Target::Program(first));
        }
    }
    None
}

/// The words of a simple command, without their quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, ' ' | '\t') => words.push(String::new()),
            _ => words.last_mut().expect("it was never empty").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn place(word: &str, folder: &Path) -> Option<PathBuf> {
    let known = [
        "$basedir",
        "${basedir}",
        "$DIR",
        "${DIR}",
        "$SCRIPT_DIR",
        "${SCRIPT_DIR}",
        "$(dirname $0)",
        "$(dirname \"$0\")",
    ];
    for name in known {
        if let Some(rest) = word.strip_prefix(name) {
            return Some(folder.join(rest.trim_start_matches('/')));
        }
    }
    let home = ["$HOME/", "~/"].into_iter().find_map(|home| word.strip_prefix(home));
    match home {
        Some(rest) => Some(std::env::home_dir()?.join(rest)),
        None if word == "node" => Some("node".into()),
        None => Some(PathBuf::from(word)).filter(|path| path.is_absolute()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind_of(files: &[(&str, &str)], args: &[&str]) -> Kind {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text.replace("HERE", folder.path().to_str().unwrap()))
                .unwrap();
        }
        let args: Vec<OsString> = args.iter().map(|arg| folder.path().join(arg).into()).collect();
        of(&folder.path().join(files[0].0), &args)
    }

    const BUNDLE: &str = "#!/usr/bin/env node\nconsole.log(1)\n";
    const WRAPPER: &str = "#!/usr/bin/env node\nrequire('child_process').spawnSync('/x/native')\n";

    #[test]
    fn what_node_runs_is_a_node_program() {
        assert_eq!(kind_of(&[("a", BUNDLE)], &[]), Kind::Node);
        assert_eq!(kind_of(&[("a", "#!/usr/bin/env -S node --no-warnings\n")], &[]), Kind::Node);
        assert_eq!(kind_of(&[("a", "#!/opt/node/bin/node\n")], &[]), Kind::Node);
        assert_eq!(kind_of(&[("node", "\u{7f}ELF"), ("x.js", "1")], &["x.js"]), Kind::Node);
        assert_eq!(kind_of(&[("node", "\u{7f}ELF")], &[]), Kind::Node);
    }

    #[test]
    fn what_node_only_starts_is_none() {
        assert_eq!(kind_of(&[("a", WRAPPER)], &[]), Kind::Other);
        assert_eq!(kind_of(&[("node", "\u{7f}ELF"), ("x.js", WRAPPER)], &["x.js"]), Kind::Other);
        let bundle = WRAPPER.to_owned() + &"x".repeat(LOOKED_AT as usize);
        assert_eq!(kind_of(&[("a", &bundle)], &[]), Kind::Node, "a bundle may start programs too");
    }

    #[test]
    fn executables_and_other_scripts_are_none() {
        for text in [
            "\u{7f}ELF\u{2}",
            "\u{cf}\u{fa}",
            "#!/usr/bin/env bun\n",
            "#!/usr/bin/python3\n",
            "#!\n",
            "#!/usr/bin/env\n",
            "",
        ] {
            assert_eq!(kind_of(&[("a", text)], &[]), Kind::Other, "{text:?}");
        }
        assert_eq!(of(Path::new("/no/such/file"), &[]), Kind::Other);
    }

    #[test]
    fn a_shell_wrapper_is_what_it_starts() {
        let wraps = |line: &str, target: &str| {
            kind_of(&[("w", &format!("#!/bin/bash\n# exec nothing\n{line}\n")), ("t.js", target)], &[])
        };
        for line in [
            "exec \"HERE/t.js\" \"$@\"",
            "  exec HERE/t.js \"$@\"",
            "exec node  \"$basedir/t.js\" \"$@\"",
            "exec \"$(dirname $0)/t.js\"",
            "exec /usr/bin/node --no-warnings HERE/t.js",
        ] {
            assert_eq!(wraps(line, BUNDLE), Kind::Node, "{line}");
            assert_eq!(wraps(line, WRAPPER), Kind::Other, "{line}");
        }
        for line in ["exec \"$UNKNOWN/t.js\"", "exec HERE/missing", "HERE/t.js", "exec HERE/w"] {
            assert_eq!(wraps(line, BUNDLE), Kind::Other, "{line}");
        }
    }

    #[test]
    fn claude_code_is_known_by_its_name_or_its_package() {
        for path in ["/x/claude", "/x/bin/claude.exe"] {
            assert!(is_claude_code(Path::new(path), &[]), "{path}");
        }
        assert!(!is_claude_code(Path::new("/x/claudette"), &[]));
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("node_modules/@anthropic-ai/claude-code");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("cli.js"), BUNDLE).unwrap();
        assert!(is_claude_code(Path::new("/usr/bin/node"), &[package.join("cli.js").into()]));
    }

    proptest! {
        #[test]
        fn any_script_has_a_kind(script in "#!/bin/sh\n(exec |\"|'|\\$|node|/|HERE|[ -~\n]){0,60}") {
            kind_of(&[("w", &script)], &[]);
        }
    }
}
