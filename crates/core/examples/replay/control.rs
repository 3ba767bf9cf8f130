//! What a machine makes of the same work at another time: as many records as a tenth of a long run has, in a fresh process with
//! a log of its own. What both cost more than before is the machine's; what the long run alone costs more is ours.

use super::options::Options;
use serde_json::{Value, json};
use std::process::Command;

pub struct Control {
    records: usize,
    cpu_seconds: f64,
    user_seconds: f64,
}

impl Control {
    /// Runs this program again.
    pub fn ask(options: &Options, body_bytes: usize, records: usize) -> Self {
        let megabytes = (records * body_bytes / 1_000_000).max(1);
        let output = Command::new(std::env::current_exe().expect("a program knows where it is"))
            .args(["--kind", options.kind.name(), "--megabytes", &megabytes.to_string()])
            .args(["--body-bytes", &options.body_bytes.to_string()])
            .args(["--producers", &options.producers.to_string(), "--workers", &options.workers_text()])
            .arg("--log-dir")
            .arg(&options.log_dir)
            .arg("--spool-dir")
            .arg(&options.spool_dir)
            .output()
            .expect("it can be run again");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        let seconds = |key: &str| answer[key].as_f64().expect("it says so");
        Self {
            records: answer["records"].as_u64().expect("it says so") as usize,
            cpu_seconds: seconds("cpuSeconds"),
            user_seconds: seconds("userSeconds"),
        }
    }

    pub fn to_json(&self) -> Value {
        json!({ "records": self.records, "cpuSeconds": self.cpu_seconds, "userSeconds": self.user_seconds })
    }
}
