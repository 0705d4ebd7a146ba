/* region-talk: one WebSocket in a terminal or a script. Lines of standard input are sent as text messages, messages
 * that come are printed, one line each; `open`, `closed CODE REASON` and `refused STATUS` tell the rest. End of input
 * says good-bye with 1000. It blocks in poll(2) alone and ends by itself after --for SECONDS. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sock.h"
#include "gateway/ws/close.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

#define MESSAGE_MAX_BYTES (1u << 20)
#define LINE_MAX_BYTES    65536u
#define CONNECT_MS        5000
#define GOODBYE_MS        2000

struct talk {
    int fd;
    int64_t end_ms; /* 0: no end */
    const char *path;
    char host[ADDR_TEXT_BYTES];
    struct strbuf in;      /* bytes of the server not looked at yet */
    struct strbuf message; /* fragments so far */
    struct strbuf line;    /* of standard input */
    bool is_input_over;
};

_Noreturn static void die(int code, const char *what, const char *why)
{
    printf("%s %s\n", what, why);
    exit(code);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- out ---- */

static void write_all(struct talk *t, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        struct pollfd p = {.fd = t->fd, .events = POLLOUT};
        ssize_t put = send(t->fd, at, len, MSG_NOSIGNAL);

        if (put < 0 && errno == EAGAIN && poll(&p, 1, CONNECT_MS) == 1)
            continue;
        if (put < 0)
            die(EX_IOERR, "lost", strerror(errno));
        at += put;
        len -= (size_t)put;
    }
}

static void new_key(uint8_t key[4])
{
    ASSERT(getrandom(key, 4, 0) == 4);
}

static void send_text(struct talk *t, const char *text, size_t len)
{
    uint8_t header[WS_HEADER_BYTES], key[4];
    uint8_t *masked = mem_alloc(len + 1);

    new_key(key);
    ws_mask_copy(masked, (const uint8_t *)text, len, key, 0);
    write_all(t, header, ws_header_build(header, WS_OPCODE_TEXT, len, key));
    write_all(t, masked, len);
    mem_free(masked);
}

static void send_lines(struct talk *t)
{
    char *end;

    while (t->line.len > 0 && (end = memchr(t->line.data, '\n', t->line.len)) != NULL) {
        size_t len = (size_t)(end - t->line.data);
        char *rest = mem_strndup(end + 1, t->line.len - len - 1);

        send_text(t, t->line.data, len);
        strbuf_clear(&t->line);
        strbuf_puts(&t->line, rest);
        mem_free(rest);
    }
}

static void on_input(struct talk *t)
{
    uint8_t frame[WS_CONTROL_FRAME_BYTES], key[4];
    char bytes[4096];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (got > 0) {
        strbuf_add(&t->line, bytes, (size_t)got);
        if (t->line.failed)
            die(EX_DATAERR, "input", "line too long");
        send_lines(t);
        return;
    }
    t->is_input_over = true;
    new_key(key);
    write_all(t, frame, ws_close_build(frame, WS_CLOSE_NORMAL, NULL, key));
    t->end_ms = now_ms() + GOODBYE_MS;
}

/* ---- in ---- */

static void print_message(struct talk *t)
{
    for (size_t i = 0; i < t->message.len; i++)
        if (t->message.data[i] == '\n')
            t->message.data[i] = ' ';
    fwrite(t->message.data, 1, t->message.len, stdout);
    putchar('\n');
    strbuf_clear(&t->message);
}

_Noreturn static void on_close(struct talk *t, const uint8_t *payload, size_t len)
{
    uint16_t code = len < 2 ? WS_CLOSE_NO_STATUS : (uint16_t)(payload[0] * 256u + payload[1]);
    const char *name = ws_close_code_text(code);

    if (len > 2)
        printf("closed %u %.*s\n", code, (int)(len - 2), (const char *)payload + 2);
    else
        printf("closed %u %s\n", code, name);
    close(t->fd);
    exit(0);
}

static void on_frame(struct talk *t, uint8_t first, const uint8_t *payload, size_t len)
{
    uint8_t out[WS_CONTROL_FRAME_BYTES], key[4];

    switch (first & 0xf) {
    case WS_OPCODE_CLOSE:
        on_close(t, payload, len);
    case WS_OPCODE_PING:
        new_key(key);
        write_all(t, out, ws_pong_build(out, payload, len, key));
        return;
    case WS_OPCODE_PONG:
        return;
    default:
        strbuf_add(&t->message, payload, len);
        if (t->message.failed)
            die(EX_DATAERR, "lost", "message too long");
        if ((first & 0x80) != 0)
            print_message(t);
    }
}

/* The frames that are whole; true when there was one. */
static bool take_frame(struct talk *t)
{
    const uint8_t *b = (const uint8_t *)t->in.data;
    size_t head, len;
    struct strbuf rest;

    if (t->in.len < 2)
        return false;
    len = b[1] & 0x7f;
    head = len == 126 ? 4 : len == 127 ? 10 : 2;
    if (t->in.len < head)
        return false;
    if (head > 2) {
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | b[i];
    }
    if (len > MESSAGE_MAX_BYTES)
        die(EX_DATAERR, "lost", "frame too long");
    if (t->in.len < head + len)
        return false;
    on_frame(t, b[0], b + head, len);
    strbuf_init(&rest, t->in.max_bytes);
    strbuf_add(&rest, b + head + len, t->in.len - head - len);
    strbuf_fini(&t->in);
    t->in = rest;
    return true;
}

/* False at the end of the connection. */
static bool on_bytes(struct talk *t)
{
    char bytes[16384];
    ssize_t got = recv(t->fd, bytes, sizeof(bytes), 0);

    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    strbuf_add(&t->in, bytes, (size_t)got);
    return !t->in.failed;
}

/* ---- opening ---- */

static void parse_url(struct talk *t, const char *url, struct addr *a)
{
    const char *slash;
    int len;

    if (strncmp(url, "ws://", 5) != 0)
        die(EX_USAGE, "usage:", "region-talk [--for SECONDS] ws://ADDRESS:PORT/PATH");
    slash = url + 5 + strcspn(url + 5, "/");
    len = snprintf(t->host, sizeof(t->host), "%.*s", (int)(slash - url - 5), url + 5);
    if (len <= 0 || (size_t)len >= sizeof(t->host) || !addr_parse(a, t->host))
        die(EX_USAGE, "not a numeric address with port:", t->host);
    t->path = *slash == '\0' ? "/" : slash;
}

static void wait_for(struct talk *t, short events, const char *what)
{
    struct pollfd p = {.fd = t->fd, .events = events};

    if (poll(&p, 1, CONNECT_MS) != 1)
        die(EX_UNAVAILABLE, "refused", what);
}

static void upgrade(struct talk *t)
{
    struct strbuf request;
    char *end = NULL;

    strbuf_init(&request, LINE_MAX_BYTES);
    strbuf_printf(&request,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                  t->path, t->host);
    write_all(t, request.data, request.len);
    strbuf_fini(&request);
    while (end == NULL) {
        struct strbuf rest;

        wait_for(t, POLLIN, "no answer");
        if (!on_bytes(t))
            die(EX_UNAVAILABLE, "refused", "connection closed");
        end = memmem(t->in.data, t->in.len, "\r\n\r\n", 4);
        if (end == NULL)
            continue;
        t->in.data[strcspn(t->in.data, "\r")] = '\0';
        if (strncmp(t->in.data, "HTTP/1.1 101", 12) != 0)
            die(EX_UNAVAILABLE, "refused", t->in.data + strlen("HTTP/1.1 "));
        strbuf_init(&rest, t->in.max_bytes);
        strbuf_add(&rest, end + 4, t->in.len - (size_t)(end + 4 - t->in.data));
        strbuf_fini(&t->in);
        t->in = rest;
    }
}

static void open_socket(struct talk *t, const struct addr *a)
{
    if (sock_connect(a, &t->fd) != ERR_NONE)
        die(EX_UNAVAILABLE, "refused", "no connection");
    wait_for(t, POLLOUT, "no connection");
    if (sock_connect_result(t->fd) != ERR_NONE)
        die(EX_UNAVAILABLE, "refused", "no connection");
    upgrade(t);
    puts("open");
}

int main(int argc, char **argv)
{
    struct talk t = {.fd = -1};
    struct addr address = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 4 && strcmp(argv[1], "--for") == 0)
        t.end_ms = now_ms() + strtoll(argv[2], NULL, 10) * 1000;
    else if (argc != 2)
        die(EX_USAGE, "usage:", "region-talk [--for SECONDS] ws://ADDRESS:PORT/PATH");
    strbuf_init(&t.in, 2 * (size_t)MESSAGE_MAX_BYTES);
    strbuf_init(&t.message, MESSAGE_MAX_BYTES);
    strbuf_init(&t.line, LINE_MAX_BYTES);
    parse_url(&t, argv[argc - 1], &address);
    open_socket(&t, &address);
    for (;;) {
        struct pollfd p[2] = {{.fd = t.fd, .events = POLLIN},
                              {.fd = t.is_input_over ? -1 : STDIN_FILENO, .events = POLLIN}};
        int64_t left_ms = t.end_ms == 0 ? -1 : t.end_ms - now_ms();

        while (take_frame(&t))
            ;
        if (t.end_ms != 0 && left_ms <= 0)
            die(EX_TEMPFAIL, "ended", "time is up");
        if (poll(p, 2, (int)left_ms) < 0)
            die(EX_OSERR, "lost", strerror(errno));
        if (p[0].revents != 0 && !on_bytes(&t))
            die(EX_IOERR, "lost", "connection ended without a close frame");
        if (p[1].revents != 0)
            on_input(&t);
    }
}
