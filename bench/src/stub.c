/* The upstream of the load harness: an MCP-shaped HTTP/1.1 server that costs next to nothing.
 * One thread, epoll, keep-alive, plain TCP on 127.0.0.1.
 *
 *   stub PORT SMALL BIG ANSWER
 *
 *   POST                                the body must equal file SMALL or file BIG, else it counts as altered;
 *                                       answered with file ANSWER, Content-Length framed
 *   POST, x-bench: size=N               answered with N bytes: "x" repeated, in a JSON string
 *   GET,  x-bench: stream=S events=E    text/event-stream, chunked: E events, one a second, each stamped with
 *                                       its stream, its number from 0 and CLOCK_MONOTONIC; then the stream ends
 *
 * Every answer names its server, so that a front has fingerprints to strip.
 * On SIGTERM it prints its counts as one JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define FINGERPRINT "Server: stub/1.0\r\nX-Powered-By: stub\r\n"

enum state { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct conn {
  int fd, writing, streaming;
  enum state state;
  size_t len;             /* bytes in `in` */
  size_t left;            /* bytes left of the body or chunk */
  char line[64];          /* chunk size or trailer line */
  size_t line_len;
  int get;
  size_t body_len, want;  /* body bytes seen; size of the answer asked for */
  int is_small, is_big;   /* the body equals that file so far */
  size_t big_left;        /* bytes of a large answer still to write */
  unsigned stream, events, seq;
  long long due;
  struct conn *next;      /* timer queue; all intervals are equal, so it is a FIFO */
  char in[65536];         /* last: left uncleared on accept */
};

struct file { char *data; size_t len; };

static struct file small, big, answer;
static char filler[1 << 18];
static int poller;
static struct conn *queue_head, *queue_tail;
static unsigned long long connections, requests, altered, unsent;
static volatile sig_atomic_t stopping;

static void on_signal(int sig) { (void)sig; stopping = 1; }

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static struct file load(const char *path) {
  struct file f = {0};
  FILE *in = fopen(path, "rb");
  if (!in) { perror(path); exit(2); }
  fseek(in, 0, SEEK_END);
  f.len = ftell(in);
  rewind(in);
  f.data = malloc(f.len + 1);
  if (fread(f.data, 1, f.len, in) != f.len) { perror(path); exit(2); }
  fclose(in);
  return f;
}

static void enqueue(struct conn *c) {
  c->next = NULL;
  if (queue_tail) queue_tail->next = c; else queue_head = c;
  queue_tail = c;
}

/* A streaming connection is freed by the timer queue, which still holds it. */
static void hang_up(struct conn *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  if (!c->streaming) free(c);
}

/* Small writes only: a socket that cannot take one is given up, and counted. */
static int send_all(struct conn *c, const char *data, size_t len) {
  if (write(c->fd, data, len) == (ssize_t)len) return 0;
  if (errno != EPIPE && errno != ECONNRESET) unsent++;
  return -1;
}

static void watch_writable(struct conn *c, int on) {
  if (c->writing == on) return;
  struct epoll_event e = {.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
  c->writing = on;
}

static const char PREFIX[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"";
static const char SUFFIX[] = "\"}],\"isError\":false}}";

static int pump_big(struct conn *c) {
  const size_t suffix = sizeof SUFFIX - 1;
  while (c->big_left) {
    const char *from = filler;
    size_t n = c->big_left > suffix ? c->big_left - suffix : 0;
    if (n > sizeof filler) n = sizeof filler;
    if (!n) { n = c->big_left; from = SUFFIX + suffix - n; }
    ssize_t wrote = write(c->fd, from, n);
    if (wrote < 0) {
      if (errno != EAGAIN) return -1;
      watch_writable(c, 1);
      return 0;
    }
    c->big_left -= wrote;
  }
  watch_writable(c, 0);
  return 0;
}

static int respond(struct conn *c) {
  requests++;
  c->state = HEAD;
  if (c->get) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                               FINGERPRINT "Transfer-Encoding: chunked\r\n\r\n";
    if (send_all(c, head, sizeof head - 1)) return -1;
    c->streaming = 1;
    c->seq = 0;
    c->due = now() + SECOND;
    enqueue(c);
    return 0;
  }
  if (!(c->is_small && c->body_len == small.len) && !(c->is_big && c->body_len == big.len)) altered++;
  char head[512];
  if (!c->want) {
    static char whole[4096];
    static int whole_len;
    if (!whole_len)
      whole_len = snprintf(whole, sizeof whole, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" FINGERPRINT
                           "Content-Length: %zu\r\n\r\n%.*s", answer.len, (int)answer.len, answer.data);
    return send_all(c, whole, whole_len);
  }
  size_t least = sizeof PREFIX + sizeof SUFFIX;
  if (c->want < least) c->want = least;
  int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" FINGERPRINT
                   "Content-Length: %zu\r\n\r\n%s", c->want, PREFIX);
  if (send_all(c, head, n)) return -1;
  c->big_left = c->want - (sizeof PREFIX - 1);
  return pump_big(c);
}

static void take_body(struct conn *c, const char *data, size_t len) {
  size_t end = c->body_len + len;
  c->is_small = c->is_small && end <= small.len && !memcmp(small.data + c->body_len, data, len);
  c->is_big = c->is_big && end <= big.len && !memcmp(big.data + c->body_len, data, len);
  c->body_len = end;
}

static int take_head(struct conn *c, char *head) {
  c->get = !strncmp(head, "GET ", 4);
  c->want = c->left = c->body_len = c->line_len = 0;
  c->is_small = c->is_big = 1;
  c->state = BODY;
  for (char *l = strstr(head, "\r\n"); l; l = strstr(l, "\r\n")) {
    l += 2;
    if (!strncasecmp(l, "content-length:", 15)) c->left = strtoull(l + 15, NULL, 10);
    else if (!strncasecmp(l, "transfer-encoding:", 18)) c->state = CHUNK_SIZE;
    else if (!strncasecmp(l, "x-bench:", 8)) {
      if (sscanf(l + 8, " size=%zu", &c->want) != 1) sscanf(l + 8, " stream=%u events=%u", &c->stream, &c->events);
    } else if (!strncasecmp(l, "expect:", 7) && send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return -1;
  }
  return c->state == BODY && !c->left ? respond(c) : 0;
}

/* Reads what is buffered; -1 closes the connection. */
static int feed(struct conn *c) {
  size_t at = 0;
  while (at < c->len) {
    char *p = c->in + at;
    size_t n = c->len - at;
    switch (c->state) {
    case HEAD: {
      char *end = memmem(p, n, "\r\n\r\n", 4);
      if (!end) goto partial;
      *end = 0;
      at = end + 4 - c->in;
      if (take_head(c, p)) return -1;
      break;
    }
    case BODY:
    case CHUNK_DATA:
      if (n > c->left) n = c->left;
      take_body(c, p, n);
      at += n;
      if (c->left -= n) break;
      if (c->state == CHUNK_DATA) c->state = CHUNK_END;
      else if (respond(c)) return -1;
      break;
    case CHUNK_END:
      at++;
      if (*p == '\n') c->state = CHUNK_SIZE;
      break;
    case CHUNK_SIZE:
    case TRAILER:
      at++;
      if (*p == '\r') break;
      if (*p != '\n') { if (c->line_len < sizeof c->line - 1) c->line[c->line_len++] = *p; break; }
      c->line[c->line_len] = 0;
      n = c->line_len;
      c->line_len = 0;
      if (c->state == TRAILER) { if (!n && respond(c)) return -1; break; }
      c->left = strtoull(c->line, NULL, 16);
      c->state = c->left ? CHUNK_DATA : TRAILER;
      break;
    }
  }
partial:
  memmove(c->in, c->in + at, c->len - at);
  c->len -= at;
  return c->len < sizeof c->in ? 0 : -1;
}

static void on_ready(struct conn *c, unsigned events) {
  if (events & EPOLLOUT && pump_big(c)) { hang_up(c); return; }
  if (!(events & ~EPOLLOUT)) return;
  ssize_t n = read(c->fd, c->in + c->len, sizeof c->in - c->len);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) { hang_up(c); return; }
  c->len += n;
  if (feed(c)) hang_up(c);
}

static void accept_all(int listener) {
  for (int fd, one = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = malloc(sizeof *c);
    memset(c, 0, offsetof(struct conn, in));
    c->fd = fd;
    connections++;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
  }
}

static void emit_due(void) {
  while (queue_head && (queue_head->fd < 0 || queue_head->due <= now())) {
    struct conn *c = queue_head;
    queue_head = c->next;
    if (!queue_head) queue_tail = NULL;
    if (c->fd < 0) { free(c); continue; }
    char event[256], chunk[320];
    int n = snprintf(event, sizeof event,
                     "id: %u-%u\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\","
                     "\"data\":{\"stream\":%u,\"seq\":%u,\"ns\":%lld}}}\n\n", c->stream, c->seq, c->stream, c->seq, now());
    int last = ++c->seq >= c->events;
    n = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n%s", n, event, last ? "0\r\n\r\n" : "");
    int failed = send_all(c, chunk, n);
    c->due += SECOND;
    c->streaming = !last;
    if (failed) { c->streaming = 0; hang_up(c); }
    else if (!last) enqueue(c);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) { fprintf(stderr, "usage: stub PORT SMALL BIG ANSWER\n"); return 2; }
  small = load(argv[2]), big = load(argv[3]), answer = load(argv[4]);
  memset(filler, 'x', sizeof filler);
  signal(SIGPIPE, SIG_IGN);
  struct sigaction end = {.sa_handler = on_signal};
  sigaction(SIGTERM, &end, NULL);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 4096)) { perror("stub: listen"); return 1; }
  poller = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  puts("ready");
  fflush(stdout);

  while (!stopping) {
    long long wait = queue_head ? queue_head->due - now() : -1;
    int n = epoll_wait(poller, ready, 256, !queue_head ? -1 : wait <= 0 ? 0 : (int)(wait / 1000000) + 1);
    for (int i = 0; i < n; i++) {
      struct conn *c = ready[i].data.ptr;
      if (!c) accept_all(listener);
      else if (c->fd >= 0) on_ready(c, ready[i].events);
    }
    emit_due();
  }
  printf("{\"connections\":%llu,\"requests\":%llu,\"altered\":%llu,\"unsent\":%llu}\n", connections, requests, altered, unsent);
  return 0;
}
