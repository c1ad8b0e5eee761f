use super::*;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

fn errno(errno: c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

/// What the kernel would do: a machine for the five instructions that are used.
fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let word = |at: u32| match at {
        0 => number,
        4 => architecture,
        at => {
            let argument = arguments[usize::try_from((at - 16) / 8).expect("small")];
            assert_eq!(at % 8, 0, "the low half");
            u32::try_from(argument & 0xffff_ffff).expect("32 bits")
        }
    };
    let (mut a, mut at) = (0, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        match code {
            0x20 => a = word(k),
            0x54 => a &= k,
            0x06 => return k,
            EQUAL => at += usize::from(if a == k { jt } else { jf }),
            AT_LEAST => at += usize::from(if a >= k { jt } else { jf }),
            _ => panic!("instruction {code:#x}"),
        }
    }
}

fn of(wall: Wall, number: c_long, arguments: &[c_int]) -> u32 {
    let mut all = [0xdead_beef_0000_0000; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        // Whatever is in the upper half does not count.
        *to |= u64::from(from.cast_unsigned());
    }
    let program = program(wall).expect("it fits");
    let number = u32::try_from(number).expect("a call's number");
    run(&program, ARCHITECTURE, number, all)
}

// REQ: E-3
#[test]
fn sockets_by_family_type_and_protocol() {
    use libc::{
        AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, SOCK_CLOEXEC,
        SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
    };
    let (family, protocol) = (errno(libc::EAFNOSUPPORT), errno(libc::EPROTONOSUPPORT));
    let flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    for (domain, kind, number, alone, within) in [
        (AF_INET, SOCK_STREAM, 0, ASK, ALLOW),
        (AF_INET, SOCK_STREAM | flags, 6, ASK, ALLOW),
        (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0, ASK, ALLOW),
        (AF_INET, SOCK_STREAM, libc::IPPROTO_MPTCP, protocol, ALLOW),
        (AF_INET6, SOCK_STREAM, libc::IPPROTO_MPTCP, protocol, ALLOW),
        (AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP, protocol, protocol),
        (AF_INET, SOCK_SEQPACKET, 0, protocol, protocol),
        (AF_INET, SOCK_DGRAM, 0, ASK, ALLOW),
        (AF_INET6, SOCK_DGRAM | flags, 17, ASK, ALLOW),
        (AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP, protocol, protocol),
        (
            AF_INET,
            SOCK_DGRAM,
            libc::IPPROTO_UDPLITE,
            protocol,
            protocol,
        ),
        (AF_INET, SOCK_RAW, libc::IPPROTO_RAW, protocol, protocol),
        (AF_INET6, SOCK_RAW, libc::IPPROTO_TCP, protocol, protocol),
        (AF_UNIX, SOCK_STREAM, 0, ASK, ALLOW),
        (AF_UNIX, SOCK_SEQPACKET | flags, 0, ASK, ALLOW),
        (AF_UNIX, SOCK_DGRAM, 0, protocol, protocol),
        // The kernel reads it as SOCK_DGRAM.
        (AF_UNIX, SOCK_RAW, 0, protocol, protocol),
        (
            AF_NETLINK,
            SOCK_RAW | flags,
            libc::NETLINK_ROUTE,
            ASK,
            ALLOW,
        ),
        (AF_NETLINK, SOCK_DGRAM, libc::NETLINK_ROUTE, ASK, ALLOW),
        (
            AF_NETLINK,
            SOCK_RAW,
            libc::NETLINK_USERSOCK,
            protocol,
            protocol,
        ),
        (
            AF_NETLINK,
            SOCK_DGRAM,
            libc::NETLINK_NETFILTER,
            protocol,
            protocol,
        ),
        (AF_VSOCK, SOCK_STREAM, 0, family, family),
        (AF_PACKET, SOCK_RAW, 3, family, family),
        (AF_ALG, SOCK_SEQPACKET, 0, family, family),
        // SMC, which falls back to TCP.
        (43, SOCK_STREAM, 0, family, family),
        (0, SOCK_STREAM, 0, family, family),
        (-1, SOCK_STREAM, 0, family, family),
    ] {
        for (wall, expected) in [(Wall::Alone, alone), (Wall::WithinNamespace, within)] {
            assert_eq!(
                of(wall, libc::SYS_socket, &[domain, kind, number]),
                expected,
                "{wall:?} {domain} {kind:#x} {number}"
            );
        }
    }
}

// REQ: E-3
#[test]
fn other_calls() {
    let refused = errno(libc::EPERM);
    for (number, arguments, alone, within) in [
        (libc::SYS_connect, &[3][..], ASK, ASK),
        (libc::SYS_bind, &[3], ASK, ASK),
        (libc::SYS_listen, &[3], ASK, ALLOW),
        (libc::SYS_read, &[0], ALLOW, ALLOW),
        (libc::SYS_execve, &[0], ALLOW, ALLOW),
        (
            libc::SYS_socketpair,
            &[libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC],
            ALLOW,
            ALLOW,
        ),
        (
            libc::SYS_socketpair,
            &[libc::AF_UNIX, libc::SOCK_SEQPACKET],
            ALLOW,
            ALLOW,
        ),
        (
            libc::SYS_socketpair,
            &[libc::AF_UNIX, libc::SOCK_DGRAM],
            errno(libc::EPROTONOSUPPORT),
            errno(libc::EPROTONOSUPPORT),
        ),
        (
            libc::SYS_socketpair,
            &[libc::AF_TIPC, libc::SOCK_STREAM],
            errno(libc::EPROTONOSUPPORT),
            errno(libc::EPROTONOSUPPORT),
        ),
        (libc::SYS_sendto, &[3, 0, 9, 0], ALLOW, ALLOW),
        (
            libc::SYS_sendto,
            &[3, 0, 9, libc::MSG_NOSIGNAL | libc::MSG_FASTOPEN],
            errno(libc::EOPNOTSUPP),
            errno(libc::EOPNOTSUPP),
        ),
        (
            libc::SYS_sendmsg,
            &[3, 0, libc::MSG_FASTOPEN],
            errno(libc::EOPNOTSUPP),
            errno(libc::EOPNOTSUPP),
        ),
        (libc::SYS_sendmsg, &[3, 0, libc::MSG_NOSIGNAL], ALLOW, ALLOW),
        (
            libc::SYS_sendmmsg,
            &[3, 0, 2, libc::MSG_FASTOPEN],
            errno(libc::EOPNOTSUPP),
            errno(libc::EOPNOTSUPP),
        ),
        (
            libc::SYS_clone,
            &[libc::CLONE_VM | libc::CLONE_THREAD],
            ALLOW,
            ALLOW,
        ),
        (
            libc::SYS_clone,
            &[libc::SIGCHLD | libc::CLONE_NEWUSER],
            refused,
            refused,
        ),
        (libc::SYS_unshare, &[libc::CLONE_FILES], ALLOW, ALLOW),
        (libc::SYS_unshare, &[libc::CLONE_NEWNET], refused, refused),
        (
            libc::SYS_clone3,
            &[0],
            errno(libc::ENOSYS),
            errno(libc::ENOSYS),
        ),
        (
            libc::SYS_io_uring_setup,
            &[8],
            errno(libc::ENOSYS),
            errno(libc::ENOSYS),
        ),
        (libc::SYS_ptrace, &[16], refused, refused),
        (libc::SYS_request_key, &[0], refused, refused),
        (libc::SYS_ioctl, &[0, TIOCSTI], refused, refused),
        (libc::SYS_ioctl, &[0, 0x5401], ALLOW, ALLOW),
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_TCP, libc::TCP_NODELAY],
            ALLOW,
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT],
            refused,
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::SOL_SOCKET, libc::SO_KEEPALIVE],
            ALLOW,
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::SOL_SOCKET, libc::SO_BINDTODEVICE],
            refused,
            ALLOW,
        ),
        // As if it had been set.
        (
            libc::SYS_setsockopt,
            &[3, libc::SOL_SOCKET, libc::SO_REUSEPORT],
            errno(0),
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_IP, libc::IP_TOS],
            ALLOW,
            ALLOW,
        ),
        // Source routes.
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_IP, 4],
            refused,
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_IPV6, 57],
            refused,
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP],
            refused,
            ALLOW,
        ),
        (
            libc::SYS_setsockopt,
            &[3, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY],
            ALLOW,
            ALLOW,
        ),
    ] {
        for (wall, expected) in [(Wall::Alone, alone), (Wall::WithinNamespace, within)] {
            assert_eq!(
                of(wall, number, arguments),
                expected,
                "{wall:?} {number} {arguments:?}"
            );
        }
    }
    for call in REFUSED {
        assert_eq!(of(Wall::Alone, *call, &[]), refused, "{call}");
    }
}

// REQ: E-3
#[test]
fn foreign_call_tables_end_the_process() {
    let program = program(Wall::Alone).expect("it fits");
    let i386 = 0x4000_0003;
    assert_eq!(run(&program, i386, 1, [0; 6]), KILL);
    // x32's socket.
    assert_eq!(run(&program, ARCHITECTURE, X32 + 41, [0; 6]), KILL);
    assert_eq!(run(&program, ARCHITECTURE, u32::MAX, [0; 6]), KILL);
    assert!(program.len() < 4096, "the kernel's limit");
}
