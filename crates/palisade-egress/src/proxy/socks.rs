//! SOCKS5 (RFC 1928) with user and password (RFC 1929): CONNECT to a host by name.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::plan::{Identity, Plan};
use super::{Denial, Session, tunnel};
use crate::decision::{Reason, Refusal};
use crate::event::Form;
use crate::target::Host;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const DOMAIN: u8 = 3;

// Replies of RFC 1928 section 6.
const SUCCEEDED: u8 = 0;
const NOT_ALLOWED: u8 = 2;
const HOST_UNREACHABLE: u8 = 4;
const COMMAND_UNKNOWN: u8 = 7;
const ADDRESS_TYPE_UNKNOWN: u8 = 8;

/// Serves a client whose first byte was read.
pub(super) async fn serve(mut session: Session, mut stream: TcpStream) -> io::Result<()> {
    let plan = session.shared.registry.plan();
    let begin = session.shared.limits.begin;
    let greeted = timeout(begin, greet(&session, &plan, &mut stream)).await??;
    let Some((identity, child)) = greeted else {
        return Ok(());
    };
    session.child = child;
    let request = match timeout(begin, request(&mut stream)).await?? {
        Ok(request) => request,
        Err(code) => return reply(&mut stream, code).await,
    };
    let (host, port) = request;
    let policy = identity.guard.policy();
    let judged = host
        .map_err(|reason| Refusal::new(reason, "SOCKS host"))
        .and_then(|host| policy.check_host(host, port));
    match session.open(Form::Socks, &plan, &identity, judged).await {
        Ok(opened) => {
            reply(&mut stream, SUCCEEDED).await?;
            tunnel::run(session, identity, Box::new(stream), opened).await
        }
        Err(Denial::Refused(_)) => reply(&mut stream, NOT_ALLOWED).await,
        Err(Denial::Unreachable) => reply(&mut stream, HOST_UNREACHABLE).await,
    }
}

/// Who this is; `None` where that was answered with a no.
async fn greet(
    session: &Session,
    plan: &Plan,
    stream: &mut TcpStream,
) -> io::Result<Option<(Arc<Identity>, Option<u64>)>> {
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    let by_listener = session.by_listener(plan);
    let by_listener = by_listener.map(|identity| (identity, session.child));
    if by_listener.is_some() && methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
        return Ok(by_listener);
    }
    if !methods.contains(&USER_PASSWORD) {
        session.unknown(Form::Socks);
        stream.write_all(&[VERSION, NO_METHOD]).await?;
        return Ok(None);
    }
    stream.write_all(&[VERSION, USER_PASSWORD]).await?;
    if stream.read_u8().await? != 1 {
        return Ok(None);
    }
    let user = counted(stream).await?;
    let password = counted(stream).await?;
    let proven = std::str::from_utf8(&user)
        .ok()
        .and_then(|user| plan.prove(user, &password))
        .or(by_listener);
    stream.write_all(&[1, u8::from(proven.is_none())]).await?;
    if proven.is_none() {
        session.unknown(Form::Socks);
    }
    Ok(proven)
}

type Request = (Result<Host, Reason>, u16);

/// Host and port of the request, or the code of the reply that refuses it.
async fn request(stream: &mut TcpStream) -> io::Result<Result<Request, u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if command != CONNECT {
        return Ok(Err(COMMAND_UNKNOWN));
    }
    // A client that looked the name up itself hides which host it wants.
    if kind != DOMAIN {
        return Ok(Err(ADDRESS_TYPE_UNKNOWN));
    }
    let host = counted(stream).await?;
    let port = stream.read_u16().await?;
    // A NUL or another byte that no host name holds ends the name for some readers.
    let host = std::str::from_utf8(&host).map_err(|_| Reason::HostMalformed);
    Ok(Ok((host.and_then(Host::parse), port)))
}

async fn counted(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The bound address in the reply tells nothing.
async fn reply(stream: &mut TcpStream, code: u8) -> io::Result<()> {
    let mut reply = vec![VERSION, code, 0, 1];
    reply.extend(Ipv4Addr::UNSPECIFIED.octets());
    reply.extend([0, 0]);
    stream.write_all(&reply).await
}
