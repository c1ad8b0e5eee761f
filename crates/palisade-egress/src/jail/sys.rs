//! The system calls that no crate offers safely: installing a seccomp filter with a listener, and
//! the listener's four requests (seccomp_unotify(2)). The only unsafe code of the workspace.
#![allow(
    unsafe_code,
    reason = "seccomp's listener has no safe wrapper in any crate"
)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;

/// One instruction of a filter, as the kernel wants it.
pub(super) type Instruction = libc::sock_filter;

/// A system call that waits for its answer. All of it was copied by the kernel when the call was
/// made; only what an argument points to can change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    /// The thread, by its number in this process's PID namespace.
    pub(super) thread: u32,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// Installs a filter for this thread and what it starts; `no_new_privs` must be set. With
/// `listener`, gives the descriptor at which its questions arrive.
///
/// # Errors
/// As seccomp(2): `EBUSY` where a filter above has a listener already.
pub(super) fn install(program: &[Instruction], listener: bool) -> io::Result<Option<OwnedFd>> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        // The kernel only reads it.
        filter: program.as_ptr().cast_mut(),
    };
    // With the second flag a signal does not interrupt a call that is being answered (Linux 5.19).
    let flags: &[libc::c_ulong] = if listener {
        &[
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        ]
    } else {
        &[0]
    };
    let mut result = Err(io::Error::from(io::ErrorKind::InvalidInput));
    for flags in flags {
        // SAFETY: `program` points to `len` instructions that live through the call; the kernel
        // copies and verifies them.
        let returned = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                *flags,
                &raw const program,
            )
        };
        result = Errno::result(returned).map_err(io::Error::from);
        if !matches!(&result, Err(error) if error.raw_os_error() == Some(libc::EINVAL)) {
            break;
        }
    }
    let returned = result?;
    if !listener {
        return Ok(None);
    }
    let fd = RawFd::try_from(returned).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: with NEW_LISTENER the call gives a new descriptor that nobody else knows.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// The next question; waits for it.
///
/// # Errors
/// `ENOENT` where the caller was interrupted meanwhile.
pub(super) fn receive(listener: BorrowedFd<'_>) -> io::Result<Call> {
    // SAFETY: all zeros is a value of this C structure, and what the kernel demands.
    let mut call: libc::seccomp_notif = unsafe { mem::zeroed() };
    // SAFETY: the request writes one `seccomp_notif`, which `call` is.
    let returned = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut call,
        )
    };
    Errno::result(returned)?;
    Ok(Call {
        id: call.id,
        thread: call.pid,
        number: call.data.nr.into(),
        arguments: call.data.args,
    })
}

/// Whether the caller still waits. What was read of its memory before is its own only then: its
/// number cannot have passed to another process.
pub(super) fn waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the request reads one u64.
    let returned = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const id,
        )
    };
    returned == 0
}

/// Answers a question with a value or an error. There is no way here to let the call itself go on.
///
/// # Errors
/// `ENOENT` where the caller is gone.
pub(super) fn answer(
    listener: BorrowedFd<'_>,
    id: u64,
    with: Result<i64, Errno>,
) -> io::Result<()> {
    let mut response = libc::seccomp_notif_resp {
        id,
        val: with.unwrap_or(0),
        error: with.err().map_or(0, |error| -(error as i32)),
        flags: 0,
    };
    // SAFETY: the request reads one `seccomp_notif_resp`.
    let returned = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw mut response,
        )
    };
    Errno::result(returned)?;
    Ok(())
}

/// Puts a descriptor into the caller and answers with its number, in one step (Linux 5.14).
///
/// # Errors
/// `ENOENT` where the caller is gone, `EMFILE` where it has no room.
pub(super) fn answer_with(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> io::Result<()> {
    let number = |fd: RawFd| u32::try_from(fd).map_err(|_| io::ErrorKind::InvalidInput);
    let request = libc::seccomp_notif_addfd {
        id,
        flags: SEND,
        srcfd: number(descriptor.as_raw_fd())?,
        newfd: 0,
        newfd_flags: if close_on_exec {
            number(libc::O_CLOEXEC)?
        } else {
            0
        },
    };
    // SAFETY: the request reads one `seccomp_notif_addfd`; both descriptors are open.
    let returned = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            &raw const request,
        )
    };
    Errno::result(returned)?;
    Ok(())
}

/// `SECCOMP_ADDFD_FLAG_SEND`.
const SEND: u32 = 1 << 1;

/// Takes a descriptor that the parent left open for this process, by the number on its command
/// line. Call it once for each number, before anything else is opened.
///
/// # Errors
/// It is not open.
pub(super) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: asks for flags only; an unknown number is an error.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: it is open, came with exec, and nothing in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Marks every descriptor but the three standard ones to be closed by exec.
///
/// # Errors
/// As close_range(2).
pub(super) fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: sets a flag; closes nothing now.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            libc::STDERR_FILENO + 1,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    Errno::result(returned)?;
    Ok(())
}

/// What a canary tries of the calls that a jail must refuse.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe {
    /// A ring through which sockets can be made past the filter.
    IoUring,
    /// To seize a process; does not stop it.
    Ptrace(i32),
    /// To read a byte of its memory, at an address that is ours.
    ReadMemory(i32),
    /// A network namespace of its own.
    Unshare,
    /// A program in the kernel.
    Bpf,
    /// To handle page faults of the kernel.
    Userfaultfd,
}

/// Tries it.
///
/// # Errors
/// The kernel's refusal, which is what is hoped for.
pub(super) fn attempt(probe: Probe) -> io::Result<()> {
    let null = std::ptr::null::<u8>();
    let mut byte = 0_u8;
    let one = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // Whole registers: what an `int` leaves of one is not defined.
    let (zero, length, one): (libc::c_long, libc::c_long, _) = (0, 1, &raw const one);
    // SAFETY: `one` and the byte it describes live through the call that writes there; the other
    // calls have null pointers where they take any, which the kernel refuses with EFAULT or EINVAL
    // once it has judged the right to call. A descriptor that comes of it is left to the end of
    // this short-lived process.
    let returned = unsafe {
        match probe {
            Probe::IoUring => libc::syscall(libc::SYS_io_uring_setup, length, null),
            Probe::Ptrace(pid) => {
                let pid = libc::c_long::from(pid);
                libc::syscall(libc::SYS_ptrace, SEIZE, pid, zero, zero)
            }
            Probe::ReadMemory(pid) => {
                let pid = libc::c_long::from(pid);
                let call = libc::SYS_process_vm_readv;
                libc::syscall(call, pid, one, length, one, length, zero)
            }
            Probe::Unshare => {
                let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNET;
                libc::syscall(libc::SYS_unshare, libc::c_long::from(flags))
            }
            Probe::Bpf => libc::syscall(libc::SYS_bpf, zero, null, zero),
            Probe::Userfaultfd => libc::syscall(libc::SYS_userfaultfd, zero),
        }
    };
    match (probe, Errno::result(returned)) {
        // The right was there; it has nothing at that address.
        (Probe::ReadMemory(_), Err(Errno::EFAULT)) => Ok(()),
        (_, result) => result.map(drop).map_err(io::Error::from),
    }
}

/// `PTRACE_SEIZE`.
const SEIZE: libc::c_long = 0x4206;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd as _, IntoRawFd as _};

    use super::*;

    #[test]
    fn a_descriptor_that_is_no_listener_answers_nothing() {
        let file = File::open("/dev/null").expect("/dev/null");
        let fd = file.as_fd();
        assert!(receive(fd).is_err());
        assert!(!waits(fd, 1));
        assert!(answer(fd, 1, Ok(0)).is_err());
        assert!(answer(fd, 1, Err(Errno::EPERM)).is_err());
        assert!(answer_with(fd, 1, fd, true).is_err());
    }

    #[test]
    fn only_open_descriptors_are_inherited() {
        for number in [-1, 0, 2, 1 << 20] {
            assert!(inherited(number).is_err(), "{number}");
        }
        let file = File::open("/dev/null").expect("/dev/null");
        let number = file.into_raw_fd();
        let fd = inherited(number).expect("it is open");
        assert_eq!(fd.as_raw_fd(), number);
    }

    #[test]
    fn a_filter_goes_on_this_thread_and_is_verified() {
        // On a thread of its own, which ends with it.
        let done = std::thread::spawn(|| {
            nix::sys::prctl::set_no_new_privs().expect("always allowed");
            assert!(install(&[], false).is_err(), "an empty filter");
            let deny = Instruction {
                code: 0x06,
                jt: 0,
                jf: 0,
                k: libc::SECCOMP_RET_ALLOW,
            };
            assert!(install(&[deny], false).expect("a filter").is_none());
        });
        done.join().expect("no panic");
    }

    #[test]
    fn closing_on_exec_leaves_everything_open_now() {
        let file = File::open("/dev/null").expect("/dev/null");
        close_others_on_exec().expect("Linux 5.11");
        assert!(file.metadata().is_ok());
    }

    #[test]
    fn outside_a_jail_something_passes() {
        let own = i32::try_from(std::process::id()).expect("a small number");
        // Its own memory can be read by everybody.
        assert!(attempt(Probe::ReadMemory(own)).is_ok());
        assert!(attempt(Probe::Ptrace(own)).is_err());
        for probe in [Probe::IoUring, Probe::Bpf, Probe::Userfaultfd] {
            let _ = attempt(probe);
        }
        let elsewhere = std::thread::spawn(|| attempt(Probe::Unshare).is_err());
        assert!(
            elsewhere.join().expect("no panic"),
            "a process of many threads"
        );
    }
}
