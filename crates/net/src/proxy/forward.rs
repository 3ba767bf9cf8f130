//! One request, and what comes of it.

use super::access::Access;
use super::body::{Broken, RequestBody, ResponseBody};
use super::patience::Patience;
use super::ruled::{Aborted, Gathered, Matched};
use super::{Config, answer, hop, upgrade};
use crate::connect::{Connector, Dial};
use crate::failure::Failure;
use crate::tape::{Exchange, Tape};
use crate::upstream::Upstream;
use crate::wire;
use bytes::Bytes;
use claude_trace_core::exchange::Source;
use claude_trace_core::interceptor::Registry;
use http::header::EXPECT;
use http::{HeaderValue, Request, Response, StatusCode, Version, request, response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

/// The upstream's answer, or the proxy's own.
pub type Answer = Response<Either<ResponseBody, Own>>;

/// A body that is the proxy's own, or that rules have changed.
pub type Own = UnsyncBoxBody<Bytes, Broken>;

/// The proxy's own answer.
pub fn own(answer: Response<Full<Bytes>>) -> Answer {
    answer.map(|body| Either::Right(body.map_err(|never| match never {}).boxed_unsync()))
}

/// The way of the few, in a box of its own: the others need no room for it.
type Ruled = Pin<Box<dyn Future<Output = Result<Answer, Aborted>> + Send>>;

/// Whether a request for a path is recorded.
type Records = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What all connections of a worker share.
pub struct Forward {
    upstream: Upstream,
    origin: String,
    /// What requests say in `Host`; `None`: what they came with.
    host: Option<HeaderValue>,
    access: Access,
    records: Records,
    connector: Connector,
    http1: Client<Dial, RequestBody>,
    tape: Tape,
    live: Option<Arc<Registry>>,
}

/// What the requests of one client connection share.
pub struct OfConnection {
    forward: Arc<Forward>,
    /// A client that has two connections gets two: a server's limit of streams is a limit for each.
    http2: OnceLock<Client<Dial, RequestBody>>,
}

/// A request on its way, and what is to be done with its answer.
pub struct Sent {
    pub exchange: Option<Exchange>,
    /// How many bytes of the body it has been told of already.
    pub told: usize,
    pub patience: Option<Patience>,
    /// The client's side of the protocol that it wants to change to.
    pub upgrade: Option<hyper::upgrade::OnUpgrade>,
    /// What the client speaks.
    pub version: Version,
    /// Whether its connection stays open for another request.
    pub stays: bool,
}

impl Forward {
    pub fn new(
        Config { upstream, access, selection, live, .. }: Config,
        connector: Connector,
        tape: Tape,
    ) -> Self {
        let (origin, host) = (upstream.origin(), Some(upstream.host_field()));
        let of_records = upstream.clone();
        let records: Records = Box::new(move |path| selection.takes(&of_records, path));
        Self { upstream, origin, host, access, records, http1: connector.http1(), connector, tape, live }
    }

    /// To where the client itself wanted to get.
    pub fn to(
        upstream: Upstream,
        host: Option<HeaderValue>,
        records: Records,
        http1: Client<Dial, RequestBody>,
        connector: Connector,
        tape: Tape,
        live: Option<Arc<Registry>>,
    ) -> Self {
        let origin = upstream.origin();
        Self { upstream, origin, host, access: Access::Granted, records, http1, connector, tape, live }
    }

    /// The interceptors of a request, if one matches, or may.
    fn matched(&self, request: &request::Parts) -> Option<Matched> {
        let registry = self.live.as_ref().filter(|registry| !registry.is_empty())?;
        Matched::of(registry, request.method.as_str().as_bytes(), request.uri.to_string().as_bytes())
    }

    pub fn exchange(&self, request: &request::Parts) -> Option<Exchange> {
        if !(self.records)(request.uri.path()) {
            return None;
        }
        self.tape.begin(Source::Proxy, &self.origin, &wire::request_head(request))
    }

    /// The same with a head and a time (on the monotonic clock) of its own.
    pub fn exchange_at(&self, path: &str, head: &[u8], asked: u64) -> Option<Exchange> {
        if !(self.records)(path) {
            return None;
        }
        self.tape.begin_at(Source::Proxy, &self.origin, head, asked)
    }

    pub fn failed(&self, exchange: Option<&Exchange>, failure: &Failure) -> Answer {
        if let Some(exchange) = exchange {
            exchange.fail(failure);
        }
        own(answer::unreachable(&self.origin, failure))
    }
}

impl OfConnection {
    pub fn new(forward: Arc<Forward>) -> Self {
        Self { forward, http2: OnceLock::new() }
    }

    /// What all connections of its worker share.
    pub fn forward(&self) -> &Forward {
        &self.forward
    }

    /// Forwards a request and answers it. Dropping the future is how a client goes away.
    pub async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Answer, Aborted> {
        let forward = &*self.forward;
        let upgrade = hop::asks_for_upgrade(request.version(), request.headers())
            .then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        if let Err(refusal) = forward.access.check(&mut parts) {
            return Ok(own(answer::refused(refusal)));
        }
        let Some(url) = forward.upstream.url(&parts.uri) else {
            return Ok(own(answer::bad_target()));
        };
        let version = parts.version;
        let stays = hop::keeps_alive(version, &parts.headers);
        parts.uri = url;
        parts.headers =
            hop::request_fields(&parts.headers, forward.host.as_ref(), version, upgrade.is_some());
        let mut sent = Sent { exchange: None, told: 0, patience: None, upgrade, version, stays };
        if let Some(matched) = forward.matched(&parts) {
            let ruled: Ruled = Box::pin(Arc::clone(&self).ruled(matched, parts, body, sent));
            return ruled.await;
        }
        sent.exchange = forward.exchange(&parts);
        sent.patience = expects_continue(&parts).then(Patience::new);
        match self.send(parts, Either::Left(body), &sent).await {
            Ok(response) => Ok(sent.answered(forward, response)),
            Err(error) => Ok(forward.failed(sent.exchange.as_ref(), &Failure::of(&error))),
        }
    }

    pub async fn send(
        &self,
        mut parts: request::Parts,
        body: Either<Incoming, Gathered<Incoming>>,
        sent: &Sent,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        // An upgraded connection's bytes count as the body: see `upgrade`.
        if let Some(exchange) =
            sent.exchange.as_ref().filter(|_| sent.upgrade.is_none() && body.is_end_stream())
        {
            exchange.request_end();
        }
        // The connection says which version it is; one of HTTP/2 would be refused where the server speaks none.
        parts.version = Version::HTTP_11;
        let body = RequestBody::new(
            body,
            sent.exchange.clone().filter(|_| sent.upgrade.is_none()),
            sent.told,
            sent.patience.as_ref(),
        );
        let mut request = Request::from_parts(parts, body);
        if let Some(patience) = sent.patience.clone() {
            hyper::ext::on_informational(&mut request, move |informational| {
                if informational.status() == StatusCode::CONTINUE {
                    patience.wanted();
                }
            });
        }
        if sent.version == Version::HTTP_2 {
            self.http2.get_or_init(|| self.forward.connector.http2()).request(request).await
        } else {
            self.forward.http1.request(request).await
        }
    }
}

impl Sent {
    pub fn answered(self, forward: &Forward, mut response: Response<Incoming>) -> Answer {
        let turned =
            (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut response));
        let (mut parts, body) = response.into_parts();
        if let Some(exchange) = &self.exchange {
            exchange.response_head(&wire::response_head(&parts));
        }
        if let Some(patience) = &self.patience {
            patience.answered();
        }
        match (self.upgrade, turned) {
            (Some(client), Some(upstream)) => {
                tokio::spawn(upgrade::relay(client, upstream, self.exchange));
                adapt(&mut parts, self.version, true, self.stays);
                own(Response::from_parts(parts, Full::default()))
            }
            (None, Some(_)) => {
                let failure = Failure::new("", "101 Switching Protocols, which nobody had asked for".into());
                forward.failed(self.exchange.as_ref(), &failure)
            }
            (upgrade, None) => {
                if let Some(exchange) = self.exchange.as_ref().filter(|_| upgrade.is_some()) {
                    exchange.request_end();
                }
                adapt(&mut parts, self.version, false, self.stays);
                Response::from_parts(
                    parts,
                    Either::Left(ResponseBody::new(body, self.exchange, self.patience)),
                )
            }
        }
    }
}

/// To the client's own connection.
pub fn adapt(parts: &mut response::Parts, version: Version, upgrades: bool, stays: bool) {
    parts.headers = hop::response_fields(&parts.headers, version, upgrades, stays);
    parts.version = if version == Version::HTTP_2 { Version::HTTP_2 } else { Version::HTTP_11 };
}

pub fn expects_continue(request: &request::Parts) -> bool {
    request.version == Version::HTTP_11
        && request
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
