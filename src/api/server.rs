//! Connections: taken, bounded in number, all together and of each address, and in time, and ended.
//!
//! `axum::serve` gives hyper no timer, and so waits for a request's head without end; here it has one. A connection
//! without a request is closed after the same time, and so is one whose client does not read its answer ([`Socket`]).

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{State, guard::Terms, host::Hosts, router, socket::Socket};

/// Connections open at once; the next waits for one to end. With 128 KiB of buffer each, at most 512 MiB, beside
/// [`Limits::answers_kib`] and what the system keeps; what is not taken is let go of after [`Limits::request`].
const CONNECTIONS_MAX: usize = 4_096;
/// Of one address, at most: who loses count of theirs does not keep all others out, nor a probe that asks whether it lives.
const CONNECTIONS_OF_ONE_MAX: usize = CONNECTIONS_MAX / 2;
/// Connections that may wait to be accepted, as `TcpListener::bind` has it.
const BACKLOG: u32 = 1_024;
/// What the system keeps of an answer until it is taken; Linux keeps twice as much. Left to itself, it keeps megabytes of
/// each connection, and says that there is room again only once a third is taken: a slow reader would seem to take nothing.
const SEND_BUFFER_BYTES: u32 = 128 * 1_024;
/// What hyper buffers of a connection, at most: the longest URI it takes (64 KiB), and headers.
const BUFFER_BYTES_MAX: usize = 128 * 1_024;
/// After a failure to accept, which is mostly a lack of file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So many failures in a row and the listener is given up: a minute without one connection.
const ACCEPT_FAILURES_MAX: u32 = 60;
/// How long requests may go on once the server is told to stop; the process has 30 s for all it has to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Bounds on one request and its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the head; then again for the body and the answer's beginning; then for each wait until more of it is taken.
    pub(super) request: Duration,
    pub(super) body_bytes: usize,
    pub(super) connections_of_one: usize,
    /// Of all answers together that wait to be taken, but short ones.
    pub(super) answers_kib: usize,
    /// How old what is told of all services may be.
    pub(super) overview_age: Duration,
}

/// The contract's. There is room for some hundred clients that each ask for all they may, and nobody fetches a page or
/// scrapes metrics more often than once a second.
pub(super) const LIMITS: Limits = Limits {
    request: Duration::from_secs(30),
    body_bytes: 1_024 * 1_024,
    connections_of_one: CONNECTIONS_OF_ONE_MAX,
    answers_kib: 256 * 1_024,
    overview_age: Duration::from_secs(1),
};

/// Binds `address`, within a runtime. Whoever is accepted has the listener's buffer.
///
/// # Errors
/// If the address cannot be had.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // An instance that starts again does not wait for its predecessor's connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Answers on `listener` until `stop`, then lets requests end.
///
/// # Errors
/// If `listener` has no address, or for a minute no connection could be accepted.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_within(LIMITS, listener, state, stop).await
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    state: Arc<State>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let hosts = Hosts::of(listener.local_addr()?, &state.advertise);
    let room = Arc::new(Semaphore::new(limits.answers_kib));
    let router = router(state, Terms { limits, hosts, room }, stopped.clone());
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut peers = Peers::default();
    let mut stop = pin!(stop);
    let ended = loop {
        let accepted = tokio::select! {
            () = &mut stop => break Ok(()),
            accepted = accept(&listener, &permits) => accepted,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Ok(peer) = ended {
                    peers.leave(peer);
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                if !peers.enter(peer, limits.connections_of_one) {
                    // Dropped, it is closed.
                    continue;
                }
                let conversation = converse(limits, stream, router.clone(), stopped.clone(), permit);
                connections.spawn(async move {
                    conversation.await;
                    peer
                });
            }
            Err(fault) => break Err(fault),
        }
    };
    drop(listener);
    stopping.send_replace(true);
    let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut off");
    }
    ended
}

/// How many connections each address has; of those without any, nothing is kept.
#[derive(Debug, Default)]
struct Peers(HashMap<IpAddr, usize>);

impl Peers {
    /// Counts one more, unless it has `max`.
    fn enter(&mut self, peer: IpAddr, max: usize) -> bool {
        let n_open = self.0.entry(peer).or_default();
        let is_let_in = *n_open < max;
        *n_open += usize::from(is_let_in);
        is_let_in
    }

    fn leave(&mut self, peer: IpAddr) {
        if let Entry::Occupied(mut open) = self.0.entry(peer) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

type Accepted = (TcpStream, IpAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> io::Result<Accepted> {
    let permit = permits.clone().acquire_owned().await.expect("it is never closed");
    let mut n_failures = 0;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => return Ok((stream, from.ip().to_canonical(), permit)),
            // The other side left before its turn.
            Err(fault) if is_of_one_connection(&fault) => {}
            Err(fault) => {
                n_failures += 1;
                if n_failures > ACCEPT_FAILURES_MAX {
                    return Err(fault);
                }
                tracing::warn!(%fault, "no connection could be accepted");
                sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

fn is_of_one_connection(fault: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&fault.kind())
}

/// Waits until the server is to stop, or is gone, which is the same.
pub(super) async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopping| *stopping).await);
}

/// One connection, until either side ends it. `permit` is its place among those allowed.
async fn converse(
    limits: Limits,
    stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    // Server-sent events are small and must not wait for more; if it cannot be set, they are only slower.
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%fault, "no TCP_NODELAY");
    }
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request)
        .max_buf_size(BUFFER_BYTES_MAX);
    let socket = TokioIo::new(Socket::new(stream, limits.request));
    let mut connection = pin!(builder.serve_connection(socket, TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(fault) = ended {
        tracing::debug!(%fault, "a connection ended");
    }
    drop(permit);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What befalls many connections is no lack of the listener's; what does not pass by itself is.
    #[test]
    fn a_connection_that_ended_before_its_turn_is_no_failure_to_accept() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionAborted, true),
            (io::ErrorKind::ConnectionReset, true),
            (io::ErrorKind::Interrupted, true),
            (io::ErrorKind::OutOfMemory, false),
            (io::ErrorKind::Other, false),
        ] {
            assert_eq!(is_of_one_connection(&kind.into()), expected, "{kind:?}");
        }
    }
}
