/* Tries every way out of a jail, each in a process of its own. What is sent carries the way's name;
 * where to succeed is to be out, the name is printed.
 * Arguments: tcp4 tcp6 udp4 udp6 stream-path datagram-path abstract-name process allowed-tcp4
 * milliseconds-for-a-race */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

static int tcp4, tcp6, udp4, udp6, allowed, race;
static const char *stream_path, *datagram_path, *abstract_name;
static pid_t process;

static struct sockaddr_in v4(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}
static struct sockaddr_in6 v6(int port, int mapped) {
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : "::1", &a.sin6_addr);
    return a;
}
static int to4(int s, int port, const char *n) {
    struct sockaddr_in a = v4(port);
    if (connect(s, (void *)&a, sizeof a)) return -1;
    return send(s, n, strlen(n), MSG_NOSIGNAL) < 0 ? -1 : 0;
}
static int to6(int s, int port, int mapped, const char *n) {
    struct sockaddr_in6 a = v6(port, mapped);
    if (connect(s, (void *)&a, sizeof a)) return -1;
    return send(s, n, strlen(n), MSG_NOSIGNAL) < 0 ? -1 : 0;
}
static struct msghdr message(const char *n, struct iovec *v, void *a, socklen_t l) {
    v->iov_base = (void *)n;
    v->iov_len = strlen(n);
    struct msghdr m = {.msg_name = a, .msg_namelen = l, .msg_iov = v, .msg_iovlen = 1};
    return m;
}
static socklen_t unix_address(struct sockaddr_un *a, const char *path, const char *name) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    if (path) {
        strncpy(a->sun_path, path, sizeof a->sun_path - 1);
        return sizeof *a;
    }
    strncpy(a->sun_path + 1, name, sizeof a->sun_path - 2);
    return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
}

/* What is sent; its arrival counts. */
static void w_tcp4(const char *n) { to4(socket(AF_INET, SOCK_STREAM, 0), tcp4, n); }
static void w_tcp6(const char *n) { to6(socket(AF_INET6, SOCK_STREAM, 0), tcp6, 0, n); }
static void w_mapped(const char *n) { to6(socket(AF_INET6, SOCK_STREAM, 0), tcp4, 1, n); }
static void w_mptcp4(const char *n) { to4(socket(AF_INET, SOCK_STREAM, 262), tcp4, n); }
static void w_mptcp6(const char *n) { to6(socket(AF_INET6, SOCK_STREAM, 262), tcp6, 0, n); }
static void w_smc(const char *n) { to4(socket(43, SOCK_STREAM, 0), tcp4, n); }
static void w_any(const char *n) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = v4(tcp4);
    a.sin_addr.s_addr = 0;
    if (!connect(s, (void *)&a, sizeof a)) send(s, n, strlen(n), MSG_NOSIGNAL);
}
static void w_other_loopback(const char *n) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = v4(tcp4);
    a.sin_addr.s_addr = htonl(0x7f000009);
    if (!connect(s, (void *)&a, sizeof a)) send(s, n, strlen(n), MSG_NOSIGNAL);
}
static void w_reconnect(const char *n) {
    /* After a connection that was let through, to another place. */
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = v4(allowed);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    connect(s, (void *)&a, sizeof a);
    connect(s, &none, sizeof none);
    to4(s, tcp4, n);
}
static void w_fast_sendto(const char *n) {
    struct sockaddr_in a = v4(tcp4);
    sendto(socket(AF_INET, SOCK_STREAM, 0), n, strlen(n), MSG_FASTOPEN, (void *)&a, sizeof a);
}
static void w_fast_sendmsg(const char *n) {
    struct sockaddr_in a = v4(tcp4);
    struct iovec v;
    struct msghdr m = message(n, &v, &a, sizeof a);
    sendmsg(socket(AF_INET, SOCK_STREAM, 0), &m, MSG_FASTOPEN);
}
static void w_fast_sendmmsg(const char *n) {
    struct sockaddr_in a = v4(tcp4);
    struct iovec v;
    struct mmsghdr m = {.msg_hdr = message(n, &v, &a, sizeof a)};
    sendmmsg(socket(AF_INET, SOCK_STREAM, 0), &m, 1, MSG_FASTOPEN);
}
static void w_fast_connect(const char *n) {
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one);
    to4(s, tcp4, n);
}
static void w_udp4(const char *n) {
    struct sockaddr_in a = v4(udp4);
    sendto(socket(AF_INET, SOCK_DGRAM, 0), n, strlen(n), 0, (void *)&a, sizeof a);
}
static void w_udp6(const char *n) {
    struct sockaddr_in6 a = v6(udp6, 0);
    sendto(socket(AF_INET6, SOCK_DGRAM, 0), n, strlen(n), 0, (void *)&a, sizeof a);
}
static void w_udp_connected(const char *n) { to4(socket(AF_INET, SOCK_DGRAM, 0), udp4, n); }
static void w_udp_sendmsg(const char *n) {
    struct sockaddr_in a = v4(udp4);
    struct iovec v;
    struct msghdr m = message(n, &v, &a, sizeof a);
    sendmsg(socket(AF_INET, SOCK_DGRAM, 0), &m, 0);
}
static void w_udp_sendmmsg(const char *n) {
    struct sockaddr_in a = v4(udp4);
    struct iovec v;
    struct mmsghdr m = {.msg_hdr = message(n, &v, &a, sizeof a)};
    sendmmsg(socket(AF_INET, SOCK_DGRAM, 0), &m, 1, 0);
}
static void w_udplite(const char *n) { to4(socket(AF_INET, SOCK_DGRAM, 136), udp4, n); }
static void w_unix_stream(const char *n) {
    struct sockaddr_un a;
    socklen_t l = unix_address(&a, stream_path, 0);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (!connect(s, (void *)&a, l)) send(s, n, strlen(n), MSG_NOSIGNAL);
}
static void w_unix_link(const char *n) {
    char link[108];
    snprintf(link, sizeof link, "%s.link", stream_path);
    symlink(stream_path, link);
    struct sockaddr_un a;
    socklen_t l = unix_address(&a, link, 0);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (!connect(s, (void *)&a, l)) send(s, n, strlen(n), MSG_NOSIGNAL);
}
static void w_unix_datagram(const char *n) {
    struct sockaddr_un a;
    socklen_t l = unix_address(&a, datagram_path, 0);
    sendto(socket(AF_UNIX, SOCK_DGRAM, 0), n, strlen(n), 0, (void *)&a, l);
}
static void w_unix_raw(const char *n) {
    struct sockaddr_un a;
    socklen_t l = unix_address(&a, datagram_path, 0);
    sendto(socket(AF_UNIX, SOCK_RAW, 0), n, strlen(n), 0, (void *)&a, l);
}
static void w_unix_pair(const char *n) {
    int pair[2] = {-1, -1};
    struct sockaddr_un a;
    struct iovec v;
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    struct msghdr m = message(n, &v, &a, unix_address(&a, datagram_path, 0));
    sendmsg(pair[0], &m, 0);
}
static void w_unix_seqpacket_name(const char *n) {
    int pair[2] = {-1, -1};
    struct sockaddr_un a;
    struct iovec v;
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
    struct msghdr m = message(n, &v, &a, unix_address(&a, datagram_path, 0));
    sendmsg(pair[0], &m, 0);
}
static void w_abstract_stream(const char *n) {
    struct sockaddr_un a;
    socklen_t l = unix_address(&a, 0, abstract_name);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (!connect(s, (void *)&a, l)) send(s, n, strlen(n), MSG_NOSIGNAL);
}
/* The address changes while it is judged. */
static volatile struct sockaddr_in flipping;
static volatile int flip = 1, running = 0;
static int goes_on(void) {
    static struct timespec began, now;
    while (!running) usleep(1000);
    if (!began.tv_sec) clock_gettime(CLOCK_MONOTONIC, &began);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 < race;
}
static void *flipper(void *unused) {
    running = 1;
    while (flip) {
        flipping.sin_port = htons(tcp4);
        flipping.sin_port = htons(allowed);
    }
    return unused;
}
static void w_flip(const char *n) {
    pthread_t t;
    struct sockaddr_in first = v4(allowed);
    memcpy((void *)&flipping, &first, sizeof first);
    pthread_create(&t, 0, flipper, 0);
    while (goes_on()) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (!connect(s, (void *)&flipping, sizeof flipping)) {
            struct sockaddr_in peer;
            socklen_t l = sizeof peer;
            getpeername(s, (void *)&peer, &l);
            if (ntohs(peer.sin_port) == tcp4) {
                send(s, n, strlen(n), MSG_NOSIGNAL);
                break;
            }
        }
        close(s);
    }
    flip = 0;
    pthread_join(t, 0);
}
/* The descriptor comes to mean another socket while it is judged. */
static int swapped, good, bad;
static void *swapper(void *unused) {
    running = 1;
    while (flip) {
        dup2(good, swapped);
        dup2(bad, swapped);
    }
    return unused;
}
static void w_swap(const char *n) {
    pthread_t t;
    struct sockaddr_un a;
    socklen_t l = unix_address(&a, stream_path, 0);
    good = socket(AF_INET, SOCK_STREAM, 0);
    bad = socket(AF_UNIX, SOCK_STREAM, 0);
    swapped = dup(good);
    pthread_create(&t, 0, swapper, 0);
    while (goes_on())
        if (!connect(swapped, (void *)&a, l)) {
            send(bad, n, strlen(n), MSG_NOSIGNAL);
            break;
        }
    flip = 0;
    pthread_join(t, 0);
}
#if defined(__x86_64__)
static long i386(long nr, long a, long b, long c) {
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
    return r;
}
static void w_i386(const char *n) {
    /* socket is 359, connect 362 there; the address must lie low. */
    static struct sockaddr_in a;
    a = v4(tcp4);
    long s = i386(359, AF_INET, SOCK_STREAM, 0);
    if (s >= 0 && !i386(362, s, (long)&a, sizeof a)) send(s, n, strlen(n), MSG_NOSIGNAL);
}
static void w_x32(const char *n) {
    struct sockaddr_in a = v4(tcp4);
    long s = syscall(0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0);
    if (s >= 0 && !syscall(0x40000000 + SYS_connect, s, &a, sizeof a)) send(s, n, strlen(n), 0);
}
#endif

/* What must not be had. */
static int d_raw(void) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0; }
static int d_ping(void) { return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) < 0; }
static int d_packet(void) { return socket(AF_PACKET, SOCK_RAW, 0) < 0; }
static int d_vsock(void) { return socket(40, SOCK_STREAM, 0) < 0; }
static int d_alg(void) { return socket(38, SOCK_SEQPACKET, 0) < 0; }
static int d_usersock(void) { return socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK) < 0; }
static int d_io_uring(void) {
    char parameters[256] = {0};
    return syscall(SYS_io_uring_setup, 4, parameters) < 0;
}
static int d_ptrace(void) { return ptrace(PTRACE_SEIZE, process, 0, 0) < 0; }
static int d_memory(void) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", process);
    return open(name, O_RDWR) < 0;
}
static int d_readv(void) {
    char byte;
    struct iovec one = {&byte, 1};
    return process_vm_readv(process, &one, 1, &one, 1, 0) < 0 && errno != EFAULT;
}
static int d_getfd(void) {
    int p = syscall(SYS_pidfd_open, process, 0);
    return p < 0 || syscall(SYS_pidfd_getfd, p, 0, 0) < 0;
}
static int d_key(void) { return syscall(SYS_request_key, "user", "x", 0, 0) < 0 && errno == EPERM; }
static int d_kill(void) { return kill(process, 0) < 0; }
/* Loopback is no way in from outside. */
static int on_loopback(int s) {
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    if (getsockname(s, (void *)&a, &length)) return 0;
    return ntohl(a.sin_addr.s_addr) >> 24 == 127;
}
static int d_listen(void) {
    /* At every address, of which nobody was asked. */
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return listen(s, 1) < 0 || on_loopback(s);
}
static int bound_at(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return bind(s, (void *)&a, sizeof a) || listen(s, 1) || on_loopback(s);
}
static int d_bind(void) { return bound_at(0) && bound_at(23456 + getpid() % 10000); }
static int d_route(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    unsigned char lsrr[8] = {131, 7, 4, 127, 0, 0, 9, 0};
    return setsockopt(s, IPPROTO_IP, 4, lsrr, sizeof lsrr) < 0;
}
static int d_device(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0;
}
static int d_namespace(void) { return syscall(SYS_unshare, 0x50000000) < 0; }

struct sent { const char *name; void (*way)(const char *); };
struct done { const char *name; int (*refused)(void); };

int main(int argc, char **argv) {
    if (argc != 11) return 2;
    tcp4 = atoi(argv[1]);
    tcp6 = atoi(argv[2]);
    udp4 = atoi(argv[3]);
    udp6 = atoi(argv[4]);
    stream_path = argv[5];
    datagram_path = argv[6];
    abstract_name = argv[7];
    process = atoi(argv[8]);
    allowed = atoi(argv[9]);
    race = atoi(argv[10]);
    struct sent sent[] = {
#define S(x) {#x, w_##x}
        S(tcp4), S(tcp6), S(mapped), S(mptcp4), S(mptcp6), S(smc), S(any), S(other_loopback), S(reconnect),
        S(fast_sendto), S(fast_sendmsg), S(fast_sendmmsg), S(fast_connect),
        S(udp4), S(udp6), S(udp_connected), S(udp_sendmsg), S(udp_sendmmsg), S(udplite),
        S(unix_stream), S(unix_link), S(unix_datagram), S(unix_raw), S(unix_pair), S(unix_seqpacket_name),
        S(abstract_stream), S(flip), S(swap),
#if defined(__x86_64__)
        S(i386), S(x32),
#endif
    };
    struct done done[] = {
#define D(x) {#x, d_##x}
        D(raw), D(ping), D(packet), D(vsock), D(alg), D(usersock), D(io_uring), D(ptrace), D(memory),
        D(readv), D(getfd), D(key), D(kill), D(listen), D(bind), D(route), D(device), D(namespace),
    };
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        pid_t p = fork();
        if (p == 0) {
            alarm(60);
            sent[i].way(sent[i].name);
            /* So that a host that is asked at once has the bytes. */
            _exit(0);
        }
        waitpid(p, 0, 0);
    }
    for (size_t i = 0; i < sizeof done / sizeof *done; i++) {
        pid_t p = fork();
        if (p == 0) {
            alarm(60);
            _exit(done[i].refused() ? 0 : 7);
        }
        int status;
        waitpid(p, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 7) printf("%s\n", done[i].name);
    }
    printf("all tried\n");
    return 0;
}
