// A small MCP server on standard streams: answers `initialize` and every other request at once, with the request's own text
// left out and its id put back. What it costs is what a pipe and a process switch cost.
//
//   echo
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *end_of_value(const char *at) {
    if (*at == '"') {
        for (at++; *at && *at != '"'; at++)
            if (*at == '\\' && at[1]) at++;
        return *at ? at + 1 : at;
    }
    while (*at && *at != ',' && *at != '}') at++;
    return at;
}

static void answer(const char *line) {
    // The requests of the bench have no other member of that name before it.
    const char *id = strstr(line, "\"id\":");
    if (!id) return;
    id += 5;
    int length = (int)(end_of_value(id) - id);
    const char *result = strstr(line, "\"initialize\"")
        ? "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"echo\",\"version\":\"1\"}}"
        : "{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}],\"isError\":false}";
    char out[1024];
    int size = snprintf(out, sizeof out, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":%s}\n", length, id, result);
    if (size < 0 || size >= (int)sizeof out || write(1, out, (size_t)size) != size) exit(1);
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) answer(line);
    return 0;
}
