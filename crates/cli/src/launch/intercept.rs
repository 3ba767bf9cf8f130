//! What a client is told so that it goes through a forward proxy of ours, and how that gets on from there.

use super::routes::Surroundings;
use crate::failure::Failure;
use claude_trace_net::Rules;
use claude_trace_net::connect::{Connector, Matcher};
use std::path::PathBuf;
use std::time::Duration;

/// curl reads the small ones alone, others the large ones.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// Only for a client that has it already: it would lead around us.
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// What is on this machine is as near without us.
const THIS_MACHINE: &str = "localhost,127.0.0.1,::1";
/// Node heeds the variables above only if this is set (22.21, 24).
const OF_NODE: &str = "NODE_USE_ENV_PROXY";

/// The way to upstreams: through the forward proxy that the client would use without us.
pub fn connector(around: &Surroundings, named: &[PathBuf], timeout: Duration) -> Result<Connector, Failure> {
    let first = |names: [&str; 2]| names.iter().find_map(|name| around.get(name)).unwrap_or_default();
    let proxies = Matcher::builder()
        .all(first(ALL))
        .https(first(["HTTPS_PROXY", "https_proxy"]))
        .http(first(["http_proxy", "HTTP_PROXY"]))
        .no(first(NO_PROXY))
        .build();
    for url in ["https://host.invalid", "http://host.invalid"] {
        let url = url.parse().expect("a URL of our own making");
        if let Some(proxy) = proxies.intercept(&url).filter(|proxy| proxy.uri().scheme_str() != Some("http"))
        {
            return Err(Failure::new(format_args!(
                "the forward proxy {} cannot be gone through: --capture mitm speaks to proxies by http:// alone",
                proxy.uri()
            )));
        }
    }
    let extra = around.get("NODE_EXTRA_CA_CERTS").map(PathBuf::from).filter(|path| path.is_file());
    let roots: Vec<_> = named.iter().cloned().chain(extra).collect();
    Connector::through(proxies, &roots, timeout).map_err(Failure::new)
}

/// Variables that lead to the proxy at `url`.
pub fn variables(url: &str, rules: &Rules, around: &Surroundings) -> Vec<(String, String)> {
    let theirs = ALL.into_iter().filter(|name| around.get(name).is_some());
    let proxies = PROXIES.into_iter().chain(theirs).map(|name| (name.to_owned(), url.to_owned()));
    // The user's exceptions are ours to make, on the way from us.
    let none = if rules.name_this_machine() { "" } else { THIS_MACHINE };
    let exceptions = NO_PROXY.map(|name| (name.to_owned(), none.to_owned()));
    proxies.chain(exceptions).chain([(OF_NODE.to_owned(), "1".to_owned())]).collect()
}

/// What an administrator has set otherwise.
pub fn warnings(variables: &[(String, String)], around: &Surroundings) -> Vec<String> {
    let managed = variables.iter().filter(|(name, _)| around.is_managed(name));
    managed
        .map(|(name, _)| format!("{name} is set by managed settings: what follows from it is not recorded"))
        .collect()
}
