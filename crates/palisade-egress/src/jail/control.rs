//! Between the supervisor and the launcher, before the command runs: what is wanted goes one way,
//! descriptors come the other. One packet is one message.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the launcher is to build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// `isolated`, or else `supervised`.
    pub(super) isolated: bool,
    /// Directories that an empty one covers.
    pub(super) cover: Vec<PathBuf>,
    /// Sockets that stay in those.
    pub(super) sockets: Vec<PathBuf>,
    /// Ports at which connections are intercepted.
    pub(super) ports: Vec<u16>,
}

/// What it has built; the descriptors come with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Built {
    /// One TCP listener for each port.
    Listeners(Vec<u16>),
    /// The socket at which questions of names arrive.
    Names,
    /// Where the kernel asks.
    Filter,
    /// Nothing, for this reason.
    Failed(String),
}

/// Most descriptors of one message, by the kernel's `SCM_MAX_FD`.
pub(super) const MOST_DESCRIPTORS: usize = 253;

/// Most bytes of a message.
const MOST: usize = 60 << 10;

/// A pair of ends: the supervisor's, and the launcher's, which children may inherit once
/// [`let_through`] says so.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Lets a descriptor pass exec; gives its number.
pub(super) fn let_through(fd: BorrowedFd<'_>) -> io::Result<RawFd> {
    fcntl_setfd(fd, FdFlags::empty())?;
    Ok(fd.as_raw_fd())
}

pub(super) fn send(
    to: impl AsFd,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MOST || descriptors.len() > MOST_DESCRIPTORS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many ports or paths for one jail",
        ));
    }
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let pushed = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        if !pushed {
            return Err(io::ErrorKind::InvalidInput.into());
        }
    }
    sendmsg(
        to,
        &[IoSlice::new(&bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS));

/// The next message; `None`: the other side has gone.
pub(super) fn receive<T: DeserializeOwned>(
    from: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MOST];
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(
            from.as_fd(),
            &mut [IoSliceMut::new(&mut bytes)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = bytes.get(..received.bytes).unwrap_or_default();
    Ok(Some((serde_json::from_slice(message)?, descriptors)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn messages_and_descriptors_pass() {
        let (ours, theirs) = pair().expect("a pair");
        let file = File::open("/proc/self/comm").expect("a file");
        send(&ours, &Built::Listeners(vec![80, 443]), &[file.as_fd()]).expect("sent");
        let received = receive::<Built>(&theirs).expect("received");
        let (message, mut descriptors) = received.expect("a message");
        assert!(matches!(message, Built::Listeners(ports) if ports == [80, 443]));
        let mut bytes = [0; 16];
        let mut file = File::from(descriptors.pop().expect("one"));
        let read = file.read(&mut bytes).expect("readable");
        assert!(read > 1 && descriptors.is_empty());
        drop(ours);
        assert!(receive::<Built>(&theirs).expect("an end").is_none());
    }
}
