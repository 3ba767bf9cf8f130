//! Where a client is.

use crate::failure::Failure;
use crate::recording::{absolute, set};
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const CLAUDE: &str = "claude";
/// Where Claude Code's installers put it, below the home folder: the one of `claude migrate-installer`, the native one, npm.
const IN_HOME: [&str; 4] = [
    ".claude/local/claude",
    ".local/bin/claude",
    ".claude/local/node_modules/.bin/claude",
    ".npm-global/bin/claude",
];
const ELSEWHERE: [&str; 2] = ["/usr/local/bin/claude", "/opt/homebrew/bin/claude"];

/// Claude Code: at `path`, on the PATH, or where its installers put it.
pub fn claude(path: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = path {
        return command(path.as_os_str());
    }
    let home = std::env::home_dir().unwrap_or_default();
    let usual = IN_HOME.iter().map(|place| home.join(place)).chain(ELSEWHERE.map(PathBuf::from));
    on_path(OsStr::new(CLAUDE))
        .chain(usual)
        .find(|file| is_program(file) && !leads_back_to_us(file))
        .ok_or_else(|| Failure::not_found("Claude Code is not on the PATH: name it with --claude-path"))
}

/// A program, as a shell finds it.
pub fn command(name: &OsStr) -> Result<PathBuf, Failure> {
    let path = Path::new(name);
    if name.as_encoded_bytes().contains(&b'/') {
        return match path {
            _ if is_program(path) => absolute(path),
            _ if path.is_file() => {
                Err(Failure::not_executable(format_args!("{} is not executable", path.display())))
            }
            _ => Err(Failure::not_found(format_args!("there is no program {}", path.display()))),
        };
    }
    on_path(name)
        .find(|file| is_program(file))
        .ok_or_else(|| Failure::not_found(format_args!("{} is not on the PATH", path.display())))
}

fn on_path(name: &OsStr) -> impl Iterator<Item = PathBuf> {
    let path = set("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.into_iter().filter_map(move |folder| absolute(&folder.join(name)).ok())
}

pub fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

/// A script by the name of `claude` that calls `claude-trace` would do so for ever.
fn leads_back_to_us(file: &Path) -> bool {
    let Some(start) = super::kind::first_bytes(file) else { return false };
    start.starts_with(b"#!") && memchr::memmem::find(&start, b"claude-trace").is_some()
}
