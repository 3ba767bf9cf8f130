//! `claude-trace ca`

use crate::failure::{Code, Failure};
use crate::out::Out;
use crate::trust;
use clap::{Args, Subcommand};
use claude_trace_net::Authority;
use claude_trace_net::authority::certificate_file;

/// The certificate authority of `--capture mitm`.
///
/// It is made on first use, for this user on this machine; its key is readable by the user alone. Only clients that are
/// launched with `--capture mitm` are told to trust it. Nothing is installed anywhere.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  claude-trace ca path
  curl --cacert \"$(claude-trace ca path)\" …
  claude-trace ca remove

Environment: CLAUDE_TRACE_CA_DIR, its folder [default: claude-trace in $XDG_DATA_HOME or
~/.local/share].

Exit codes: 0, done; 1, there was none to remove; 2, its folder cannot be used.")]
pub struct Ca {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Print where its certificate is; makes it if there is none.
    Path,
    /// Remove key and certificate. The next use makes new ones.
    Remove,
}

impl Ca {
    pub fn run(self) -> Result<Code, Failure> {
        let folder = trust::folder()?;
        match self.act {
            Act::Path => {
                Authority::open(&folder).map_err(Failure::new)?;
                let file = certificate_file(&folder).expect("it was just opened");
                Out::new().line(format_args!("{}", file.display()))?;
                Ok(Code::Ok)
            }
            Act::Remove if trust::remove(&folder)? => Ok(Code::Ok),
            Act::Remove => {
                Err(Failure::problem(format_args!("there is no authority in {}", folder.display())))
            }
        }
    }
}
