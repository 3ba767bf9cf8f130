//! Which exchanges an interceptor is for.

/// All of what is given must fit; a list fits if one of it does; an empty one fits always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `host` or `host:port`.
    pub hosts: Vec<Pattern>,
    /// The path, without the query.
    pub paths: Vec<Pattern>,
    /// In any case.
    pub methods: Vec<String>,
    /// What a message of JSON-RPC asks for. An exchange that is known by its head alone does not fit.
    pub asked: Vec<Pattern>,
    /// The same for the tool that it calls.
    pub tools: Vec<Pattern>,
}

/// What a message of JSON-RPC asks for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its method.
    pub method: &'a str,
    /// The tool, if the method calls one.
    pub tool: Option<&'a str>,
}

/// A text in which `*` stands for anything, nothing included. Case does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Rule {
    /// Whether it goes by what messages ask for.
    pub fn asks(&self) -> bool {
        !(self.asked.is_empty() && self.tools.is_empty())
    }

    /// Whether it fits a request.
    pub fn fits(&self, method: &[u8], url: &[u8]) -> bool {
        !self.asks() && self.fits_head(method, url)
    }

    /// Whether it fits a request with these messages: one of them, if it goes by them.
    pub fn fits_calls(&self, method: &[u8], url: &[u8], calls: &[Call<'_>]) -> bool {
        self.fits(method, url) || calls.iter().any(|call| self.asks() && self.fits_call(method, url, *call))
    }

    /// Whether it fits a request that is a message.
    pub fn fits_call(&self, method: &[u8], url: &[u8], call: Call<'_>) -> bool {
        let any = |list: &[Pattern], text: &str| {
            list.is_empty() || list.iter().any(|pattern| pattern.fits(text.as_bytes()))
        };
        self.fits_head(method, url)
            && any(&self.asked, call.method)
            && (self.tools.is_empty() || call.tool.is_some_and(|tool| any(&self.tools, tool)))
    }

    /// Whether it fits as far as a head says.
    pub fn fits_head(&self, method: &[u8], url: &[u8]) -> bool {
        let (host, path) = parts(url);
        let name = host.iter().rposition(|byte| *byte == b':').map_or(host, |colon| &host[..colon]);
        let any = |list: &[Pattern], texts: &[&[u8]]| {
            list.is_empty() || list.iter().any(|pattern| texts.iter().any(|text| pattern.fits(text)))
        };
        (self.methods.is_empty()
            || self.methods.iter().any(|wanted| method.eq_ignore_ascii_case(wanted.as_bytes())))
            && any(&self.hosts, &[host, name])
            && any(&self.paths, &[path])
    }
}

/// Host (and port, if it is named) and path of an absolute URL.
fn parts(url: &[u8]) -> (&[u8], &[u8]) {
    let rest = memchr::memmem::find(url, b"://").map_or(url, |scheme| &url[scheme + 3..]);
    let path_at = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (host, path) = rest.split_at(path_at);
    let host = host.iter().rposition(|byte| *byte == b'@').map_or(host, |at| &host[at + 1..]);
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    (host, if end == 0 { b"/" } else { &path[..end] })
}

impl Pattern {
    /// The pattern that `text` is.
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into_bytes())
    }

    /// Whether it fits the whole of a text. Looks at each byte of the text once for each star.
    pub fn fits(&self, text: &[u8]) -> bool {
        let (mut p, mut t) = (0, 0);
        // Where to go on when what follows the last star does not fit: behind the star, one byte further in the text.
        let mut again: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.0.get(p) {
                Some(b'*') => {
                    again = Some((p + 1, t));
                    p += 1;
                }
                Some(byte) if *byte == text[t].to_ascii_lowercase() => {
                    p += 1;
                    t += 1;
                }
                _ => match again {
                    Some((star, from)) => {
                        again = Some((star, from + 1));
                        (p, t) = (star, from + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0[p..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                naive(rest, text) || text.split_first().is_some_and(|(_, text)| naive(pattern, text))
            }
            (Some((p, pattern)), Some((t, text))) if p == t => naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_it_should(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(Pattern::new(&pattern).fits(text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_call_fits_by_its_method_and_its_tool() {
        let rule = |asked: &[&str], tools: &[&str]| Rule {
            hosts: vec![Pattern::new("files")],
            asked: asked.iter().map(|text| Pattern::new(text)).collect(),
            tools: tools.iter().map(|text| Pattern::new(text)).collect(),
            ..Rule::default()
        };
        let fits = |rule: Rule, method, tool| {
            let url = format!("mcp+stdio://files/{method}");
            let head = rule.fits(b"POST", url.as_bytes());
            assert!(!head || (rule.asked.is_empty() && rule.tools.is_empty()), "a head does not say it");
            rule.fits_call(b"POST", url.as_bytes(), Call { method, tool })
        };
        assert!(fits(rule(&[], &[]), "ping", None));
        assert!(fits(rule(&["x", "tools/*"], &[]), "tools/list", None));
        assert!(fits(rule(&[], &["delete_*"]), "tools/call", Some("delete_file")));
        assert!(!fits(rule(&["tools/call"], &["delete_*"]), "tools/call", Some("read_file")));
        assert!(!fits(rule(&["tools/call"], &["*"]), "tools/call", None));
        assert!(!fits(rule(&["ping"], &[]), "tools/call", None));
        assert!(!Rule { hosts: vec![Pattern::new("x")], ..rule(&[], &[]) }.fits_call(
            b"POST",
            b"mcp+stdio://files/ping",
            Call { method: "ping", tool: None }
        ));
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let rule = |hosts: &[&str], paths: &[&str], methods: &[&str]| Rule {
            hosts: hosts.iter().map(|text| Pattern::new(text)).collect(),
            paths: paths.iter().map(|text| Pattern::new(text)).collect(),
            methods: methods.iter().map(ToString::to_string).collect(),
            ..Rule::default()
        };
        let fits = |rule: Rule| rule.fits(b"POST", b"https://api.anthropic.com/v1/messages?beta=true");
        assert!(fits(Rule::default()));
        assert!(fits(rule(&["other", "*.Anthropic.com"], &["/v1/*"], &["post"])));
        assert!(!fits(rule(&["*.anthropic.com"], &["/v1/messages/*"], &[])));
        assert!(!fits(rule(&["anthropic.com"], &[], &[])), "the whole host");
        assert!(!fits(rule(&[], &["/v1/messages"], &["GET"])));
        let local = |host| rule(&[host], &[], &[]).fits(b"GET", b"http://127.0.0.1:8080?x");
        assert!(local("127.0.0.1") && local("127.0.0.1:8080") && !local("127.0.0.1:80"));
        assert!(rule(&[], &["/"], &[]).fits(b"GET", b"http://a?x=/y"));
    }
}
