//! `claude-trace ca`

use crate::data;
use crate::failure::{Code, Failure};
use crate::launch::forget_trust;
use crate::out::Out;
use clap::{Args, Subcommand};
use claude_trace_net::Ca;
use std::io::Write;

/// The certificate authority of --capture mitm.
///
/// It is made when it is first needed, lives for a year in the user's data folder, and is trusted by launched programs alone.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Its folder is $XDG_DATA_HOME/claude-trace-native, or ~/.local/share/claude-trace-native: ca.pem, and
ca-key.pem, which is the user's alone.

Examples:
  openssl x509 -in \"$(claude-trace ca path)\" -noout -text
  claude-trace ca remove

Exit codes: 0, it was done; 2, a file cannot be used.")]
pub struct Authority {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print where its certificate is; it is made if there is none.
    Path,
    /// Delete its key, its certificate, and the files that were made with it.
    Remove,
}

impl Authority {
    pub fn run(self) -> Result<Code, Failure> {
        let folder = data::folder()?;
        let mut out = Out::new();
        match self.what {
            What::Path => {
                let ca = Ca::open(&folder).map_err(Failure::new)?;
                if ca.is_new {
                    // A closed stderr is no reason to fail.
                    let _ = writeln!(std::io::stderr(), "claude-trace: a certificate authority was made");
                }
                out.line(format_args!("{}", ca.path().display()))?;
            }
            What::Remove => {
                let mut removed = Ca::remove(&folder).map_err(Failure::new)?;
                removed.extend(forget_trust(&folder)?);
                for path in &removed {
                    out.line(format_args!("removed {}", path.display()))?;
                }
                if removed.is_empty() {
                    out.line(format_args!("nothing to remove in {}", folder.display()))?;
                }
            }
        }
        Ok(Code::Ok)
    }
}
