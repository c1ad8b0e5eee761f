/* The checking client of the load harness: one thread, epoll, OpenSSL, 127.0.0.1 only.
 * Every answer is read whole and compared; what is wrong is counted, never passed over.
 *
 *   client keep PORT TLS CONNECTIONS COUNT REQUEST ANSWER      COUNT calls in all over kept-alive connections
 *   client conn PORT TLS CONNECTIONS SECONDS REQUEST ANSWER    each call on a new connection, full handshake
 *   client resume ...                                          as conn, but offers the last session again
 *   client sse  PORT TLS STREAMS EVENTS                        STREAMS streams of EVENTS events, opened 500 a second
 *
 * TLS is 1 (TLS 1.3, X25519) or 0 (plain). REQUEST and ANSWER are files: the body sent, the body demanded.
 * The result is one JSON line; times are microseconds. `sse` first prints {"ready":...} once every stream has
 * had an event; its delays are those of later events. `bad` holds every fault of any kind.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define OPEN_PER_SECOND 500

enum mode { KEEP, CONN, RESUME, SSE };
enum state { HANDSHAKE, SEND, HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };
enum outcome { FAILED = -1, WAIT = 0, DONE = 1 };

struct conn {
  int fd;
  SSL *ssl;
  enum state state;
  size_t sent, len; /* bytes of the request sent; bytes of `in` */
  size_t left;      /* of the body or chunk */
  size_t body_len;  /* body bytes seen */
  int differs;
  char line[1024];  /* chunk size, trailer or event line */
  size_t line_len;
  char event[1024];
  size_t event_len;
  unsigned next;    /* the number the next event must have */
  long long began;
  char in[16384];
};

struct file { char *data; size_t len; };

static enum mode mode;
static int poller, port, tls;
static SSL_CTX *context;
static SSL_SESSION *session;
static struct file answer;
static char request[1 << 16];
static size_t request_len;
static struct conn *all;
static unsigned events_wanted;
static char *group_cipher;

static unsigned long long done, full, resumed;
/* faults: of a connection or answer; of a stream's events */
static unsigned long long broken, wrong_status, wrong_body, lost, disordered, foreign, held, ended_early;

static unsigned *samples;
static size_t sample_count, sample_cap;
static int sampling = 1;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static void sample(long long ns) {
  if (!sampling) return;
  if (sample_count == sample_cap) samples = realloc(samples, (sample_cap = sample_cap ? 2 * sample_cap : 1 << 16) * sizeof *samples);
  samples[sample_count++] = ns < 0 ? 0 : ns > 4000 * SECOND ? -1 : ns / 100; /* tenths of a microsecond */
}

static int by_size(const void *a, const void *b) {
  unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
  return (x > y) - (x < y);
}

static double quantile(double p) { return sample_count ? samples[(size_t)(p * (sample_count - 1))] / 10.0 : 0; }

static struct file load(const char *path) {
  struct file f = {0};
  FILE *in = fopen(path, "rb");
  if (!in) { perror(path); exit(2); }
  fseek(in, 0, SEEK_END);
  f.data = malloc(f.len = ftell(in));
  rewind(in);
  if (fread(f.data, 1, f.len, in) != f.len) { perror(path); exit(2); }
  fclose(in);
  return f;
}

static void build_request(struct conn *c, const char *body_path) {
  static const char common[] = "Host: localhost:%d\r\nMCP-Protocol-Version: 2025-06-18\r\n";
  char head[256];
  snprintf(head, sizeof head, common, port);
  if (mode == SSE) {
    request_len = snprintf(request, sizeof request, "GET /mcp HTTP/1.1\r\n%sAccept: text/event-stream\r\nx-bench: stream=%u events=%u\r\n\r\n",
                           head, (unsigned)(c - all), events_wanted);
    return;
  }
  struct file body = load(body_path);
  request_len = snprintf(request, sizeof request, "POST /mcp HTTP/1.1\r\n%sContent-Type: application/json\r\n"
                         "Accept: application/json, text/event-stream\r\nContent-Length: %zu\r\n\r\n%.*s", head, body.len, (int)body.len, body.data);
  if (request_len >= sizeof request) { fprintf(stderr, "client: request too long\n"); exit(2); }
}

static void start(struct conn *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->began = now();
  c->state = HANDSHAKE;
  c->sent = c->len = c->event_len = c->line_len = c->next = 0;
  if (tls) {
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    SSL_set_tlsext_host_name(c->ssl, "localhost");
    if (mode == RESUME && session) SSL_set_session(c->ssl, session);
  }
  connect(c->fd, (void *)&to, sizeof to);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void finish(struct conn *c) {
  if (c->ssl) {
    if (mode == RESUME && SSL_is_init_finished(c->ssl)) { SSL_SESSION_free(session); session = SSL_get1_session(c->ssl); }
    if (SSL_is_init_finished(c->ssl)) SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    c->ssl = NULL;
  }
  struct linger reset = {1, 0}; /* no pile of sockets in TIME_WAIT */
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(c->fd);
  c->fd = -1;
}

/* Bytes moved, 0 to wait, -1 on end or error. */
static int ssl_result(struct conn *c, int r) {
  if (r > 0) return r;
  int e = SSL_get_error(c->ssl, r);
  return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int plain_result(int r) {
  return r > 0 ? r : r < 0 && (errno == EAGAIN || errno == ENOTCONN) ? 0 : -1;
}

static int get(struct conn *c, char *to, size_t room) {
  return c->ssl ? ssl_result(c, SSL_read(c->ssl, to, room)) : plain_result(read(c->fd, to, room));
}

static int put(struct conn *c, const char *from, size_t len) {
  return c->ssl ? ssl_result(c, SSL_write(c->ssl, from, len)) : plain_result(write(c->fd, from, len));
}

/* The three numbers that the upstream stamped into an event. */
static void check_event(struct conn *c) {
  unsigned stream, seq;
  long long stamp;
  c->event[c->event_len] = 0;
  char *at = strstr(c->event, "\"data\":{\"stream\":");
  if (!at || sscanf(at, "\"data\":{\"stream\":%u,\"seq\":%u,\"ns\":%lld}", &stream, &seq, &stamp) != 3) { wrong_body++; return; }
  long long delay = now() - stamp;
  done++;
  sample(delay);
  if (stream != (unsigned)(c - all)) { foreign++; return; }
  if (seq < c->next) { disordered++; return; }
  lost += seq - c->next;
  c->next = seq + 1;
  if (delay >= SECOND) held++; /* it waited for the next event */
}

/* Server-sent events: lines gathered into an event, comments skipped. */
static void take_event_bytes(struct conn *c, const char *data, size_t len) {
  for (; len; len--, data++) {
    if (*data != '\n') {
      if (*data != '\r' && c->event_len < sizeof c->event - 1) c->event[c->event_len++] = *data;
      continue;
    }
    if (c->event_len && c->event[c->event_len - 1] != '\n') { /* end of a line */
      char *line = memrchr(c->event, '\n', c->event_len);
      line = line ? line + 1 : c->event;
      if (*line == ':') c->event_len = line - c->event;
      else if (c->event_len < sizeof c->event - 1) c->event[c->event_len++] = '\n';
    } else if (c->event_len) { /* empty line: the event is whole */
      check_event(c);
      c->event_len = 0;
    }
  }
}

static void take_body(struct conn *c, const char *data, size_t len) {
  if (mode == SSE) { take_event_bytes(c, data, len); return; }
  c->differs |= c->body_len + len > answer.len || memcmp(answer.data + c->body_len, data, len);
  c->body_len += len;
}

static enum outcome end_of_answer(struct conn *c) {
  if (mode == SSE) return DONE;
  if (c->differs || c->body_len != answer.len) { wrong_body++; return FAILED; }
  return DONE;
}

static enum outcome take_head(struct conn *c, char *head) {
  c->left = c->body_len = c->line_len = 0;
  c->differs = 0;
  if (strncmp(head, "HTTP/1.1 200", 12)) { wrong_status++; return FAILED; }
  char *length = strcasestr(head, "\r\ncontent-length:");
  if (length) { c->state = LENGTH; c->left = strtoull(length + 17, NULL, 10); }
  else if (strcasestr(head, "\r\ntransfer-encoding: chunked")) c->state = CHUNK_SIZE;
  else { wrong_body++; return FAILED; }
  return WAIT;
}

/* Reads what is buffered. */
static enum outcome feed(struct conn *c) {
  size_t at = 0;
  enum outcome outcome = WAIT;
  while (at < c->len && outcome == WAIT) {
    char *p = c->in + at;
    size_t n = c->len - at;
    switch (c->state) {
    case LENGTH:
    case CHUNK_DATA:
      if (n > c->left) n = c->left;
      take_body(c, p, n);
      at += n;
      if (c->left -= n) break;
      if (c->state == CHUNK_DATA) c->state = CHUNK_END;
      else outcome = end_of_answer(c);
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
      if (c->state == TRAILER) { if (!n) outcome = end_of_answer(c); break; }
      c->left = strtoull(c->line, NULL, 16);
      c->state = c->left ? CHUNK_DATA : TRAILER;
      break;
    default: { /* HEAD */
      char *end = memmem(p, n, "\r\n\r\n", 4);
      if (!end) goto partial;
      end[2] = 0;
      at = end + 4 - c->in;
      outcome = take_head(c, p);
    }
    }
  }
partial:
  memmove(c->in, c->in + at, c->len - at);
  c->len -= at;
  if (outcome == WAIT && c->len == sizeof c->in) { wrong_body++; return FAILED; }
  return outcome;
}

static enum outcome step(struct conn *c, const char *body_path) {
  if (c->state == HANDSHAKE) {
    if (c->ssl) {
      int r = SSL_do_handshake(c->ssl);
      if (r != 1) { if (!ssl_result(c, r)) return WAIT; broken++; return FAILED; }
      if (SSL_session_reused(c->ssl)) resumed++; else full++;
      if (!group_cipher && asprintf(&group_cipher, "%s, %s", SSL_get_version(c->ssl), SSL_get_cipher(c->ssl)) < 0) exit(2);
    }
    if (mode == SSE) build_request(c, body_path);
    c->state = SEND;
  }
  if (c->state == SEND) {
    int r = put(c, request + c->sent, request_len - c->sent);
    if (r < 0) { broken++; return FAILED; }
    if ((c->sent += r) < request_len) return WAIT;
    c->state = HEAD;
  }
  for (;;) {
    int r = get(c, c->in + c->len, sizeof c->in - c->len);
    if (r == 0) return WAIT;
    if (r < 0) { broken++; return FAILED; }
    c->len += r;
    enum outcome outcome = feed(c);
    if (outcome != WAIT) return outcome;
  }
}

static void set_up_tls(void) {
  static const unsigned char alpn[] = "\x08http/1.1";
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* what is measured is the server's side */
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);
}

int main(int argc, char **argv) {
  static const char *const modes[] = {"keep", "conn", "resume", "sse"};
  mode = 4;
  for (int i = 0; argc > 1 && i < 4; i++) if (!strcmp(argv[1], modes[i])) mode = i;
  if (mode > SSE || argc != (mode == SSE ? 6 : 8)) { fprintf(stderr, "usage: see the head of client.c\n"); return 2; }
  port = atoi(argv[2]), tls = atoi(argv[3]);
  unsigned count = atoi(argv[4]);
  double amount = atof(argv[5]);
  events_wanted = amount;
  const char *body_path = mode == SSE ? NULL : argv[6];
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (tls) set_up_tls();
  poller = epoll_create1(0);
  all = calloc(count, sizeof *all);
  if (mode != SSE) { answer = load(argv[7]); build_request(NULL, body_path); }

  struct epoll_event ready[512];
  unsigned opened = 0, closed = 0;
  unsigned long long sent = 0, goal = amount;
  long long began = now(), first_end = 0, all_ready = 0, last_open = 0;
  if (mode != SSE) for (; opened < count && (mode != KEEP || sent < goal); sent++) start(&all[opened++]);
  else sampling = 0;
  while (closed < opened || opened < count) {
    long long t = now();
    if (mode == SSE) {
      unsigned due = (t - began) / (SECOND / OPEN_PER_SECOND);
      while (opened < count && opened < due) { start(&all[opened++]); last_open = t; }
      if (!all_ready && opened == count) {
        unsigned seen = 0;
        while (seen < count && all[seen].next) seen++;
        if (seen == count) { all_ready = t; sampling = 1; printf("{\"ready\":%u}\n", count); fflush(stdout); }
      }
      if (opened == count && t > last_open + (events_wanted + 5) * SECOND) break; /* the rest never ended */
    } else if (mode != KEEP && t >= began + amount * SECOND) break;
    else if (t > began + 600 * SECOND) break;
    int n = epoll_wait(poller, ready, 512, mode == SSE && (opened < count || !all_ready) ? 1 : 100);
    for (int i = 0; i < n; i++) {
      struct conn *c = ready[i].data.ptr;
      if (c->fd < 0) continue;
      enum outcome outcome = step(c, body_path);
      while (mode == KEEP && outcome == DONE) {
        done++;
        sample(now() - c->began);
        if (sent == goal) { finish(c); closed++; break; }
        sent++;
        c->began = now();
        c->sent = 0;
        c->state = SEND;
        outcome = step(c, body_path);
      }
      if (outcome == WAIT || c->fd < 0) continue;
      if (mode == SSE) {
        if (!first_end) first_end = now();
        if (c->next != events_wanted) ended_early++;
        finish(c);
        closed++;
      } else if (outcome == FAILED && mode == KEEP) { finish(c); closed++; }
      else {
        if (outcome == DONE) { done++; sample(now() - c->began); }
        finish(c);
        start(c);
      }
    }
  }
  double seconds = (now() - began) / 1e9;
  if (mode == SSE) ended_early += count - closed;
  unsigned long long bad = broken + wrong_status + wrong_body + lost + disordered + foreign + held + ended_early;
  qsort(samples, sample_count, sizeof *samples, by_size);
  printf("{\"done\":%llu,\"seconds\":%.4f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"full\":%llu,\"resumed\":%llu,\"bad\":%llu,"
         "\"broken\":%llu,\"wrong_status\":%llu,\"wrong_body\":%llu,\"lost\":%llu,\"disordered\":%llu,\"foreign\":%llu,\"held\":%llu,"
         "\"ended_early\":%llu,\"ready_ns\":%lld,\"first_end_ns\":%lld,\"tls\":\"%s\"}\n",
         done, seconds, quantile(.5), quantile(.99), quantile(1), full, resumed, bad, broken, wrong_status, wrong_body, lost, disordered,
         foreign, held, ended_early, all_ready, first_end, group_cipher ? group_cipher : "none");
  return 0;
}
