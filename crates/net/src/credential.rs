//! Listens in the place of an API for the credential that a client shows it, and answers nothing.

use crate::error::{Error, Result};
use crate::proxy::Access;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode, request};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What a client shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`: an OAuth token.
    Token(String),
    /// `X-Api-Key`.
    ApiKey,
}

/// A listener on this machine.
pub struct Catcher {
    listener: TcpListener,
    address: SocketAddr,
}

impl Catcher {
    /// At any free port.
    pub async fn bind() -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self { address: listener.local_addr().map_err(failed)?, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the first request that shows one. It is left without an answer, so that the client does nothing about it:
    /// a refusal would make it renew its token.
    pub async fn caught(self) -> Credential {
        let (sender, mut receiver) = mpsc::channel(1);
        loop {
            tokio::select! {
                Some(credential) = receiver.recv() => return credential,
                Ok((stream, _)) = self.listener.accept() => {
                    let sender = sender.clone();
                    let service = service_fn(move |request| answer(request, sender.clone()));
                    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    sender: mpsc::Sender<Credential>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut parts, _) = request.into_parts();
    if let Some(credential) = Access::Local.check(&mut parts).ok().and_then(|()| shown_by(&parts)) {
        let _ = sender.send(credential).await;
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

fn shown_by(request: &request::Parts) -> Option<Credential> {
    let bearer = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Some(Credential::Token(token.trim().to_owned()))
        }
        _ => request.headers.contains_key("x-api-key").then_some(Credential::ApiKey),
    }
}
