//! One request, and what comes of it.

use super::access::Access;
use super::body::{RequestBody, ResponseBody};
use super::patience::Patience;
use super::{Config, answer, hop, upgrade};
use crate::connect::{Connector, Dial};
use crate::failure::Failure;
use crate::tape::{Exchange, Tape};
use crate::upstream::Upstream;
use crate::wire;
use bytes::Bytes;
use claude_trace_core::exchange::Source;
use http::header::EXPECT;
use http::{HeaderValue, Request, Response, StatusCode, Version, request, response};
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

/// The upstream's answer, or the proxy's own.
pub type Answer = Response<Either<ResponseBody, Full<Bytes>>>;

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
}

/// What the requests of one client connection share.
pub struct OfConnection {
    forward: Arc<Forward>,
    /// A client that has two connections gets two: a server's limit of streams is a limit for each.
    http2: OnceLock<Client<Dial, RequestBody>>,
}

/// A request on its way, and what is to be done with its answer.
struct Sent {
    exchange: Option<Exchange>,
    patience: Option<Patience>,
    /// The client's side of the protocol that it wants to change to.
    upgrade: Option<hyper::upgrade::OnUpgrade>,
    /// What the client speaks.
    version: Version,
    /// Whether its connection stays open for another request.
    stays: bool,
}

impl Forward {
    pub fn new(Config { upstream, access, selection, .. }: Config, connector: Connector, tape: Tape) -> Self {
        let (origin, host) = (upstream.origin(), Some(upstream.host_field()));
        let of_records = upstream.clone();
        let records: Records = Box::new(move |path| selection.takes(&of_records, path));
        Self { upstream, origin, host, access, records, http1: connector.http1(), connector, tape }
    }

    /// To where the client itself wanted to get.
    pub fn to(
        upstream: Upstream,
        host: Option<HeaderValue>,
        records: Records,
        http1: Client<Dial, RequestBody>,
        connector: Connector,
        tape: Tape,
    ) -> Self {
        let origin = upstream.origin();
        Self { upstream, origin, host, access: Access::Granted, records, http1, connector, tape }
    }

    fn exchange(&self, request: &request::Parts) -> Option<Exchange> {
        if !(self.records)(request.uri.path()) {
            return None;
        }
        self.tape.begin(Source::Proxy, &self.origin, &wire::request_head(request))
    }

    fn failed(&self, exchange: Option<&Exchange>, failure: &Failure) -> Answer {
        if let Some(exchange) = exchange {
            exchange.fail(failure);
        }
        answer::unreachable(&self.origin, failure).map(Either::Right)
    }
}

impl OfConnection {
    pub fn new(forward: Arc<Forward>) -> Self {
        Self { forward, http2: OnceLock::new() }
    }

    /// Forwards a request and answers it. Dropping the future is how a client goes away.
    pub async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Answer, Infallible> {
        let forward = &*self.forward;
        let upgrade = hop::asks_for_upgrade(request.version(), request.headers())
            .then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        if let Err(refusal) = forward.access.check(&mut parts) {
            return Ok(answer::refused(refusal).map(Either::Right));
        }
        let Some(url) = forward.upstream.url(&parts.uri) else {
            return Ok(answer::bad_target().map(Either::Right));
        };
        let version = parts.version;
        let stays = hop::keeps_alive(version, &parts.headers);
        parts.uri = url;
        parts.headers =
            hop::request_fields(&parts.headers, forward.host.as_ref(), version, upgrade.is_some());
        let exchange = forward.exchange(&parts);
        let patience = expects_continue(&parts).then(Patience::new);
        let sent = Sent { exchange, patience, upgrade, version, stays };
        match self.send(parts, body, &sent).await {
            Ok(response) => Ok(sent.answered(forward, response)),
            Err(error) => Ok(forward.failed(sent.exchange.as_ref(), &Failure::of(&error))),
        }
    }

    async fn send(
        &self,
        mut parts: request::Parts,
        body: Incoming,
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
    fn answered(self, forward: &Forward, mut response: Response<Incoming>) -> Answer {
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
                Response::from_parts(parts, Either::Right(Full::default()))
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
fn adapt(parts: &mut response::Parts, version: Version, upgrades: bool, stays: bool) {
    parts.headers = hop::response_fields(&parts.headers, version, upgrades, stays);
    parts.version = if version == Version::HTTP_2 { Version::HTTP_2 } else { Version::HTTP_11 };
}

fn expects_continue(request: &request::Parts) -> bool {
    request.version == Version::HTTP_11
        && request
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
