/* One connection of the load tester: connect, TLS, upgrade, joins, messages and their answers, close. HTTP has no
 * upgrade, and its close is that of the connection. */
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

#define HEAD_MAX_BYTES 32768u

void link_set_state(struct load *l, struct link *k, enum link_state to)
{
    l->count[k->state]--;
    k->state = to;
    l->count[to]++;
}

static void forget_head(struct link *k)
{
    mem_free(k->head);
    k->head = NULL;
    k->head_len = 0;
}

void link_drop(struct load *l, struct link *k)
{
    if (k->state == LINK_NONE)
        return;
    if (k->tls != NULL)
        secure_link_destroy(&k->tls);
    close(k->fd);
    k->fd = -1;
    forget_head(k);
    link_forget_out(k);
    link_set_state(l, k, LINK_NONE);
}

void link_fail(struct load *l, struct link *k, enum error_kind kind, const char *detail)
{
    const bool was_open = k->state >= LINK_IDLE;
    const bool in_order = k->state == LINK_CLOSING && k->is_closed;
    if (!in_order)
        result_error(l->result, kind, detail);
    link_drop(l, k);
    load_on_gone(l, k, was_open, in_order);
}

void link_on_timeout(struct load *l, struct link *k)
{
    static const char *const waited_for[LINK_STATE_COUNT] = {
        [LINK_CONNECTING] = "connect", [LINK_SECURING] = "tls",   [LINK_UPGRADING] = "upgrade",
        [LINK_JOINING] = "join",       [LINK_WAITING] = "answer", [LINK_CLOSING] = "close"};
    link_fail(l, k, ERROR_TIMEOUT, waited_for[k->state] != NULL ? waited_for[k->state] : "nothing");
}

void link_open(struct load *l, struct link *k)
{
    const uint32_t sources = l->options->source_count;
    k->fd = net_connect(l->address, sources == 0 ? 0 : 1 + k->number % sources);
    k->since_ns = net_now_ns();
    k->sent_bytes = k->got_bytes = k->joined_count = 0;
    k->words = NULL;
    k->is_closed = k->is_beat_out = k->answer.is_under_way = false;
    k->heard.last = 0;
    if (k->fd < 0) {
        result_error(l->result, ERROR_CONNECT, strerror(errno));
        load_on_gone(l, k, false, false);
        return;
    }
    link_set_state(l, k, LINK_CONNECTING);
    link_watch(l, k, EPOLL_CTL_ADD, true);
}

/* ---- handshakes ---- */

static void on_open(struct load *l, struct link *k)
{
    if (k->joined_count < l->options->channel_count) {
        const uint32_t channel = k->joined_count;
        const uint32_t topic = l->owed != NULL ? delivery_topic(l->owed, k->number, channel) : channel;
        link_set_state(l, k, LINK_JOINING);
        words_join(&l->words, &l->frame, channel, topic);
        l->result->join_bytes = l->frame.len;
        link_say(l, k, l->frame.data, l->frame.len);
        return;
    }
    link_set_state(l, k, LINK_IDLE);
    load_on_open(l, k);
}

void link_on_joined(struct load *l, struct link *k)
{
    k->joined_count++;
    on_open(l, k);
}

static void upgrade(struct load *l, struct link *k)
{
    link_watch(l, k, EPOLL_CTL_MOD, false);
    if (l->options->url.speaks_http) {
        on_open(l, k);
        return;
    }
    link_set_state(l, k, LINK_UPGRADING);
    link_say(l, k, l->words.request, l->words.request_len);
}

static void on_securing(struct load *l, struct link *k)
{
    switch (secure_handshake(k->tls)) {
    case SECURE_DONE:
        l->result->resumed += secure_is_resumed(k->tls);
        upgrade(l, k);
        return;
    case SECURE_WANTS_READ:
        link_watch(l, k, EPOLL_CTL_MOD, false);
        return;
    case SECURE_WANTS_WRITE:
        link_watch(l, k, EPOLL_CTL_MOD, true);
        return;
    case SECURE_FAILED:
        link_fail(l, k, ERROR_TLS, secure_link_failure_text(k->tls));
        return;
    }
}

static void on_connected(struct load *l, struct link *k)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0 || why != 0) {
        link_fail(l, k, ERROR_CONNECT, strerror(why));
        return;
    }
    if (l->secure == NULL) {
        upgrade(l, k);
        return;
    }
    k->tls = secure_link_create(l->secure, k->fd, &k->session);
    link_set_state(l, k, LINK_SECURING);
    if (k->tls == NULL)
        link_fail(l, k, ERROR_TLS, secure_failure_text());
    else
        on_securing(l, k);
}

bool link_keep(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    const size_t max = k->state < LINK_JOINING || l->options->url.speaks_http ? HEAD_MAX_BYTES : WORDS_FRAME_BYTES;
    if (k->head_len + len > max) {
        link_fail(l, k, ERROR_NONSENSE, "what comes is too long");
        return false;
    }
    if (len == 0)
        return true;
    k->head = mem_realloc(k->head, k->head_len + len);
    memcpy(k->head + k->head_len, data, len);
    k->head_len += (uint32_t)len;
    return true;
}

static void on_head(struct load *l, struct link *k, const struct http_head *head)
{
    char detail[64];
    char accept[UPGRADE_ACCEPT_BYTES];
    if (head->status != 101) {
        (void)snprintf(detail, sizeof detail, "status %u", head->status);
        link_fail(l, k, ERROR_UPGRADE, detail);
        return;
    }
    upgrade_accept_key((struct http_view){"dGlkZWdhdGUtYmVuY2gtMQ==", 24}, accept);
    if (!http_view_is(http_value(head, "sec-websocket-accept"), accept)) {
        link_fail(l, k, ERROR_UPGRADE, "wrong accept key");
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
        link_fail(l, k, ERROR_UPGRADE, head.error_reason);
        return;
    case H1_MORE:
        if (k->head_len == 0)
            (void)link_keep(l, k, data, len);
        return;
    case H1_DONE:
        if (head.status == 101 && head.head_bytes != len)
            link_fail(l, k, ERROR_UPGRADE, "bytes behind the response that nobody asked for");
        else
            on_head(l, k, &head);
        return;
    }
}

/* ---- messages ---- */

void link_send(struct load *l, struct link *k, int64_t due_ns)
{
    const uint32_t channels = l->options->channel_count;
    k->since_ns = net_now_ns();
    k->due_ns = due_ns;
    k->is_measured = l->phase == PHASE_MEASURE;
    l->result->said++;
    l->result->sent += k->is_measured;
    link_set_state(l, k, LINK_WAITING);
    if (l->words.message_count > 0) {
        link_utter(l, k, &l->words.messages[k->message_count % l->words.message_count]);
        return;
    }
    const uint32_t channel = k->message_count % channels;
    k->words = NULL;
    words_push(&l->words, &l->frame, channel, delivery_topic(l->owed, k->number, channel));
    link_say(l, k, l->frame.data, l->frame.len);
}

void link_broadcast(struct load *l, struct link *k, uint32_t channel, int64_t due_ns)
{
    uint32_t owed_count;
    const uint64_t number = delivery_say(l->owed, k->number, channel, l->options->hears_itself, &owed_count);
    l->result->said++;
    if (l->phase == PHASE_MEASURE) {
        l->result->sent++;
        l->result->expected += owed_count;
    }
    words_broadcast(&l->words, &l->frame, channel, delivery_topic(l->owed, k->number, channel), number, due_ns);
    link_say(l, k, l->frame.data, l->frame.len);
}

void link_beat(struct load *l, struct link *k)
{
    if (k->is_beat_out) {
        link_fail(l, k, ERROR_HEARTBEAT, "not answered until the next one");
        return;
    }
    k->is_beat_out = true;
    words_heartbeat(&l->words, &l->frame);
    link_say(l, k, l->frame.data, l->frame.len);
}

void link_say_goodbye(struct load *l, struct link *k)
{
    /* masked with a key of zero; code 1000 */
    static const uint8_t frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
    k->since_ns = net_now_ns();
    link_set_state(l, k, LINK_CLOSING);
    if (l->options->url.speaks_http) {
        k->is_closed = true;
        link_drop(l, k);
        load_on_gone(l, k, true, true);
        return;
    }
    link_say(l, k, frame, sizeof frame);
}

/* Control frames are short; one in pieces is not worth a buffer here and counts as nonsense. */
size_t link_on_control(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    char detail[64];
    const size_t frame_len = len < 2 ? 2 : 2u + (data[1] & 0x7fu);
    if (len < frame_len || (data[1] & 0x80) != 0 || data[0] < 0x88 || data[0] > 0x8a) {
        (void)snprintf(detail, sizeof detail, "%02x %02x of %zu bytes are not the echo", data[0], len > 1 ? data[1] : 0,
                       len);
        link_fail(l, k, ERROR_NONSENSE, detail);
        return 0;
    }
    if (data[0] == 0x8a)
        return frame_len;
    if (data[0] == 0x88) {
        k->is_closed = true;
        if (k->state == LINK_CLOSING)
            return frame_len;
        (void)snprintf(detail, sizeof detail, "code %d", frame_len < 4 ? 1005 : data[2] << 8 | data[3]);
        link_fail(l, k, ERROR_CLOSED, detail);
        return 0;
    }
    uint8_t pong[6 + WS_CONTROL_BYTES];
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    const size_t head_len = ws_header_build(pong, WS_OPCODE_PONG, frame_len - 2, key);
    ws_mask_copy(pong + head_len, data + 2, frame_len - 2, key, 0);
    link_say(l, k, pong, head_len + frame_len - 2);
    return k->state == LINK_NONE ? 0 : frame_len;
}

void link_on_answer(struct load *l, struct link *k, bool is_good)
{
    k->message_count++;
    link_set_state(l, k, LINK_IDLE);
    load_on_reply(l, k, is_good);
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
        link_fail(l, k, ERROR_NONSENSE, "the echo's payload differs");
        return 0;
    }
    k->got_bytes += (uint32_t)take;
    if (k->got_bytes < k->words->echo_len)
        return take;
    link_on_answer(l, k, true);
    return k->state == LINK_NONE ? 0 : take;
}

static void on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    while (len > 0) {
        const size_t taken = k->state == LINK_WAITING ? on_echo(l, k, data, len) : link_on_control(l, k, data, len);
        if (taken == 0)
            return;
        data += taken;
        len -= taken;
    }
}

static void on_end(struct load *l, struct link *k)
{
    if (l->options->url.speaks_http && answer_on_end(l, k))
        return;
    link_fail(l, k, k->state == LINK_UPGRADING ? ERROR_UPGRADE : ERROR_BROKEN, "ended by the peer");
}

/* False when nothing is there for now, or nobody. */
static bool take(struct load *l, struct link *k)
{
    const ssize_t n = k->tls != NULL ? secure_recv(k->tls, l->scratch, sizeof l->scratch)
                                     : recv(k->fd, l->scratch, sizeof l->scratch, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n > 0)
        l->result->bytes_received += (uint64_t)n;
    if (n < 0)
        link_fail(l, k, ERROR_BROKEN, strerror(errno));
    else if (n == 0)
        on_end(l, k);
    else if (l->options->url.speaks_http)
        answer_on_bytes(l, k, l->scratch, (size_t)n);
    else if (k->state == LINK_UPGRADING)
        on_upgrade_bytes(l, k, l->scratch, (size_t)n);
    else if (l->options->channel_count > 0)
        hear_on_bytes(l, k, l->scratch, (size_t)n);
    else
        on_bytes(l, k, l->scratch, (size_t)n);
    return n > 0 && k->tls != NULL && secure_has_more(k->tls);
}

static void on_readable(struct load *l, struct link *k)
{
    while (take(l, k))
        continue;
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
    if ((events & EPOLLOUT) != 0)
        link_go_on(l, k);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && k->state != LINK_NONE)
        on_readable(l, k);
}
