//! The command line itself.

mod support;

use std::io::Read;
use std::process::Stdio;
use support::{command, damaged_log, fixture, ran, run};

#[test]
fn help_and_version_go_to_stdout() {
    for args in [&["--help"][..], &["-h"], &["help"], &["verify", "--help"], &["help", "repair"]] {
        let done = run(args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        assert!(done.stdout.contains("Usage: claude-trace"), "{args:?}: {}", done.stdout);
    }
    let version = run(["--version"]);
    assert_eq!(version.stdout, format!("claude-trace {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_command_describes_itself_and_its_exit_codes() {
    let help = run(["--help"]).stdout;
    for name in ["run", "proxy", "rules", "ca", "mcp", "recover", "verify", "repair"] {
        assert!(help.contains(&format!("\n  {name} ")), "{help}");
        let help = run([name, "--help"]).stdout;
        for part in ["Examples:", "Exit codes:"] {
            assert!(help.contains(part), "{name} lacks {part}: {help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{name} is too wide");
    }
}

#[test]
fn a_wrong_command_line_is_told_with_what_was_meant() {
    for (args, words) in [
        (&["verfiy", "x"][..], "'verify'"),
        (&["verify", "--jsn", "x"], "'--json'"),
        (&["run", "--captrue", "proxy", "--", "x"], "'--capture'"),
        (&["run"], "<COMMAND>"),
        (&["mcp"], "<SERVER>"),
        (&["mcp", "--nmae", "x", "--", "y"], "'--name'"),
        (&["--log", "x", "run", "--", "y"], "claude-trace run [OPTIONS]"),
        (&["proxy", "--upstream", "api.anthropic.com"], "http(s)://host"),
        (&["proxy", "--listen", "0.0.0.0:0"], "--allow-remote"),
        (&["proxy", "--listen", "0.0.0.0:0", "--allow-remote"], "CLAUDE_TRACE_PROXY_TOKEN"),
        (&["--capture", "magic"], "[possible values: node, proxy, mitm, bun]"),
        (&["--log", "../x", "--claude-path", "/bin/true"], "a plain file name"),
        (&["verify"], "<FILE>"),
        (&["rules", "check"], "<FILE>"),
        (&["proxy", "--rules", "/no/such/rules.toml"], "cannot read the rules in /no/such/rules.toml: "),
        (&["run", "--rules", "x", "--capture", "node", "--", "/bin/true"], "use --capture proxy or mitm"),
        (&["repair", "a", "b"], "unexpected argument 'b'"),
        (&["repair", "--in-place", "--output", "a", "b"], "cannot be used with"),
        (&["verify", "--max-line", "lots", "x"], "KiB"),
        (&["recover", "/no/such/folder"], "/no/such/folder is not a folder"),
    ] {
        let done = run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
        assert!(done.stderr.starts_with("claude-trace: ") && done.stderr.contains(words), "{}", done.stderr);
        assert!(!done.stderr.contains("error:"), "{}", done.stderr);
    }
}

#[test]
fn what_comes_later_says_so_in_one_line() {
    for args in [&["--generate-html", "log.jsonl"][..], &["--index"]] {
        let done = run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
        assert!(
            done.stderr.contains("comes with a later version") && done.stderr.lines().count() == 1,
            "{}",
            done.stderr
        );
    }
}

#[test]
fn colours_are_for_terminals_alone() {
    let log = fixture("v1.jsonl");
    let done = run(["verify".as_ref(), log.as_os_str()]);
    assert!(!done.stdout.contains('\u{1b}'));
    // What a terminal would show: a wish for colours stands for the terminal that a test does not have.
    let verify = || command(["verify".as_ref(), log.as_os_str()]);
    let coloured = ran(verify().env("CLICOLOR_FORCE", "1").output().unwrap());
    assert!(coloured.stdout.contains("\u{1b}[32mok"), "{:?}", coloured.stdout);
    let plain = ran(verify().env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap());
    assert_eq!(plain.stdout, done.stdout);
}

#[test]
fn a_reader_that_goes_away_changes_neither_exit_code_nor_stderr() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::write(&log, damaged_log().repeat(2000)).unwrap();
    let mut child = command(["verify".as_ref(), "--max-problems=100000".as_ref(), log.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One byte, and the pipe is closed while the command has far more to say than fits into it.
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(1), &b""[..]));
}
