//! Which of the words on the command line are ours, and which the client's. Pure.
//!
//! Ours are the long options that we have, wherever they stand, up to `--` or `--run-with`, which give all that follows to
//! the client; and `-h`, `-V`. All else is the client's, in its order.

use clap::Command;
use clap::builder::ValueRange;
use std::ffi::{OsStr, OsString};

/// What the words came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Words {
    /// All for us: a subcommand.
    Ours(Vec<OsString>),
    /// A client is launched: our options, the client's words.
    Launch { ours: Vec<OsString>, clients: Vec<OsString> },
    /// One of our subcommands behind options, where it would be a word of the client's.
    Misplaced { word: String },
    /// The first word looks like a slip of one of our subcommands.
    Slip { word: String, meant: String },
}

const HELP: &str = "help";
/// Claude Code has a command of that name, too. Ours takes its server behind `--`, and options before that.
const MCP: &str = "mcp";

/// Takes the words after the program's name apart by the options and subcommands that `command` has.
pub fn split(command: &Command, words: Vec<OsString>) -> Words {
    if let Some(first) = words.first().and_then(|word| word.to_str()) {
        if first == HELP || is_ours(command, first, words.get(1)) {
            return Words::Ours(words);
        }
        if let Some(meant) = slip(command, first) {
            return Words::Slip { word: first.to_owned(), meant };
        }
    }
    let (mut ours, mut clients) = (Vec::new(), Vec::new());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" || word == "--run-with" {
            clients.extend(words);
            break;
        }
        let Some(values) = values_of(command, &word) else {
            let name = word.to_str().filter(|_| clients.is_empty());
            if let Some(name) = name.filter(|name| is_ours(command, name, words.peek())) {
                return Words::Misplaced { word: name.to_owned() };
            }
            clients.push(word);
            continue;
        };
        let has_value = word.as_encoded_bytes().contains(&b'=');
        ours.push(word);
        for n in 0..if has_value { 0 } else { values.max_values() } {
            // One that is not needed is not taken if it looks like an option.
            let is_needed = n < values.min_values();
            if is_needed || words.peek().is_some_and(|next| !next.as_encoded_bytes().starts_with(b"-")) {
                ours.extend(words.next());
            }
        }
    }
    Words::Launch { ours, clients }
}

/// Whether that is a subcommand of ours.
fn is_ours(command: &Command, name: &str, next: Option<&OsString>) -> bool {
    let is_clients = name == MCP && next.is_some_and(|next| !next.as_encoded_bytes().starts_with(b"-"));
    !is_clients && command.find_subcommand(name).is_some()
}

/// How many values our option of that name takes; `None`: it is not ours.
fn values_of(command: &Command, word: &OsStr) -> Option<ValueRange> {
    let word = word.to_str()?;
    if matches!(word, "-h" | "-V" | "--help" | "--version") {
        return Some(ValueRange::EMPTY);
    }
    let name = word.strip_prefix("--")?;
    let name = name.split('=').next().unwrap_or(name);
    let option = command.get_arguments().find(|option| option.get_long() == Some(name))?;
    Some(if option.get_action().takes_values() {
        option.get_num_args().unwrap_or(ValueRange::SINGLE)
    } else {
        ValueRange::EMPTY
    })
}

/// The subcommand that `word` was meant to be, if it is one letter off (or two neighbours changed places).
fn slip(command: &Command, word: &str) -> Option<String> {
    let is_name = word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let names = command.get_subcommands().map(Command::get_name);
    let mut near =
        names.filter(|name| is_name && name.len() > 3 && is_near(word.as_bytes(), name.as_bytes()));
    near.next().map(Into::into)
}

fn is_near(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let same_start = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (&short[same_start..], &long[same_start..]);
    match long.len() - short.len() {
        0 => {
            let swapped =
                short.len() > 1 && short[0] == long[1] && short[1] == long[0] && short[2..] == long[2..];
            short.is_empty() || short[1..] == long[1..] || swapped
        }
        1 => *short == long[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::CommandFactory;
    use proptest::prelude::*;

    fn of(words: &[&str]) -> Words {
        split(&Args::command(), words.iter().map(Into::into).collect())
    }

    fn launch(ours: &[&str], clients: &[&str]) -> Words {
        let own = |words: &[&str]| words.iter().map(Into::into).collect();
        Words::Launch { ours: own(ours), clients: own(clients) }
    }

    #[test]
    fn our_options_are_taken_wherever_they_stand_and_the_rest_keeps_its_order() {
        let words =
            ["-p", "--log", "x", "hi", "--model=opus", "--include-all-requests", "-c", "--claude-path=/x"];
        let ours = ["--log", "x", "--include-all-requests", "--claude-path=/x"];
        assert_eq!(of(&words), launch(&ours, &["-p", "hi", "--model=opus", "-c"]));
        assert_eq!(of(&[]), launch(&[], &[]));
        assert_eq!(of(&["mcp", "list"]), launch(&[], &["mcp", "list"]));
        assert_eq!(of(&["-v"]), launch(&[], &["-v"]));
        assert_eq!(of(&["-h"]), launch(&["-h"], &[]));
    }

    #[test]
    fn mcp_is_ours_with_a_separator_or_an_option_and_claude_codes_with_a_word() {
        for ours in [&["mcp", "--", "x"][..], &["mcp", "--log", "x", "--", "y"], &["mcp", "--help"], &["mcp"]]
        {
            assert_eq!(of(ours), Words::Ours(ours.iter().map(Into::into).collect()));
        }
        for clients in [&["mcp", "list"][..], &["mcp", "add", "x", "--", "y"], &["--log", "z", "mcp", "list"]]
        {
            assert!(matches!(of(clients), Words::Launch { .. }), "{clients:?}");
        }
        assert_eq!(of(&["--log", "z", "mcp", "--", "y"]), Words::Misplaced { word: "mcp".into() });
    }

    #[test]
    fn all_behind_the_separator_is_the_clients() {
        let rest = ["--log", "y", "--", "-h"];
        for separator in ["--", "--run-with"] {
            let words: Vec<&str> = ["--log", "x", separator].into_iter().chain(rest).collect();
            assert_eq!(of(&words), launch(&["--log", "x"], &rest));
        }
    }

    #[test]
    fn a_second_value_is_taken_only_if_it_is_none_of_the_options() {
        assert_eq!(of(&["--generate-html", "a", "b", "c"]), launch(&["--generate-html", "a", "b"], &["c"]));
        assert_eq!(of(&["--generate-html", "a", "-x"]), launch(&["--generate-html", "a"], &["-x"]));
    }

    #[test]
    fn a_subcommand_is_ours_and_a_slip_of_one_is_nobodys() {
        assert_eq!(of(&["verify", "-x"]), Words::Ours(vec!["verify".into(), "-x".into()]));
        for (word, meant) in
            [("verfiy", "verify"), ("verif", "verify"), ("recoverr", "recover"), ("rebair", "repair")]
        {
            assert_eq!(of(&[word]), Words::Slip { word: word.into(), meant: meant.into() });
        }
        for word in ["doctor", "config", "update", "Verify this", "proxies"] {
            assert_eq!(of(&[word]), launch(&[], &[word]));
        }
    }

    #[test]
    fn a_subcommand_behind_our_options_is_no_word_for_the_client() {
        assert_eq!(of(&["--log", "x", "run", "--", "y"]), Words::Misplaced { word: "run".into() });
        assert_eq!(of(&["--log", "x", "--", "run"]), launch(&["--log", "x"], &["run"]));
        assert_eq!(of(&["-p", "run"]), launch(&[], &["-p", "run"]));
    }

    proptest! {
        #[test]
        fn no_word_is_lost(words in proptest::collection::vec("(--)?[a-z-]{0,12}(=x)?|--log|--run-with|--", 0..12)) {
            let list: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Words::Launch { ours, clients } = of(&list) {
                let separators = usize::from(ours.len() + clients.len() < words.len());
                prop_assert_eq!(ours.len() + clients.len() + separators, words.len());
                let mut rest = words.iter();
                for client in &clients {
                    prop_assert!(rest.any(|word| client == word.as_str()));
                }
            }
        }
    }
}
