/* What a link that listens makes of what it hears. Broadcasts carry in their payload a number, "n", one more each time,
 * and when they were made, "at", by the monotonic clock. So it shows what was lost, and for how long nothing came: a
 * message made after the mark did not come through what was killed at that moment. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/bench/net.h"

struct said {
    const char *text;
    size_t len;
};

static bool has(struct said s, const char *what)
{
    return memmem(s.text, s.len, what, strlen(what)) != NULL;
}

/* The number behind `name`; 0 when there is none. The digits end within the message, which ends with a bracket. */
static uint64_t number(struct said s, const char *name)
{
    const char *at = memmem(s.text, s.len, name, strlen(name));
    const char *end = s.text + s.len;
    uint64_t n = 0;
    if (at == NULL)
        return 0;
    for (at += strlen(name); at < end && *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    return n;
}

static void on_broadcast(struct load *l, struct link *k, uint64_t n, int64_t made_ns)
{
    struct result *r = l->result;
    if (k->heard.is_awaiting && made_ns > l->mark_ns) {
        k->heard.is_awaiting = false;
        r->awaiting--;
        histogram_add(&r->latency, (uint64_t)(net_now_ns() - l->mark_ns));
    }
    r->heard++;
    if (n <= k->heard.last) {
        r->again++;
        return;
    }
    if (k->heard.last > 0)
        r->missing += n - k->heard.last - 1;
    k->heard.last = n;
}

static void on_message(struct load *l, struct link *k, struct said s)
{
    const uint64_t n = number(s, "\"n\":");
    if (n > 0) {
        on_broadcast(l, k, n, (int64_t)number(s, "\"at\":"));
    } else if (has(s, "\"phx_error\"") || has(s, "\"phx_close\"")) {
        l->result->refused++;
        result_error(l->result, "channel", "failed or closed");
    } else if (k->state == LINK_JOINING && has(s, "\"phx_reply\"")) {
        if (has(s, "\"status\":\"ok\""))
            link_on_joined(l, k);
        else
            link_fail(l, k, "join", "refused");
    }
}

/* Length of the frame at `data`, 0: more is needed to know it. */
static size_t frame_len(const uint8_t *data, size_t len, size_t *header_len)
{
    const size_t more = len < 2 ? 0 : (data[1] & 0x7f) == 126 ? 2 : (data[1] & 0x7f) == 127 ? 8 : 0;
    uint64_t payload_len = len < 2 ? 0 : data[1] & 0x7f;
    *header_len = 2 + more;
    if (len < *header_len)
        return 0;
    for (size_t i = 0; i < more; i++)
        payload_len = (i == 0 ? 0 : payload_len << 8) | data[2 + i];
    return *header_len + payload_len;
}

/* Takes the whole frames; what is left, or with a link that is gone `len`. */
static size_t take_frames(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    size_t taken = 0, header_len;
    for (;;) {
        const uint8_t *at = data + taken;
        const size_t whole = frame_len(at, len - taken, &header_len);
        if (whole == 0 || whole > len - taken)
            return taken;
        if ((at[0] & 0x08) != 0)
            (void)link_on_control(l, k, at, whole);
        else
            on_message(l, k, (struct said){(const char *)at + header_len, whole - header_len});
        if (k->state == LINK_NONE)
            return len;
        taken += whole;
    }
}

void listen_on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    if (k->head_len == 0) {
        const size_t taken = take_frames(l, k, data, len);
        if (taken < len)
            (void)link_keep(l, k, data + taken, len - taken);
        return;
    }
    if (!link_keep(l, k, data, len))
        return;
    /* the kept bytes are read where they lie, and the link may go meanwhile */
    uint8_t *kept = (uint8_t *)k->head;
    const size_t kept_len = k->head_len;
    k->head = NULL;
    k->head_len = 0;
    const size_t taken = take_frames(l, k, kept, kept_len);
    if (taken < kept_len)
        (void)link_keep(l, k, kept + taken, kept_len - taken);
    mem_free(kept);
}

void listen_on_line(struct load *l, const char *line)
{
    if (strncmp(line, "mark ", 5) != 0)
        return;
    l->mark_ns = strtoll(line + 5, NULL, 10);
    l->result->awaiting = 0;
    for (uint32_t i = 0; i < l->options->connections; i++) {
        l->links[i].heard.is_awaiting = l->links[i].state != LINK_NONE;
        l->result->awaiting += l->links[i].heard.is_awaiting;
    }
}
