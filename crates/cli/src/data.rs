//! Where things of this user's are kept that outlive a run.

use crate::failure::Failure;
use crate::recording::set;
use std::path::PathBuf;

const NAME: &str = "claude-trace-native";

/// The folder, which may not be there yet.
pub fn folder() -> Result<PathBuf, Failure> {
    // What is not absolute is to be ignored (XDG Base Directory Specification).
    let named = set("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home =
        || std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".local/share"));
    let parent = named.or_else(home);
    parent
        .map(|parent| parent.join(NAME))
        .ok_or_else(|| Failure::new("there is no home folder: name one for data in XDG_DATA_HOME"))
}
