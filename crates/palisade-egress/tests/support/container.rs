//! A filter of system calls like the default one of container runtimes.

/// `seccomp(2)`: the call is made, or gives this error.
const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

/// `struct seccomp_data`: the call's number, the low halves of its first arguments.
const NUMBER: u32 = 0;
const FIRST: u32 = 16;

/// `CLONE_NEW*`, all of them that clone(2) takes.
const NAMESPACES: u32 = 0x7e02_0000;

/// The last call that the profile knows; what came later gives EPERM as well.
const LAST_KNOWN: u32 = 450;

/// Refuses this thread, and what it starts, what Docker's default profile refuses to a container without capabilities
/// beyond the usual ones. The profile says what is allowed; this is the rest of it, as far as both of our architectures
/// have it.
pub(crate) fn apply() {
    let refused = [
        // Namespaces and mounts.
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_mount_setattr,
        // Other processes.
        libc::SYS_pidfd_getfd,
        libc::SYS_process_madvise,
        libc::SYS_kcmp,
        // What is about the kernel.
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_fanotify_init,
        libc::SYS_syslog,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_quotactl_fd,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_vhangup,
        libc::SYS_mbind,
        libc::SYS_get_mempolicy,
        libc::SYS_set_mempolicy,
        libc::SYS_migrate_pages,
        libc::SYS_move_pages,
        // Keys and handles.
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_open_by_handle_at,
    ];
    let (load, equal, above, any_bit, give) = (0x20, 0x15, 0x25, 0x45, 0x06);
    let number = |call: libc::c_long| u32::try_from(call).unwrap();
    let mut filter: Vec<(u16, u8, u8, u32)> = vec![(load, 0, 0, NUMBER)];
    for call in refused {
        filter.extend([(equal, 0, 1, number(call)), (give, 0, 0, EPERM)]);
    }
    filter.extend([
        (above, 0, 1, LAST_KNOWN),
        (give, 0, 0, EPERM),
        // A library falls back where clone3 is unknown, not where it is refused.
        (equal, 0, 1, number(libc::SYS_clone3)),
        (give, 0, 0, ENOSYS),
        (equal, 0, 4, number(libc::SYS_clone)),
        (load, 0, 0, FIRST),
        (any_bit, 0, 1, NAMESPACES),
        (give, 0, 0, EPERM),
        (give, 0, 0, ALLOW),
        (equal, 0, 4, number(libc::SYS_socket)),
        (load, 0, 0, FIRST),
        (equal, 0, 1, libc::AF_VSOCK.cast_unsigned()),
        (give, 0, 0, EPERM),
        (give, 0, 0, ALLOW),
        (give, 0, 0, ALLOW),
    ]);
    let filter: Vec<seccompiler::sock_filter> = filter
        .into_iter()
        .map(|(code, jt, jf, k)| seccompiler::sock_filter { code, jt, jf, k })
        .collect();
    seccompiler::apply_filter(&filter).unwrap();
}
