/* One connection of the load tester: connect, TLS, upgrade, messages and their answers, close. HTTP has no upgrade, and
 * its close is that of the connection. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/bench/net.h"
#include "gateway/http/h1.h"
#include "gateway/http/upgrade.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

#define HEAD_MAX_BYTES  8192u
#define FRAME_MAX_BYTES 65536u

static void set_state(struct load *l, struct link *k, enum link_state to)
{
    l->count[k->state]--;
    k->state = to;
    l->count[to]++;
}

static void watch(struct load *l, struct link *k, int op, bool wants_write)
{
    struct epoll_event ev = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0u), .data.ptr = k};
    if (epoll_ctl(l->epoll_fd, op, k->fd, &ev) != 0)
        result_error(l->result, "epoll_ctl", strerror(errno));
    k->wants_write = wants_write;
}

void link_drop(struct load *l, struct link *k)
{
    if (k->state == LINK_NONE)
        return;
    if (k->tls != NULL)
        secure_link_destroy(&k->tls);
    close(k->fd);
    k->fd = -1;
    mem_free(k->head);
    k->head = NULL;
    k->head_len = 0;
    set_state(l, k, LINK_NONE);
}

void link_fail(struct load *l, struct link *k, const char *what, const char *detail)
{
    const bool was_open = k->state >= LINK_IDLE;
    const bool in_order = k->state == LINK_CLOSING && k->is_closed;
    if (!in_order)
        result_error(l->result, what, detail);
    link_drop(l, k);
    load_on_gone(l, k, was_open, in_order);
}

void link_on_timeout(struct load *l, struct link *k)
{
    static const char *const waited_for[LINK_STATE_COUNT] = {
        [LINK_CONNECTING] = "connect", [LINK_SECURING] = "tls",   [LINK_UPGRADING] = "upgrade",
        [LINK_JOINING] = "join",       [LINK_WAITING] = "answer", [LINK_CLOSING] = "close"};
    link_fail(l, k, "timeout", waited_for[k->state] != NULL ? waited_for[k->state] : "nothing");
}

void link_open(struct load *l, struct link *k)
{
    const uint32_t sources = l->options->source_count;
    k->fd = net_connect(&l->options->address, sources == 0 ? 0 : 1 + k->number % sources);
    k->since_ns = net_now_ns();
    k->message_count = k->sent_bytes = k->got_bytes = k->joined_count = 0;
    k->is_closed = false;
    k->heard.last = 0;
    if (k->fd < 0) {
        result_error(l->result, "connect", strerror(errno));
        load_on_gone(l, k, false, false);
        return;
    }
    set_state(l, k, LINK_CONNECTING);
    watch(l, k, EPOLL_CTL_ADD, true);
}

static ssize_t link_write(struct link *k, const void *data, size_t len)
{
    return k->tls != NULL ? secure_send(k->tls, data, len) : send(k->fd, data, len, MSG_NOSIGNAL);
}

/* ---- handshakes ---- */

static void send_on(struct load *l, struct link *k)
{
    const struct words *w = k->words;
    while (k->sent_bytes < w->message_len) {
        const ssize_t n = link_write(k, w->message + k->sent_bytes, w->message_len - k->sent_bytes);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            link_fail(l, k, "send", strerror(errno));
            return;
        }
        k->sent_bytes += (uint32_t)n;
    }
    const bool wants_write = k->sent_bytes < w->message_len;
    if (wants_write != k->wants_write)
        watch(l, k, EPOLL_CTL_MOD, wants_write);
}

static void on_open(struct load *l, struct link *k)
{
    k->sent_bytes = k->got_bytes = 0;
    if (k->joined_count < l->words.channel_count) {
        set_state(l, k, LINK_JOINING);
        k->words = &l->words.joins[k->joined_count];
        send_on(l, k);
        return;
    }
    set_state(l, k, LINK_IDLE);
    load_on_open(l, k);
}

void link_on_joined(struct load *l, struct link *k)
{
    k->joined_count++;
    on_open(l, k);
}

static void upgrade(struct load *l, struct link *k)
{
    if (l->options->speaks_http) {
        watch(l, k, EPOLL_CTL_MOD, false);
        on_open(l, k);
        return;
    }
    /* a fresh socket takes a few hundred bytes at once */
    if (link_write(k, l->words.request, l->words.request_len) != (ssize_t)l->words.request_len) {
        link_fail(l, k, "request", strerror(errno));
        return;
    }
    set_state(l, k, LINK_UPGRADING);
    watch(l, k, EPOLL_CTL_MOD, false);
}

static void on_securing(struct load *l, struct link *k)
{
    switch (secure_handshake(k->tls)) {
    case SECURE_DONE:
        l->result->resumed += secure_is_resumed(k->tls);
        upgrade(l, k);
        return;
    case SECURE_WANTS_READ:
        watch(l, k, EPOLL_CTL_MOD, false);
        return;
    case SECURE_WANTS_WRITE:
        watch(l, k, EPOLL_CTL_MOD, true);
        return;
    case SECURE_FAILED:
        link_fail(l, k, "tls", secure_failure_text());
        return;
    }
}

static void on_connected(struct load *l, struct link *k)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0 || why != 0) {
        link_fail(l, k, "connect", strerror(why));
        return;
    }
    if (l->secure == NULL) {
        upgrade(l, k);
        return;
    }
    k->tls = secure_link_create(l->secure, k->fd);
    set_state(l, k, LINK_SECURING);
    if (k->tls == NULL)
        link_fail(l, k, "tls", secure_failure_text());
    else
        on_securing(l, k);
}

bool link_keep(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    const size_t max = k->state < LINK_JOINING || l->options->speaks_http ? HEAD_MAX_BYTES : FRAME_MAX_BYTES;
    if (k->head_len + len > max) {
        link_fail(l, k, "response", "too long");
        return false;
    }
    if (len == 0)
        return true;
    k->head = mem_realloc(k->head, k->head_len + len);
    memcpy(k->head + k->head_len, data, len);
    k->head_len += (uint32_t)len;
    return true;
}

static void forget_head(struct link *k)
{
    mem_free(k->head);
    k->head = NULL;
    k->head_len = 0;
}

static void on_head(struct load *l, struct link *k, const struct http_head *head)
{
    char detail[64];
    char accept[UPGRADE_ACCEPT_BYTES];
    if (head->status != 101) {
        (void)snprintf(detail, sizeof detail, "status %u", head->status);
        link_fail(l, k, "upgrade", detail);
        return;
    }
    upgrade_accept_key((struct http_view){"dGlkZWdhdGUtYmVuY2gtMQ==", 24}, accept);
    if (!http_view_is(http_value(head, "sec-websocket-accept"), accept)) {
        link_fail(l, k, "upgrade", "wrong accept key");
        return;
    }
    forget_head(k);
    on_open(l, k);
}

static void on_upgrade_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    if (k->head_len > 0) {
        if (!link_keep(l, k, data, len))
            return;
        data = (const uint8_t *)k->head;
        len = k->head_len;
    }
    struct http_head head;
    struct h1_scan scan = {0};
    switch (h1_parse_response(&head, &scan, data, len, &limits)) {
    case H1_BAD:
        link_fail(l, k, "upgrade", head.error_reason);
        return;
    case H1_MORE:
        if (k->head_len == 0)
            (void)link_keep(l, k, data, len);
        return;
    case H1_DONE:
        if (head.head_bytes != len)
            link_fail(l, k, "upgrade", "bytes behind the response that nobody asked for");
        else
            on_head(l, k, &head);
        return;
    }
}

/* ---- messages ---- */

void link_send(struct load *l, struct link *k)
{
    k->since_ns = net_now_ns();
    k->sent_bytes = k->got_bytes = 0;
    k->words = &l->words.messages[k->message_count % l->words.message_count];
    set_state(l, k, LINK_WAITING);
    send_on(l, k);
}

void link_say_goodbye(struct load *l, struct link *k)
{
    /* masked with a key of zero; code 1000 */
    static const uint8_t frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
    k->since_ns = net_now_ns();
    set_state(l, k, LINK_CLOSING);
    if (l->options->speaks_http) {
        k->is_closed = true;
        link_fail(l, k, NULL, NULL);
        return;
    }
    if (link_write(k, frame, sizeof frame) != (ssize_t)sizeof frame)
        link_fail(l, k, "send", strerror(errno));
}

/* Control frames are short; one in pieces is not worth a buffer here and counts as nonsense. */
size_t link_on_control(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    char detail[64];
    const size_t frame_len = len < 2 ? 2 : 2u + (data[1] & 0x7fu);
    if (len < frame_len || (data[1] & 0x80) != 0 || data[0] < 0x88 || data[0] > 0x8a) {
        (void)snprintf(detail, sizeof detail, "%02x %02x of %zu bytes", data[0], len > 1 ? data[1] : 0, len);
        link_fail(l, k, "not the echo", detail);
        return 0;
    }
    if (data[0] == 0x8a)
        return frame_len;
    if (data[0] == 0x88) {
        k->is_closed = true;
        if (k->state == LINK_CLOSING)
            return frame_len;
        (void)snprintf(detail, sizeof detail, "code %d", frame_len < 4 ? 1005 : data[2] << 8 | data[3]);
        link_fail(l, k, "closed by the peer", detail);
        return 0;
    }
    uint8_t pong[6 + WS_CONTROL_BYTES];
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    const size_t head_len = ws_header_build(pong, WS_OPCODE_PONG, frame_len - 2, key);
    ws_mask_copy(pong + head_len, data + 2, frame_len - 2, key, 0);
    if (link_write(k, pong, head_len + frame_len - 2) < 0) {
        link_fail(l, k, "send", strerror(errno));
        return 0;
    }
    return frame_len;
}

/* Takes what belongs to the echo; 0 when the link is gone. */
static size_t on_echo(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    size_t take = k->words->echo_len - k->got_bytes;
    if (take > len)
        take = len;
    if (memcmp(data, k->words->echo + k->got_bytes, take) != 0) {
        if (k->got_bytes == 0)
            return link_on_control(l, k, data, len);
        link_fail(l, k, "not the echo", "payload differs");
        return 0;
    }
    k->got_bytes += (uint32_t)take;
    if (k->got_bytes < k->words->echo_len)
        return take;
    if (k->state == LINK_JOINING) {
        link_on_joined(l, k);
    } else {
        k->message_count++;
        set_state(l, k, LINK_IDLE);
        load_on_reply(l, k, net_now_ns() - k->since_ns);
    }
    return k->state == LINK_NONE ? 0 : take;
}

static void on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    while (len > 0) {
        const bool is_awaited = k->state == LINK_WAITING || k->state == LINK_JOINING;
        const size_t taken = is_awaited ? on_echo(l, k, data, len) : link_on_control(l, k, data, len);
        if (taken == 0)
            return;
        data += taken;
        len -= taken;
    }
}

/* Length of the whole response at `data`, 0 when more is needed, -1 with *why. */
static ssize_t response_len(const uint8_t *data, size_t len, const char **why)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct http_head head;
    struct h1_scan scan = {0};
    const enum h1_result r = h1_parse_response(&head, &scan, data, len, &limits);
    if (r == H1_MORE)
        return 0;
    *why = r == H1_BAD ? head.error_reason : "not status 200 with a length on a kept connection";
    if (r == H1_BAD || head.status != 200 || head.content_length < 0 || !head.is_persistent)
        return -1;
    const size_t whole = head.head_bytes + (size_t)head.content_length;
    return whole <= len ? (ssize_t)whole : 0;
}

static void on_response_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    if (k->state != LINK_WAITING) {
        link_fail(l, k, "response", "nobody asked");
        return;
    }
    if (k->head_len > 0) {
        if (!link_keep(l, k, data, len))
            return;
        data = (const uint8_t *)k->head;
        len = k->head_len;
    }
    const char *why = "bytes behind it that nobody asked for";
    const ssize_t whole = response_len(data, len, &why);
    if (whole == 0) {
        if (k->head_len == 0)
            (void)link_keep(l, k, data, len);
        return;
    }
    if ((size_t)whole != len) {
        link_fail(l, k, "response", why);
        return;
    }
    forget_head(k);
    k->message_count++;
    set_state(l, k, LINK_IDLE);
    load_on_reply(l, k, net_now_ns() - k->since_ns);
}

static void on_readable(struct load *l, struct link *k)
{
    const ssize_t n = k->tls != NULL ? secure_recv(k->tls, l->scratch, sizeof l->scratch)
                                     : recv(k->fd, l->scratch, sizeof l->scratch, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        link_fail(l, k, "receive", strerror(errno));
    else if (n == 0)
        link_fail(l, k, k->state == LINK_UPGRADING ? "upgrade" : "connection", "ended by the peer");
    else if (l->options->speaks_http)
        on_response_bytes(l, k, l->scratch, (size_t)n);
    else if (k->state == LINK_UPGRADING)
        on_upgrade_bytes(l, k, l->scratch, (size_t)n);
    else if (l->options->mode == MODE_LISTEN)
        listen_on_bytes(l, k, l->scratch, (size_t)n);
    else
        on_bytes(l, k, l->scratch, (size_t)n);
}

void link_on_events(struct load *l, struct link *k, uint32_t events)
{
    if (k->state == LINK_CONNECTING) {
        on_connected(l, k);
        return;
    }
    if (k->state == LINK_SECURING) {
        on_securing(l, k);
        return;
    }
    if ((events & EPOLLOUT) != 0 && (k->state == LINK_WAITING || k->state == LINK_JOINING))
        send_on(l, k);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && k->state != LINK_NONE)
        on_readable(l, k);
}
