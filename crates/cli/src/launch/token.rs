//! `--extract-token`: lets Claude Code say something, and keeps the token that it shows.
//!
//! It is shown to a listener on this machine, in the place of the API: no TLS check is switched off, and nothing is sent
//! anywhere.

use super::child::{Child, PassedOn};
use super::kind::is_claude_code;
use super::routes::Surroundings;
use crate::failure::{Code, Failure};
use crate::out::Out;
use claude_trace_net::credential::{Catcher, Credential};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Builder;

const PATIENCE: Duration = Duration::from_secs(60);
const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// Prints the token.
pub fn extract(claude: &Path) -> Result<ExitCode, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Failure::new)?;
    let catcher = runtime.block_on(Catcher::bind()).map_err(Failure::new)?;
    let variables = [(BASE_URL.to_owned(), format!("http://{}", catcher.address()))];
    let around = Surroundings::of_process(is_claude_code(claude, &[]));
    let args: Vec<OsString> = vec!["-p".into(), "hello".into()];
    let mut child = Child::new(claude, around.settings_override(args, &variables)?);
    child.set(&variables);
    child.set(&around.no_proxy());
    // What it says is about a request that is never answered; what is wrong with its login, it says on stderr.
    child.command().stdin(Stdio::null()).stdout(Stdio::null());
    let (sender, receiver) = mpsc::channel();
    let ended = child.run_with(PassedOn::listen()?, move |claude| {
        let pid = Pid::from_child(claude);
        runtime.spawn(async move {
            let credential = tokio::time::timeout(PATIENCE, catcher.caught()).await.ok();
            let _ = sender.send(credential);
            let _ = kill_process(pid, Signal::TERM);
        });
        // Lives for as long as the client does.
        runtime
    })?;
    match receiver.try_recv() {
        Ok(Some(Credential::Token(token))) => {
            Out::new().line(format_args!("{token}"))?;
            Ok(Code::Ok.into())
        }
        Ok(Some(Credential::ApiKey)) => {
            Err(Failure::problem("Claude Code shows an API key here, and no OAuth token"))
        }
        Ok(None) => {
            Err(Failure::problem(format_args!("Claude Code showed no token within {} s", PATIENCE.as_secs())))
        }
        Err(_) => Err(Failure::problem(format_args!("Claude Code ended ({ended}) before it showed a token"))),
    }
}
