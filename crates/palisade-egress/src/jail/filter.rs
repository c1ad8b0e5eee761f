//! The seccomp filters: which calls are refused, and which the kernel asks the supervisor about.
//! Pure: a table in, instructions out.

use std::io;

use libc::{c_int, c_long};

use super::sys::Instruction;

/// What the filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wall {
    /// It is the wall: every socket is made by the supervisor.
    Alone,
    /// Behind it is a network of the child's own: addresses need no judging, paths do.
    WithinNamespace,
}

/// The instructions.
///
/// # Errors
/// The table is too long for the jumps of the machine; the tests see that it is not.
pub(super) fn program(wall: Wall) -> io::Result<Vec<Instruction>> {
    let mut program = vec![
        load(ARCHITECTURE_AT),
        // A foreign call table: the numbers below would mean other calls.
        jump(EQUAL, ARCHITECTURE, 1, 0),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER_AT),
        // x32, which has the same architecture word; no other table reaches that far.
        jump(AT_LEAST, X32, 0, 1),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
    ];
    for (number, rule) in rules(wall) {
        let body = rule.compile()?;
        let number = u32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
        program.push(jump(EQUAL, number, 0, offset(&body)?));
        program.extend(body);
    }
    program.push(ret(libc::SECCOMP_RET_ALLOW));
    Ok(program)
}

/// What becomes of a call.
#[derive(Clone, Debug)]
enum Rule {
    Allow,
    /// The supervisor answers.
    Ask,
    Refuse(c_int),
    /// By an argument's low half under a mask; the calls here look at no more of theirs.
    By {
        argument: u32,
        mask: u32,
        cases: Vec<(u32, Self)>,
        otherwise: Box<Self>,
    },
}

impl Rule {
    fn by(
        argument: u32,
        mask: u32,
        cases: impl IntoIterator<Item = (c_int, Self)>,
        otherwise: Self,
    ) -> Self {
        Self::By {
            argument,
            mask,
            cases: cases
                .into_iter()
                .map(|(value, rule)| (value.cast_unsigned(), rule))
                .collect(),
            otherwise: Box::new(otherwise),
        }
    }

    fn compile(&self) -> io::Result<Vec<Instruction>> {
        Ok(match self {
            Self::Allow => vec![ret(libc::SECCOMP_RET_ALLOW)],
            Self::Ask => vec![ret(libc::SECCOMP_RET_USER_NOTIF)],
            Self::Refuse(errno) => vec![ret(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned())],
            Self::By {
                argument,
                mask,
                cases,
                otherwise,
            } => {
                let mut body = vec![load(ARGUMENTS_AT + 8 * argument), and(*mask)];
                for (value, rule) in cases {
                    let inner = rule.compile()?;
                    body.push(jump(EQUAL, *value, 0, offset(&inner)?));
                    body.extend(inner);
                }
                body.extend(otherwise.compile()?);
                body
            }
        })
    }
}

fn rules(wall: Wall) -> Vec<(c_long, Rule)> {
    let mut rules = vec![
        (libc::SYS_socket, socket(wall)),
        (libc::SYS_socketpair, socketpair()),
        (libc::SYS_connect, Rule::Ask),
        (libc::SYS_bind, Rule::Ask),
        // With data in the first packet, no connect is needed (tcp(7)).
        (libc::SYS_sendto, without_fast_open(3)),
        (libc::SYS_sendmsg, without_fast_open(2)),
        (libc::SYS_sendmmsg, without_fast_open(3)),
        (libc::SYS_ioctl, terminals()),
        (libc::SYS_clone, without_namespaces()),
        (libc::SYS_unshare, without_namespaces()),
        // Its flags are in memory; libraries fall back to clone.
        (libc::SYS_clone3, Rule::Refuse(libc::ENOSYS)),
    ];
    if wall == Wall::Alone {
        rules.push((libc::SYS_listen, Rule::Ask));
        rules.push((libc::SYS_setsockopt, options()));
    }
    let unknown = UNKNOWN.iter().map(|call| (*call, libc::ENOSYS));
    let refused = REFUSED.iter().map(|call| (*call, libc::EPERM));
    rules.extend(
        unknown
            .chain(refused)
            .map(|(call, errno)| (call, Rule::Refuse(errno))),
    );
    rules
}

/// Only families that are known to be contained. A datagram of the unix family could be sent to
/// any path with no call before it that could be judged; so could UDP's, which within a namespace
/// reaches nothing and else is answered with a stand-in.
fn socket(wall: Wall) -> Rule {
    let unsupported = || Rule::Refuse(libc::EPROTONOSUPPORT);
    let protocol = |protocols: &[c_int], rule: Rule| {
        let protocols: Vec<_> = protocols.iter().map(|p| (*p, rule.clone())).collect();
        Rule::by(2, u32::MAX, protocols, unsupported())
    };
    let internet = match wall {
        Wall::Alone => Rule::by(
            1,
            TYPE,
            [
                (
                    libc::SOCK_STREAM,
                    protocol(&[0, libc::IPPROTO_TCP], Rule::Ask),
                ),
                (
                    libc::SOCK_DGRAM,
                    protocol(&[0, libc::IPPROTO_UDP], Rule::Ask),
                ),
            ],
            unsupported(),
        ),
        Wall::WithinNamespace => Rule::by(
            1,
            TYPE,
            [
                (
                    libc::SOCK_STREAM,
                    protocol(&[0, libc::IPPROTO_TCP, libc::IPPROTO_MPTCP], Rule::Allow),
                ),
                (
                    libc::SOCK_DGRAM,
                    protocol(&[0, libc::IPPROTO_UDP], Rule::Allow),
                ),
            ],
            unsupported(),
        ),
    };
    let local = match wall {
        Wall::Alone => Rule::Ask,
        Wall::WithinNamespace => Rule::Allow,
    };
    let unix = Rule::by(
        1,
        TYPE,
        [
            (libc::SOCK_STREAM, local.clone()),
            (libc::SOCK_SEQPACKET, local.clone()),
        ],
        unsupported(),
    );
    // Which addresses this machine has; changing them takes a capability that the child has not.
    let routes = || protocol(&[libc::NETLINK_ROUTE], local.clone());
    let netlink = Rule::by(
        1,
        TYPE,
        [(libc::SOCK_RAW, routes()), (libc::SOCK_DGRAM, routes())],
        unsupported(),
    );
    Rule::by(
        0,
        u32::MAX,
        [
            (libc::AF_UNIX, unix),
            (libc::AF_INET, internet.clone()),
            (libc::AF_INET6, internet),
            (libc::AF_NETLINK, netlink),
        ],
        Rule::Refuse(libc::EAFNOSUPPORT),
    )
}

fn socketpair() -> Rule {
    let unsupported = || Rule::Refuse(libc::EPROTONOSUPPORT);
    let unix = Rule::by(
        1,
        TYPE,
        [
            (libc::SOCK_STREAM, Rule::Allow),
            (libc::SOCK_SEQPACKET, Rule::Allow),
        ],
        unsupported(),
    );
    Rule::by(0, u32::MAX, [(libc::AF_UNIX, unix)], unsupported())
}

fn without_fast_open(flags: u32) -> Rule {
    let fast_open = libc::MSG_FASTOPEN;
    Rule::by(
        flags,
        fast_open.cast_unsigned(),
        [(fast_open, Rule::Refuse(libc::EOPNOTSUPP))],
        Rule::Allow,
    )
}

/// Typing into the terminal that the gateway was started from.
fn terminals() -> Rule {
    let refused = || Rule::Refuse(libc::EPERM);
    Rule::by(
        1,
        u32::MAX,
        [(TIOCSTI, refused()), (TIOCLINUX, refused())],
        Rule::Allow,
    )
}

fn without_namespaces() -> Rule {
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    Rule::by(
        0,
        namespaces.cast_unsigned(),
        [(0, Rule::Allow)],
        Rule::Refuse(libc::EPERM),
    )
}

/// Options that change where a packet goes: a source route would lead the connection to our own
/// listener astray, joining a group tells the network of it.
fn options() -> Rule {
    let all = |names: &[c_int], rule: Rule, otherwise: Rule| {
        let names: Vec<_> = names.iter().map(|name| (*name, rule.clone())).collect();
        Rule::by(2, u32::MAX, names, otherwise)
    };
    let refused = || Rule::Refuse(libc::EPERM);
    Rule::by(
        1,
        u32::MAX,
        [
            (
                libc::SOL_SOCKET,
                all(
                    SOCKET_REFUSED,
                    refused(),
                    // Another program that shared its port would be taken for the child's own
                    // server. No error, and no effect: what has the port alone needs none.
                    all(&[libc::SO_REUSEPORT], Rule::Refuse(0), Rule::Allow),
                ),
            ),
            (libc::IPPROTO_TCP, all(TCP_REFUSED, refused(), Rule::Allow)),
            (libc::IPPROTO_IP, all(IP_ALLOWED, Rule::Allow, refused())),
            (
                libc::IPPROTO_IPV6,
                all(IPV6_ALLOWED, Rule::Allow, refused()),
            ),
        ],
        Rule::Allow,
    )
}

const SOCKET_REFUSED: &[c_int] = &[
    libc::SO_BINDTODEVICE,
    libc::SO_BINDTOIFINDEX,
    libc::SO_DONTROUTE,
    libc::SO_MARK,
    libc::SO_TXTIME,
];

const TCP_REFUSED: &[c_int] = &[
    libc::TCP_FASTOPEN,
    libc::TCP_FASTOPEN_CONNECT,
    libc::TCP_REPAIR,
    libc::TCP_ULP,
];

const IP_ALLOWED: &[c_int] = &[
    libc::IP_BIND_ADDRESS_NO_PORT,
    libc::IP_FREEBIND,
    libc::IP_MTU_DISCOVER,
    libc::IP_PKTINFO,
    libc::IP_RECVERR,
    libc::IP_RECVTOS,
    libc::IP_RECVTTL,
    libc::IP_TOS,
    libc::IP_TTL,
];

const IPV6_ALLOWED: &[c_int] = &[
    libc::IPV6_MTU_DISCOVER,
    libc::IPV6_RECVERR,
    libc::IPV6_RECVPKTINFO,
    libc::IPV6_RECVTCLASS,
    libc::IPV6_TCLASS,
    libc::IPV6_UNICAST_HOPS,
    libc::IPV6_V6ONLY,
];

/// Callers take these for a kernel that is too old, and fall back.
const UNKNOWN: &[c_long] = &[
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
];

const REFUSED: &[c_long] = &[
    // Into other processes, and their sockets.
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    // The kernel asks a process outside to look a name up for a key.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Other namespaces and file systems.
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    // Programs in the kernel, and races with it.
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // The whole machine.
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
];

/// What of the second argument of socket(2) is the type; the rest are flags.
pub(super) const TYPE: u32 = 0xf;

const TIOCSTI: c_int = 0x5412;
const TIOCLINUX: c_int = 0x541c;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

const X32: u32 = 0x4000_0000;

/// Where things are in `struct seccomp_data`; both architectures are little-endian.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

/// Classic BPF: `BPF_JMP | BPF_K` with `BPF_JEQ` and `BPF_JGE`.
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;

const fn load(k: u32) -> Instruction {
    instruction(0x20, 0, 0, k)
}

const fn and(k: u32) -> Instruction {
    instruction(0x54, 0, 0, k)
}

const fn ret(k: u32) -> Instruction {
    instruction(0x06, 0, 0, k)
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    instruction(code, jt, jf, k)
}

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Over all of `body`.
fn offset(body: &[Instruction]) -> io::Result<u8> {
    u8::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
