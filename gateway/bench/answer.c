/* Answers to requests over HTTP/1.1, bodies of any size and framing. An error status is an error of the message and not
 * of the connection. A server may end a connection between two answers; then another is opened, and nobody minds. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/http/h1.h"

/* Whether a cache on the way has answered (RFC 9211 section 2.1), if any tells. */
static void count_cache(struct load *l, const struct http_head *head)
{
    struct http_view list = http_value(head, "cache-status"), member;
    bool is_hit = false;
    if (list.data == NULL)
        return;
    while (http_list_next(&list, &member)) {
        const char *hit = memmem(member.data, member.len, "; hit", 5);
        const char *end = member.data + member.len;
        is_hit |= hit != NULL && (hit + 5 == end || hit[5] == ';' || hit[5] == ' ');
    }
    l->result->cache_answers++;
    l->result->cache_hits += is_hit;
}

static void on_answered(struct load *l, struct link *k)
{
    char detail[32];
    const bool is_good = k->answer.status < 400;
    k->answer.is_under_way = false;
    if (!is_good) {
        (void)snprintf(detail, sizeof detail, "status %u", k->answer.status);
        result_error(l->result, ERROR_ANSWER, detail);
    }
    link_on_answer(l, k, is_good);
}

/* Bytes of the body; how many, or 0 when the link is gone. */
static size_t take_body(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    size_t used;
    struct http_view content;
    switch (h1_body_feed(&k->answer.body, data, len, &used, &content)) {
    case H1_BAD:
        link_fail(l, k, ERROR_NONSENSE, k->answer.body.error_reason);
        return 0;
    case H1_MORE:
        return used;
    case H1_DONE:
        on_answered(l, k);
        return k->state == LINK_NONE ? 0 : used;
    }
    return 0;
}

/* A head at the beginning of `data`: its length, 0 when more is needed or the link is gone. */
static size_t take_head(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct http_head head;
    struct h1_scan scan = {0};
    const enum h1_result found = h1_parse_response(&head, &scan, data, len, &limits);
    if (found == H1_MORE)
        return 0;
    if (found == H1_BAD) {
        link_fail(l, k, ERROR_NONSENSE, head.error_reason);
        return 0;
    }
    if (head.status < 200) /* an interim one: the answer is still to come */
        return head.head_bytes;
    h1_body_init_response(&k->answer.body, &head, false);
    k->answer.status = head.status;
    k->answer.is_last = !head.is_persistent || k->answer.body.kind == H1_BODY_UNTIL_CLOSE;
    k->answer.is_under_way = true;
    count_cache(l, &head);
    return head.head_bytes;
}

/* Takes what is there; the bytes that are left are the beginning of a head. */
static size_t take_all(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    while (taken < len || k->answer.is_under_way) {
        if (k->state != LINK_WAITING) {
            link_fail(l, k, ERROR_NONSENSE, "an answer that nobody asked for");
            return len;
        }
        const bool was_in_body = k->answer.is_under_way;
        const size_t n =
            was_in_body ? take_body(l, k, data + taken, len - taken) : take_head(l, k, data + taken, len - taken);
        if (k->state == LINK_NONE)
            return len;
        taken += n;
        if (n == 0 && (!was_in_body || k->answer.is_under_way))
            return taken;
    }
    return taken;
}

void answer_on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    char *kept = NULL;
    if (k->head_len > 0) {
        if (!link_keep(l, k, data, len))
            return;
        /* read where they lie, and the link may go meanwhile */
        kept = k->head;
        data = (const uint8_t *)kept;
        len = k->head_len;
        k->head = NULL;
        k->head_len = 0;
    }
    const size_t taken = take_all(l, k, data, len);
    if (taken < len)
        (void)link_keep(l, k, data + taken, len - taken);
    mem_free(kept);
}

bool answer_on_end(struct load *l, struct link *k)
{
    if (k->answer.is_under_way && h1_body_may_end(&k->answer.body)) {
        on_answered(l, k);
        return true;
    }
    /* one that never answers anything is not asked over and over */
    if (k->state != LINK_IDLE || l->options->mode != MODE_ECHO || k->message_count == 0)
        return false;
    load_on_ended(l, k);
    return true;
}
