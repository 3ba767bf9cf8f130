//! Which hosts are decrypted, and which of their requests are recorded. The twin of `lib/match.js`, which says why the hosts
//! and the paths are these, and of `lib/host-rule.js`. Pure.

use super::target::{Target, host_of};
use crate::error::Error;
use crate::proxy::{is_messages, is_model_call};
use crate::upstream::Upstream;
use std::str::FromStr;

/// What is recorded.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Every path of a host that is known or is a base URL's, not only calls of a model.
    pub include_all: bool,
    /// Hosts of the user's, of which every path is recorded.
    pub hosts: Vec<HostRule>,
    /// Base URLs: calls of a model under them are recorded.
    pub bases: Vec<Upstream>,
}

/// `host`, `host:port`, `*.suffix` or `http(s)://host[:port][/prefix]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// `None`: either scheme.
    is_tls: Option<bool>,
    /// With `is_suffix` the part behind the star, from its dot on.
    host: String,
    is_suffix: bool,
    /// `None`: any.
    port: Option<u16>,
    /// `` or `/a/b`.
    prefix: String,
}

/// What is recorded of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Calls of a model, wherever they are.
    calls: bool,
    /// Everything.
    all: bool,
    /// Everything under these.
    prefixes: Vec<String>,
    /// Calls of a model under these, and `/messages` right below.
    bases: Vec<String>,
}

impl Rules {
    /// What is recorded of an origin; `None`: nothing, so it is nobody's business what it says.
    pub fn of(&self, target: &Target, is_tls: bool) -> Option<Paths> {
        let is_known = is_known(target.host());
        let prefixes: Vec<_> = self
            .hosts
            .iter()
            .filter(|rule| rule.covers(target, is_tls))
            .map(|rule| rule.prefix.clone())
            .collect();
        let bases: Vec<_> = self
            .bases
            .iter()
            .filter(|base| base.is_tls() == is_tls && base.target().as_ref() == Some(target))
            .map(|base| base.prefix().to_owned())
            .collect();
        if !is_known && prefixes.is_empty() && bases.is_empty() {
            return None;
        }
        let all = self.include_all && (is_known || !bases.is_empty());
        Some(Paths { calls: is_known, all, prefixes, bases })
    }

    /// Whether a rule or a base URL names a host of this machine.
    pub fn name_this_machine(&self) -> bool {
        let is_own = |host: &str| {
            host == "localhost"
                || host.ends_with(".localhost")
                || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        self.hosts.iter().any(|rule| is_own(&rule.host))
            || self.bases.iter().filter_map(Upstream::target).any(|target| is_own(target.host()))
    }
}

impl Paths {
    /// Whether a request for `path` (without its query) is recorded.
    pub fn take(&self, path: &str) -> bool {
        self.all
            || self.prefixes.iter().any(|prefix| below(path, prefix).is_some())
            || (self.calls && is_model_call(path))
            || self
                .bases
                .iter()
                .filter_map(|base| below(path, base))
                .any(|rest| is_model_call(path) || is_messages(rest))
    }
}

impl HostRule {
    fn covers(&self, target: &Target, is_tls: bool) -> bool {
        let host = target.host();
        let is_host = if self.is_suffix { host.ends_with(&self.host) } else { host == self.host };
        is_host
            && self.is_tls.is_none_or(|wanted| wanted == is_tls)
            && self.port.is_none_or(|port| port == target.port())
    }
}

impl FromStr for HostRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        rule(text).ok_or_else(|| Error::HostRule { rule: text.chars().take(100).collect() })
    }
}

fn rule(text: &str) -> Option<HostRule> {
    let (is_tls, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(true), rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(false), rest),
        Some(_) => return None,
        None => (None, text),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if path.contains(|letter: char| letter == '?' || letter == '#' || letter.is_whitespace()) {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        Some(port) if (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok()?)
        }
        Some(_) => return None,
        // A scheme names its default port; a bare host is meant with every port.
        None => is_tls.map(|is_tls| if is_tls { 443 } else { 80 }),
    };
    let suffix = host.strip_prefix("*.");
    let name = host_of(suffix.unwrap_or(host))?;
    Some(HostRule {
        is_tls,
        host: if suffix.is_some() { format!(".{name}") } else { name },
        is_suffix: suffix.is_some(),
        port,
        prefix: path.trim_end_matches('/').to_owned(),
    })
}

/// What lies below `prefix`, by whole segments.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether that host serves Claude, whatever variables say.
fn is_known(host: &str) -> bool {
    host == "api.anthropic.com" || is_bedrock(host) || is_vertex(host) || is_foundry(host)
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_bedrock(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    if let ["bedrock-mantle" | "aws-external-anthropic", region, "api", "aws"] = labels[..] {
        return is_label(region);
    }
    const RUNTIME: [&str; 2] = ["bedrock-runtime", "bedrock-runtime-fips"];
    // A VPC endpoint has a label in front.
    let labels = match &labels[..] {
        [first, rest @ ..] if RUNTIME.contains(first) => rest,
        [first, second, rest @ ..] if is_label(first) && RUNTIME.contains(second) => rest,
        _ => return false,
    };
    let Some((region, suffix)) = labels.split_first() else { return false };
    let suffix = suffix.strip_prefix(&["vpce"]).unwrap_or(suffix).join(".");
    is_label(region)
        && matches!(
            suffix.as_str(),
            "amazonaws.com"
                | "amazonaws.com.cn"
                | "amazonaws.eu"
                | "api.aws"
                | "api.amazonwebservices.com.cn"
                | "api.amazonwebservices.eu"
        )
}

fn is_vertex(host: &str) -> bool {
    let Some(rest) = host.strip_suffix(".googleapis.com") else { return false };
    let (name, kind) = rest.split_once('.').unwrap_or((rest, ""));
    let is_name = name == "aiplatform" || name.strip_suffix("-aiplatform").is_some_and(is_label);
    is_name && (kind.is_empty() || kind == "mtls" || kind.strip_suffix(".rep").is_some_and(is_label))
}

fn is_foundry(host: &str) -> bool {
    host.strip_suffix(".services.ai.azure.com").is_some_and(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn takes(rules: &Rules, url: &str) -> bool {
        let url: http::Uri = url.parse().unwrap();
        let paths = rules.of(&Target::of_url(&url).unwrap(), url.scheme_str() == Some("https"));
        paths.is_some_and(|paths| paths.take(url.path()))
    }

    /// Each line: `+` recorded or `-` not, and a URL; as in `__test__/match.test.js`.
    fn check(rules: &Rules, table: &str) {
        for line in table.trim().lines() {
            let (sign, url) = line.trim().split_once(' ').unwrap();
            assert_eq!(takes(rules, url), sign == "+", "{line}");
        }
    }

    fn rules(hosts: &[&str], bases: &[&str]) -> Rules {
        let hosts = hosts.iter().map(|text| text.parse().unwrap()).collect();
        Rules { hosts, bases: bases.iter().map(|text| text.parse().unwrap()).collect(), ..Rules::default() }
    }

    #[test]
    fn the_known_hosts_and_what_looks_like_them() {
        check(
            &Rules::default(),
            "+ https://api.anthropic.com/v1/messages
             + https://API.Anthropic.COM:443/v1/messages?beta=true
             + https://api.anthropic.com./v1/messages/count_tokens
             - https://api.anthropic.com/v1/complete
             - https://api.anthropic.com/messages
             - https://api.anthropic.com/search?next=/v1/messages
             - https://console.anthropic.com/v1/messages
             - https://api.openai.com/v1/messages
             - https://api.anthropic.com.evil.example/v1/messages
             - https://xapi.anthropic.com/v1/messages
             - https://evil.example/api.anthropic.com/v1/messages
             + https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke
             + https://bedrock-runtime-fips.us-east-1.amazonaws.com/model/m/converse
             + https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse
             + https://bedrock-runtime.eusc-de-east-1.amazonaws.eu/model/m/converse
             + https://bedrock-runtime.us-east-1.api.aws/model/m/converse
             + https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/model/m/invoke
             + https://bedrock-mantle.us-east-1.api.aws/v1/messages
             - https://bedrock.us-east-1.amazonaws.com/model/m/invoke
             - https://bedrock-runtime.us-east-1.amazonaws.com.evil.example/model/m/invoke
             - https://bedrock-runtime.amazonaws.com/model/m/invoke
             - https://a.b.bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke
             + https://aiplatform.googleapis.com/v1/x:rawPredict
             + https://europe-west1-aiplatform.googleapis.com/v1/x:rawPredict
             + https://aiplatform.eu.rep.googleapis.com/v1/x:rawPredict
             + https://us-aiplatform.mtls.googleapis.com/v1/x:rawPredict
             - https://xaiplatform.googleapis.com/v1/x:rawPredict
             - https://storage.googleapis.com/v1/x:rawPredict
             - https://aiplatform.googleapis.com.evil.example/v1/x:rawPredict
             + https://me.services.ai.azure.com/anthropic/v1/messages
             - https://services.ai.azure.com/anthropic/v1/messages",
        );
    }

    #[test]
    fn base_urls_in_scheme_host_port_and_prefix() {
        check(
            &rules(&[], &["https://gw.example/llm", "http://127.0.0.1:4000"]),
            "+ https://gw.example/llm/v1/messages
             + https://gw.example/llm/messages
             - https://gw.example/v1/messages
             - https://gw.example/llmx/v1/messages
             - https://gw.example:8443/llm/v1/messages
             - http://gw.example/llm/v1/messages
             + http://127.0.0.1:4000/v1/messages
             + https://api.anthropic.com/v1/messages",
        );
        let all = Rules { include_all: true, ..rules(&[], &["https://gw.example/llm"]) };
        check(
            &all,
            "+ https://gw.example/x\n+ https://api.anthropic.com/x\n- https://other.example/v1/messages",
        );
    }

    #[test]
    fn host_rules_take_every_path() {
        check(
            &rules(
                &["openai.example", "*.wild.example", "port.example:8443", "https://p.example/v1/", "[::1]"],
                &[],
            ),
            "+ https://openai.example/any
             + http://openai.example:1/any
             + https://a.wild.example/x
             - https://wild.example/x
             - https://port.example/x
             + https://port.example:8443/x
             + https://p.example/v1/x
             - https://p.example/v11
             - http://p.example/v1/x
             + https://[::1]:9/x",
        );
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "", "*", "*.", "*x.b", "a*.b", "ftp://a", "a:", "a:x", "a:70000", "me@a", "a b", "a/b?c",
            "https://", "é",
        ] {
            assert_eq!(text.parse::<HostRule>().unwrap_err().code(), "TRACE_ERR_HOST_RULE", "{text}");
        }
    }

    #[test]
    fn it_is_known_whether_this_machine_is_meant() {
        assert!(!Rules::default().name_this_machine());
        for (hosts, bases) in [
            (&["localhost"][..], &[][..]),
            (&["127.0.0.2:1"], &[]),
            (&["[::1]"], &[]),
            (&[], &["http://localhost:4000"]),
        ] {
            assert!(rules(hosts, bases).name_this_machine(), "{hosts:?} {bases:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_rule_or_none(text in "(https?://)?(\\*\\.)?[a-z0-9.:*\\[\\]@_-]{0,20}(:[0-9]{0,6})?(/[a-z/?]{0,8})?|.{0,20}") {
            if let Ok(rule) = text.parse::<HostRule>() {
                prop_assert!(!rule.host.is_empty() && !rule.prefix.ends_with('/'));
                prop_assert!(!rule.is_suffix || rule.host.starts_with('.'));
            }
        }

        #[test]
        fn only_whole_names_are_known(before in "[a-z0-9.-]{0,4}", after in "[a-z0-9.-]{0,4}") {
            let host = format!("{before}api.anthropic.com{after}");
            prop_assert_eq!(is_known(&host), before.is_empty() && after.is_empty());
        }
    }
}
