//! Which base URLs a client is told, and where they really lead.
//!
//! Each variable has a proxy of its own, and the path of the real base URL stays in the one that the client is told: so the
//! client's requests have the very paths that they would have without us, and what it sends to one API can never reach
//! another.

use super::options::LaunchArgs;
use super::settings::Settings;
use crate::failure::Failure;
use crate::words::flag_of;
use claude_trace_net::{Rules, Selection, Upstream};
use std::ffi::OsString;

const ANTHROPIC: &str = "ANTHROPIC_BASE_URL";
const OPENAI: &str = "OPENAI_BASE_URL";
const BEDROCK: &str = "ANTHROPIC_BEDROCK_BASE_URL";
const VERTEX: &str = "ANTHROPIC_VERTEX_BASE_URL";
/// Served if they are set. Those of `lib/match.js`.
const OTHERS: [&str; 3] =
    ["ANTHROPIC_BEDROCK_MANTLE_BASE_URL", "ANTHROPIC_AWS_BASE_URL", "ANTHROPIC_FOUNDRY_BASE_URL"];
const FIRST_PARTY: &str = "https://api.anthropic.com";
const HOSTS: &str = "CLAUDE_TRACE_HOSTS";
const TOOL_SEARCH: &str = "ENABLE_TOOL_SEARCH";
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// What the client would find around it.
pub struct Surroundings {
    /// Claude Code has settings of its own, and changes with its base URL.
    is_claude: bool,
    settings: Settings,
    variable: Box<Variable>,
}

/// Looks a variable up; an empty one counts as unset.
type Variable = dyn Fn(&str) -> Option<String>;

/// One base URL.
#[derive(Clone, Debug)]
pub struct Route {
    pub variable: String,
    pub upstream: Upstream,
    pub selection: Selection,
}

/// What the client is told.
#[derive(Debug, Default)]
pub struct Plan {
    /// For proxies.
    pub routes: Vec<Route>,
    /// Variables of the client.
    pub variables: Vec<(String, String)>,
    /// Base URLs that a recorder in the client's process has to know, beside those that it knows.
    pub hosts: Vec<String>,
    /// What the closing line adds where nothing was recorded.
    pub advice: Option<&'static str>,
    /// For a forward proxy.
    pub rules: Rules,
    /// What the closing line adds.
    pub remarks: Vec<String>,
    pub warnings: Vec<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process(is_claude: bool) -> Self {
        let settings = if is_claude {
            let home = std::env::home_dir().unwrap_or_default();
            Settings::read(&home, &std::env::current_dir().unwrap_or_default())
        } else {
            Settings::default()
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { is_claude, settings, variable: Box::new(variable) }
    }

    /// With what the client's arguments say.
    pub fn with_args(mut self, args: &[OsString]) -> Self {
        if self.is_claude {
            self.settings = self.settings.with_option(args);
        }
        self
    }

    /// What the client would find; settings come before the environment.
    pub fn get(&self, name: &str) -> Option<String> {
        self.settings.get(name).map(str::to_owned).or_else(|| (self.variable)(name))
    }

    /// Whether an administrator has said it.
    pub fn is_managed(&self, name: &str) -> bool {
        self.settings.is_managed(name)
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| flag_of(&value).unwrap_or(true))
    }

    fn url(&self, name: &str) -> Result<Option<Upstream>, Failure> {
        let parse =
            |text: String| text.parse().map_err(|error| Failure::new(format_args!("{name}: {error}")));
        self.get(name).map(parse).transpose()
    }

    fn openai(&self) -> Result<Upstream, Failure> {
        Ok(self.url(OPENAI)?.unwrap_or_else(|| parsed("https://api.openai.com/v1")))
    }

    /// The client's arguments, changed where its settings would outdo the variables.
    pub fn settings_override(
        &self,
        args: Vec<OsString>,
        variables: &[(String, String)],
    ) -> Result<Vec<OsString>, Failure> {
        self.settings.outdone(args, variables)
    }

    /// For a client that is behind a forward proxy: what goes to this machine does not go there.
    pub fn no_proxy(&self) -> Vec<(String, String)> {
        if !PROXIES.iter().any(|name| (self.variable)(name).is_some()) {
            return Vec::new();
        }
        let before = (self.variable)("NO_PROXY").or_else(|| (self.variable)("no_proxy"));
        let all = before.map_or_else(|| "127.0.0.1".to_owned(), |before| format!("{before},127.0.0.1"));
        ["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), all.clone())).into()
    }
}

impl Plan {
    /// For a client that records itself: it is told only what the options say. What a proxy would record is recorded.
    pub fn direct(options: &LaunchArgs, around: &Surroundings) -> Result<Self, Failure> {
        let upstream = options.upstream.iter().map(|upstream| (ANTHROPIC.to_owned(), upstream.to_string()));
        let others =
            options.base_url.iter().map(|other| (other.variable.clone(), other.upstream.to_string()));
        let variables = upstream.chain(others).collect();
        // Claude Code says nothing to OpenAI.
        let openai = if around.is_claude { None } else { Some(around.openai()?) };
        let named = options.base_url.iter().map(|other| &other.upstream);
        let hosts = openai.iter().chain(named).map(Upstream::to_string).collect();
        Ok(Self { variables, hosts, ..Self::default() })
    }

    /// For a client that goes through a forward proxy: its base URLs stay what they are.
    pub fn intercepted(options: &LaunchArgs, around: &Surroundings) -> Result<Self, Failure> {
        let mut plan = Self::direct(options, around)?;
        plan.advice = Some("it has to heed HTTPS_PROXY, and CLAUDE_TRACE_HOSTS names further hosts");
        plan.rules.include_all = options.include_all_requests;
        plan.rules.bases.extend(options.upstream.clone());
        for name in [ANTHROPIC, BEDROCK, VERTEX].into_iter().chain(OTHERS) {
            plan.rules.bases.extend(around.url(name)?);
        }
        let named = around.get(HOSTS).unwrap_or_default();
        let named = named.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        for rule in plan.hosts.iter().map(String::as_str).chain(named) {
            match rule.parse() {
                Ok(rule) => plan.rules.hosts.push(rule),
                Err(error) => plan.warnings.push(format!("{HOSTS}: {error}")),
            }
        }
        Ok(plan)
    }

    /// For a client that speaks to proxies.
    pub fn proxied(options: &LaunchArgs, around: &Surroundings) -> Result<Self, Failure> {
        let advice = Some("if it takes no base URL, --capture mitm sees it");
        let mut plan = Self { advice, ..Self::default() };
        let calls = if options.include_all_requests { Selection::All } else { Selection::ModelCalls };
        // A URL of the user's own is what his client understands.
        let anthropic = match (&options.upstream, around.url(ANTHROPIC)?) {
            (Some(upstream), _) => upstream.clone().with_version_of_messages(),
            (None, Some(own)) => own,
            (None, None) => parsed(FIRST_PARTY).with_version_of_messages(),
        };
        plan.told_of_tools(&anthropic, around);
        plan.route(ANTHROPIC, anthropic, calls, around);
        if let Some(bedrock) = bedrock(around)? {
            plan.route(BEDROCK, bedrock, calls, around);
        }
        if let Some(vertex) = vertex(around)? {
            plan.route(VERTEX, vertex, calls, around);
        }
        for name in OTHERS {
            if let Some(upstream) = around.url(name)? {
                plan.route(name, upstream, calls, around);
            }
        }
        plan.route(OPENAI, around.openai()?, Selection::All, around);
        for other in &options.base_url {
            plan.routes.retain(|route| route.variable != other.variable);
            plan.route(&other.variable, other.upstream.clone(), Selection::All, around);
        }
        Ok(plan)
    }

    fn route(&mut self, variable: &str, upstream: Upstream, selection: Selection, around: &Surroundings) {
        if around.is_managed(variable) {
            self.warnings
                .push(format!("{variable} is set by managed settings: what goes there is not recorded"));
        } else {
            self.routes.push(Route { variable: variable.to_owned(), upstream, selection });
        }
    }

    /// Claude Code leaves out what only the first party is known to understand when its base URL is another's. The upstream
    /// is the first party here, whatever the base URL says.
    fn told_of_tools(&mut self, anthropic: &Upstream, around: &Surroundings) {
        let elsewhere = around.is_on("CLAUDE_CODE_USE_BEDROCK") || around.is_on("CLAUDE_CODE_USE_VERTEX");
        let is_first_party = anthropic.origin() == FIRST_PARTY && !elsewhere;
        if around.is_claude && is_first_party && around.get(TOOL_SEARCH).is_none() {
            self.variables.push((TOOL_SEARCH.into(), "true".into()));
            self.remarks.push(format!("{TOOL_SEARCH}=true was set, as for the first-party URL"));
        }
    }
}

/// Bedrock's, if the client uses it. Its requests are signed for their host as a rule (SigV4), and a proxy is another host.
fn bedrock(around: &Surroundings) -> Result<Option<Upstream>, Failure> {
    let named = around.url(BEDROCK)?;
    if named.is_none() && !around.is_on("CLAUDE_CODE_USE_BEDROCK") {
        return Ok(None);
    }
    if around.get("AWS_BEARER_TOKEN_BEDROCK").is_none() && !around.is_on("CLAUDE_CODE_SKIP_BEDROCK_AUTH") {
        return Err(Failure::new(
            "requests to Bedrock are signed for their host (SigV4) and cannot pass a reverse proxy: \
             use --capture mitm, a token (AWS_BEARER_TOKEN_BEDROCK) or a gateway that signs \
             (CLAUDE_CODE_SKIP_BEDROCK_AUTH=1)",
        ));
    }
    if named.is_some() {
        return Ok(named);
    }
    let region = around
        .get("AWS_REGION")
        .or_else(|| around.get("AWS_DEFAULT_REGION"))
        .unwrap_or_else(|| "us-east-1".into());
    hosted("AWS_REGION", &region, |region| format!("https://bedrock-runtime.{region}.amazonaws.com"))
}

/// Vertex AI's, if the client uses it.
fn vertex(around: &Surroundings) -> Result<Option<Upstream>, Failure> {
    let named = around.url(VERTEX)?;
    if named.is_some() || !around.is_on("CLAUDE_CODE_USE_VERTEX") {
        return Ok(named);
    }
    let region = around.get("CLOUD_ML_REGION").unwrap_or_else(|| "us-east5".into());
    hosted("CLOUD_ML_REGION", &region, |region| match region {
        "global" => "https://aiplatform.googleapis.com/v1".into(),
        "us" | "eu" => format!("https://aiplatform.{region}.rep.googleapis.com/v1"),
        region => format!("https://{region}-aiplatform.googleapis.com/v1"),
    })
}

/// A host that is made of the name of a region.
fn hosted(variable: &str, region: &str, url: impl Fn(&str) -> String) -> Result<Option<Upstream>, Failure> {
    let is_name =
        !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name {
        Ok(Some(parsed(&url(region))))
    } else {
        Err(Failure::new(format_args!("{variable} is {region:?}, which is no region")))
    }
}

fn parsed(url: &str) -> Upstream {
    url.parse().expect("a URL of our own making")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn around(is_claude: bool, variables: &[(&str, &str)]) -> Surroundings {
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let variable = move |name: &str| variables.get(name).cloned();
        Surroundings { is_claude, settings: Settings::default(), variable: Box::new(variable) }
    }

    fn plan(is_claude: bool, variables: &[(&str, &str)], options: LaunchArgs) -> Result<Plan, Failure> {
        Plan::proxied(&options, &around(is_claude, variables))
    }

    fn routes(plan: &Plan) -> Vec<String> {
        plan.routes
            .iter()
            .map(|route| format!("{} {} {:?}", route.variable, route.upstream, route.selection))
            .collect()
    }

    #[test]
    fn by_default_the_public_apis_are_behind_the_proxies() {
        let plan = plan(true, &[], LaunchArgs::default()).unwrap();
        assert_eq!(
            routes(&plan),
            [
                "ANTHROPIC_BASE_URL https://api.anthropic.com ModelCalls",
                "OPENAI_BASE_URL https://api.openai.com/v1 All"
            ]
        );
        assert_eq!(plan.variables, [(TOOL_SEARCH.to_owned(), "true".to_owned())]);
    }

    #[test]
    fn tool_search_is_left_alone_unless_the_first_party_hears_of_it() {
        for (is_claude, variables) in [
            (false, &[][..]),
            (true, &[("ENABLE_TOOL_SEARCH", "false")]),
            (true, &[("ANTHROPIC_BASE_URL", "https://gw.example")]),
            (true, &[("CLAUDE_CODE_USE_VERTEX", "1")]),
        ] {
            assert_eq!(
                plan(is_claude, variables, LaunchArgs::default()).unwrap().variables,
                [],
                "{variables:?}"
            );
        }
    }

    #[test]
    fn gateways_of_the_user_are_the_upstreams_and_options_come_first() {
        let variables =
            [("ANTHROPIC_BASE_URL", "https://gw.example/llm"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")];
        let options = LaunchArgs { include_all_requests: true, ..LaunchArgs::default() };
        assert_eq!(
            routes(&plan(false, &variables, options).unwrap()),
            ["ANTHROPIC_BASE_URL https://gw.example/llm All", "OPENAI_BASE_URL http://127.0.0.1:9/v1 All"]
        );
        let options = LaunchArgs {
            upstream: Some(parsed("http://127.0.0.1:8")),
            base_url: vec![
                "OPENAI_BASE_URL=https://o.example".parse().unwrap(),
                "X=https://x.example".parse().unwrap(),
            ],
            ..LaunchArgs::default()
        };
        assert_eq!(
            routes(&plan(false, &variables, options).unwrap()),
            [
                "ANTHROPIC_BASE_URL http://127.0.0.1:8 ModelCalls",
                "OPENAI_BASE_URL https://o.example All",
                "X https://x.example All"
            ]
        );
    }

    #[test]
    fn a_client_that_records_itself_knows_the_same_hosts() {
        let hosts = |is_claude, variables: &[(&str, &str)], options: &LaunchArgs| {
            Plan::direct(options, &around(is_claude, variables)).unwrap().hosts
        };
        let none = LaunchArgs::default();
        assert_eq!(hosts(false, &[], &none), ["https://api.openai.com/v1"]);
        assert_eq!(hosts(false, &[("OPENAI_BASE_URL", "http://127.0.0.1:9")], &none), ["http://127.0.0.1:9"]);
        assert!(hosts(true, &[], &none).is_empty());
        let more =
            LaunchArgs { base_url: vec!["X=https://x.example/a".parse().unwrap()], ..LaunchArgs::default() };
        assert_eq!(hosts(true, &[], &more), ["https://x.example/a"]);
    }

    #[test]
    fn behind_a_forward_proxy_base_urls_stay_and_their_hosts_are_known() {
        let options = LaunchArgs {
            upstream: Some(parsed("https://up.example")),
            base_url: vec!["X=https://x.example/a".parse().unwrap()],
            include_all_requests: true,
            ..LaunchArgs::default()
        };
        let variables = [
            ("ANTHROPIC_BASE_URL", "https://gw.example/llm"),
            ("CLAUDE_CODE_USE_BEDROCK", "1"),
            ("ANTHROPIC_BEDROCK_BASE_URL", "https://b.example"),
            ("CLAUDE_TRACE_HOSTS", "one.example, not a host,*.two.example"),
        ];
        let plan = Plan::intercepted(&options, &around(false, &variables)).unwrap();
        assert_eq!(
            plan.variables,
            [("ANTHROPIC_BASE_URL", "https://up.example"), ("X", "https://x.example/a")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(
            plan.rules.bases,
            ["https://up.example", "https://gw.example/llm", "https://b.example"].map(parsed)
        );
        let hosts = ["https://api.openai.com/v1", "https://x.example/a", "one.example", "*.two.example"];
        assert_eq!(plan.rules.hosts, hosts.map(|rule| rule.parse().unwrap()));
        assert!(plan.rules.include_all && plan.routes.is_empty());
        assert_eq!(plan.warnings.len(), 1);
    }

    #[test]
    fn bedrock_needs_a_token_or_a_gateway() {
        let on = ("CLAUDE_CODE_USE_BEDROCK", "1");
        assert!(plan(true, &[on], LaunchArgs::default()).is_err());
        let of = |variables: &[(&str, &str)]| {
            routes(&plan(true, variables, LaunchArgs::default()).unwrap())[1].clone()
        };
        assert_eq!(
            of(&[on, ("AWS_BEARER_TOKEN_BEDROCK", "x"), ("AWS_REGION", "eu-west-1")]),
            "ANTHROPIC_BEDROCK_BASE_URL https://bedrock-runtime.eu-west-1.amazonaws.com ModelCalls"
        );
        assert_eq!(
            of(&[
                on,
                ("CLAUDE_CODE_SKIP_BEDROCK_AUTH", "1"),
                ("ANTHROPIC_BEDROCK_BASE_URL", "https://gw.example/b")
            ]),
            "ANTHROPIC_BEDROCK_BASE_URL https://gw.example/b ModelCalls"
        );
        assert!(
            plan(
                true,
                &[on, ("AWS_BEARER_TOKEN_BEDROCK", "x"), ("AWS_REGION", "evil.example/")],
                LaunchArgs::default()
            )
            .is_err()
        );
    }

    #[test]
    fn vertex_has_the_host_of_its_region() {
        for (region, url) in [
            ("global", "https://aiplatform.googleapis.com/v1"),
            ("europe-west1", "https://europe-west1-aiplatform.googleapis.com/v1"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com/v1"),
        ] {
            let variables = [("CLAUDE_CODE_USE_VERTEX", "true"), ("CLOUD_ML_REGION", region)];
            let plan = plan(true, &variables, LaunchArgs::default()).unwrap();
            assert_eq!(routes(&plan)[1], format!("ANTHROPIC_VERTEX_BASE_URL {url} ModelCalls"));
        }
    }

    #[test]
    fn a_base_url_that_is_none_is_told_by_its_variable() {
        let failure = plan(false, &[("OPENAI_BASE_URL", "nonsense")], LaunchArgs::default()).unwrap_err();
        assert!(format!("{failure:?}").contains("OPENAI_BASE_URL: "), "{failure:?}");
    }

    #[test]
    fn a_forward_proxy_of_the_user_is_not_asked_for_this_machine() {
        assert_eq!(around(false, &[]).no_proxy(), []);
        let told = around(false, &[("https_proxy", "http://p:1"), ("NO_PROXY", "a.b")]).no_proxy();
        assert!(told.iter().all(|(_, value)| value == "a.b,127.0.0.1") && told.len() == 2);
    }
}
