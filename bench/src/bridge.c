// Calls a tool over and over, one at a time, and prints how long each call took, in nanoseconds, one a line.
//
//   bridge pipe COUNT COMMAND           talks to the command's own standard streams
//   bridge http COUNT PORT              talks to http://127.0.0.1:PORT/mcp, in a session, on one connection
//
// Exit 1: an answer was not the right one. The first tenth of the calls is warm-up and is not printed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *INITIALIZE =
    "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
    "\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}";
static const char *INITIALIZED = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";

static int in, out;
static char buffer[65536];
static char session[512];

static void fail(const char *what) {
    fprintf(stderr, "bridge: %s\n%.2000s\n", what, buffer);
    exit(1);
}

static void put(const char *text, size_t length) {
    while (length) {
        ssize_t done = write(out, text, length);
        if (done <= 0) fail("cannot write");
        text += done;
        length -= (size_t)done;
    }
}

// Reads one line of the command.
static void line(void) {
    size_t length = 0;
    do {
        ssize_t got = read(in, buffer + length, sizeof buffer - 1 - length);
        if (got <= 0) fail("the command ended");
        length += (size_t)got;
    } while (buffer[length - 1] != '\n');
    buffer[length] = 0;
}

// Reads one answer with Content-Length.
static void response(void) {
    size_t length = 0;
    for (;;) {
        ssize_t got = read(in, buffer + length, sizeof buffer - 1 - length);
        if (got <= 0) fail("the connection ended");
        length += (size_t)got;
        buffer[length] = 0;
        char *end = strstr(buffer, "\r\n\r\n");
        if (!end) continue;
        char *size = strcasestr(buffer, "\ncontent-length:");
        size_t body = size && size < end ? strtoul(size + 16, NULL, 10) : 0;
        if (strcasestr(buffer, "transfer-encoding: chunked")) fail("an answer in events was not expected");
        if (length >= (size_t)(end + 4 - buffer) + body) return;
    }
}

static void post(const char *body) {
    char request[4096];
    int size = snprintf(request, sizeof request,
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
        *session ? "Mcp-Session-Id: " : "", session, *session ? "\r\nMCP-Protocol-Version: 2025-11-25\r\n" : "", strlen(body), body);
    put(request, (size_t)size);
    response();
}

static void ask(int http, const char *body) {
    if (http) {
        post(body);
        return;
    }
    char text[4096];
    int size = snprintf(text, sizeof text, "%s\n", body);
    put(text, (size_t)size);
    line();
}

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int http = !strcmp(argv[1], "http");
    long count = atol(argv[2]);
    if (http) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3]))};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in = out = socket(AF_INET, SOCK_STREAM, 0);
        int one = 1;
        setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(in, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
        post(INITIALIZE);
        char *id = strcasestr(buffer, "\nmcp-session-id: ");
        if (!id || sscanf(id + 17, "%511[^\r\n]", session) != 1) fail("no session");
        post(INITIALIZED);
    } else {
        int to[2], from[2];
        if (pipe(to) || pipe(from)) return 1;
        if (!fork()) {
            dup2(to[0], 0);
            dup2(from[1], 1);
            close(to[1]);
            close(from[0]);
            execl(argv[3], argv[3], (char *)NULL);
            _exit(127);
        }
        out = to[1];
        in = from[0];
        close(to[0]);
        close(from[1]);
        ask(0, INITIALIZE);
        put(INITIALIZED, strlen(INITIALIZED));
        put("\n", 1);
    }
    for (long number = 1; number <= count + count / 10; number++) {
        char body[512], wanted[64];
        snprintf(body, sizeof body,
            "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"message\":\"hello\"}}}", number);
        snprintf(wanted, sizeof wanted, "\"id\":%ld,", number);
        long long begin = now();
        ask(http, body);
        long long took = now() - begin;
        if (!strstr(buffer, wanted) || !strstr(buffer, "hello")) fail("the wrong answer");
        if (number > count / 10) printf("%lld\n", took);
    }
    return 0;
}
