/* One connection to one node.
 *
 * The hard part is who may be gone after a callback: users answer a reply by destroying, moving or dropping the link.
 * So a link's memory goes at the end of the pass (`is_dead` until then), its state changes before anybody is told, and
 * whoever goes on after a callback looks at the connection again. Calls belong to the link until they were answered
 * and their replies have come; a user that waits no more only takes its callback away. */
#include "cache/l2_link_priv.h"

#include <stdio.h>
#include <string.h>

/* Room for commands that is kept from pass to pass. */
#define OUT_KEPT_BYTES 65536u

/* ---- circuit ---- */

void l2_link_close_circuit(struct l2_link *k)
{
    k->failures_in_row = 0;
    if (!k->is_circuit_open)
        return;
    k->is_circuit_open = false;
    timer_cancel(&k->rest);
    LOG_LIMITED(&k->state_limit, l2_link_now_ms(k), LOG_LEVEL_INFO, "redis circuit closed",
                KV_STR("link", k->settings.what), KV_STR("host", k->settings.address.host),
                KV_UINT("port", k->settings.address.port));
}

static void rest(struct l2_link *k)
{
    k->rest_until_ms = l2_link_now_ms(k) + k->settings.circuit_open_ms;
    timer_start(&k->rest, k->settings.circuit_open_ms);
}

static void note_failure(struct l2_link *k)
{
    k->counts->failure_count++;
    k->failures_in_row++;
    if (k->state != LINK_OPEN || k->is_circuit_open || k->settings.circuit_failures == 0 ||
        k->failures_in_row < k->settings.circuit_failures)
        return;
    k->is_circuit_open = true;
    rest(k);
    LOG_LIMITED(&k->state_limit, l2_link_now_ms(k), LOG_LEVEL_WARN, "redis circuit open",
                KV_STR("link", k->settings.what), KV_STR("host", k->settings.address.host),
                KV_UINT("port", k->settings.address.port), KV_UINT("failures", k->failures_in_row),
                KV_INT("open_ms", k->settings.circuit_open_ms));
    if (k->ops->on_down != NULL)
        k->ops->on_down(k->arg);
}

/* ---- calls ---- */

static void call_free(struct l2_call *c)
{
    list_unlink(&c->owed_link);
    list_unlink(&c->late_link);
    c->link->owed_count--;
    for (size_t i = 0; i < c->reply_count; i++)
        l2_reply_destroy(&c->replies[i]);
    OBJ_FREE(&c, L2_CALL_MAGIC);
}

static void answer(struct l2_call *c, enum err e)
{
    l2_reply_fn *fn = c->fn;
    c->fn = NULL;
    list_unlink(&c->late_link);
    if (fn != NULL)
        fn(c->arg, e, c->replies, e == ERR_NONE ? c->reply_count : 0);
}

static void arm_deadline(struct l2_link *k)
{
    int64_t at_ms = INT64_MAX;
    if (!list_is_empty(&k->owed))
        at_ms = LIST_ENTRY(k->owed.next, struct l2_call, owed_link)->hangs_ms;
    if (!list_is_empty(&k->late)) {
        const struct l2_call *first = LIST_ENTRY(k->late.next, struct l2_call, late_link);
        at_ms = first->deadline_ms < at_ms ? first->deadline_ms : at_ms;
    }
    if (at_ms == INT64_MAX) {
        timer_cancel(&k->deadline);
        return;
    }
    const int64_t left_ms = at_ms - l2_link_now_ms(k);
    timer_start(&k->deadline, left_ms > 0 ? left_ms : 0);
}

static void on_deadline(void *arg)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    const int64_t now = l2_link_now_ms(k);
    while (!list_is_empty(&k->late)) {
        struct l2_call *c = LIST_ENTRY(k->late.next, struct l2_call, late_link);
        if (c->deadline_ms > now)
            break;
        c->is_late = true;
        k->counts->timeout_count++;
        answer(c, ERR_TIMEOUT);
        note_failure(k);
    }
    if (!list_is_empty(&k->owed) && LIST_ENTRY(k->owed.next, struct l2_call, owed_link)->hangs_ms <= now)
        l2_link_lose(k, ERR_TIMEOUT, "a reply is owed for too long");
    arm_deadline(k);
}

static void queue_by_deadline(struct l2_link *k, struct l2_call *c)
{
    struct list *at = &k->late;
    while (at->prev != &k->late && LIST_ENTRY(at->prev, struct l2_call, late_link)->deadline_ms > c->deadline_ms)
        at = at->prev;
    list_insert_before(at, &c->late_link);
}

static void on_flush(void *arg)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    if (k->conn != NULL && k->out.len > 0)
        conn_write(k->conn, k->out.data, k->out.len);
    if (k->out.cap_bytes > OUT_KEPT_BYTES) {
        strbuf_fini(&k->out);
        strbuf_init(&k->out, L2_OWED_BYTES_MAX);
    }
    strbuf_clear(&k->out);
}

struct l2_call *l2_link_send_any(struct l2_link *k, const struct l2_command *commands, size_t count, int64_t timeout_ms,
                                 l2_reply_fn *fn, void *arg)
{
    size_t bytes = k->out.len + conn_buffered(k->conn);
    for (size_t i = 0; i < count; i++)
        bytes += commands[i].len;
    if (k->owed_count >= L2_OWED_CALLS_MAX || bytes > L2_OWED_BYTES_MAX)
        return NULL;
    struct l2_call *c;
    OBJ_NEW(c, L2_CALL_MAGIC);
    c->link = k;
    c->want_count = (uint32_t)count;
    c->deadline_ms = l2_link_now_ms(k) + timeout_ms;
    c->hangs_ms = l2_link_now_ms(k) + timeout_ms * L2_HANG_TIMEOUTS;
    c->sent_us = loop_fresh_us(k->net->loop);
    c->fn = fn;
    c->arg = arg;
    list_init(&c->owed_link);
    list_init(&c->late_link);
    list_append(&k->owed, &c->owed_link);
    k->owed_count++;
    queue_by_deadline(k, c);
    for (size_t i = 0; i < count; i++)
        strbuf_add(&k->out, commands[i].data, commands[i].len);
    later_post(&k->flush);
    if (k->late.next == &c->late_link || !timer_is_active(&k->deadline))
        arm_deadline(k);
    return c;
}

void l2_link_answer_all(struct l2_link *k, enum err e)
{
    struct list lost;
    list_init(&lost);
    list_splice(&lost, &k->owed);
    while (!list_is_empty(&lost)) {
        struct l2_call *c = LIST_ENTRY(lost.next, struct l2_call, owed_link);
        if (c->fn != NULL && !c->is_inner)
            k->counts->failure_count++;
        answer(c, e);
        call_free(c);
    }
}

/* ---- replies ---- */

/* Whether the node itself is in trouble, whatever was asked of it. */
static bool is_ill(const struct l2_call *c)
{
    for (size_t i = 0; i < c->reply_count; i++)
        if (l2_reply_fault(c->replies[i]) == L2_FAULT_ILL)
            return true;
    return false;
}

static const struct l2_reply *access_refused(const struct l2_call *c)
{
    for (size_t i = 0; i < c->reply_count; i++)
        if (l2_reply_fault(c->replies[i]) == L2_FAULT_ACCESS)
            return c->replies[i];
    return NULL;
}

static void call_done(struct l2_link *k, struct l2_call *c)
{
    char detail[L2_DETAIL_BYTES] = "";
    list_unlink(&c->owed_link); /* it is ours alone: what is told below may end the link */
    const bool is_refused = !c->is_inner && access_refused(c) != NULL;
    if (is_refused)
        (void)snprintf(detail, sizeof detail, "%s", access_refused(c)->text);
    if (!c->is_late && !c->is_inner) {
        const int64_t took_us = loop_fresh_us(k->net->loop) - c->sent_us;
        k->counts->time_us += took_us > 0 ? (uint64_t)took_us : 0;
        if (is_ill(c)) {
            LOG_LIMITED(&k->fault_limit, l2_link_now_ms(k), LOG_LEVEL_WARN, "redis cannot answer now",
                        KV_STR("link", k->settings.what), KV_STR("detail", c->replies[0]->text));
            note_failure(k);
        } else {
            k->failures_in_row = 0;
        }
    }
    answer(c, ERR_NONE);
    call_free(c);
    if (is_refused && k->state == LINK_OPEN)
        l2_link_lose(k, ERR_DENIED, detail);
}

static void on_reply(struct l2_link *k, struct l2_reply *r)
{
    if (list_is_empty(&k->owed)) {
        char detail[L2_DETAIL_BYTES];
        (void)snprintf(detail, sizeof detail, "not asked for: %s", r->kind == L2_ERROR ? r->text : "a reply");
        l2_reply_destroy(&r);
        l2_link_lose(k, ERR_PROTOCOL, detail);
        return;
    }
    struct l2_call *c = LIST_ENTRY(k->owed.next, struct l2_call, owed_link);
    c->replies[c->reply_count++] = r;
    if (c->reply_count == c->want_count)
        call_done(k, c);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    struct conn *conn = k->conn;
    struct l2_reply *r = NULL;
    enum err e = l2_parser_feed(k->parser, data, len);
    while (e == ERR_NONE) {
        e = l2_parser_next(k->parser, &r);
        if (e == ERR_NONE)
            on_reply(k, r);
        if (k->conn != conn)
            return;
    }
    if (e != ERR_AGAIN)
        l2_link_lose(k, e, e == ERR_LIMIT ? "a reply is too large" : "what came is no reply");
    else
        arm_deadline(k);
}

static void on_close(void *arg, enum err e)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    const char *detail = conn_failure_text(k->conn);
    k->conn = NULL;
    l2_link_lose(k, e, detail);
}

const struct conn_ops l2_link_conn_ops = {.on_data = on_data, .on_close = on_close};

/* ---- circuit: who finds out ---- */

static void on_ping(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    if (k->state != LINK_OPEN || !k->is_circuit_open)
        return;
    if (e == ERR_NONE && count == 1 && l2_reply_fault(replies[0]) != L2_FAULT_ILL) {
        l2_link_close_circuit(k);
        if (k->ops->on_up != NULL)
            k->ops->on_up(k->arg);
    } else {
        rest(k);
    }
}

static void on_rested(void *arg)
{
    struct l2_link *k = arg;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    struct l2_command ping;
    l2_command_words(&ping, "PING", NULL);
    struct l2_call *c = l2_link_send_any(k, &ping, 1, k->settings.timeout_ms, on_ping, k);
    l2_command_fini(&ping);
    if (c != NULL)
        c->is_inner = true;
    else
        rest(k);
}

/* ---- public ---- */

static void on_bury(void *arg)
{
    struct l2_link *k = arg;
    OBJ_FREE(&k, L2_LINK_MAGIC);
}

struct l2_link *l2_link_create(struct net *n, struct resolver *r, const struct l2_link_settings *s,
                               struct l2_link_counts *counts, const struct l2_link_ops *ops, void *arg)
{
    struct l2_link *k;
    OBJ_NEW(k, L2_LINK_MAGIC);
    k->net = n;
    k->resolver = r;
    k->settings = *s;
    if (s->tls != NULL)
        k->settings.tls = tls_ctx_ref(s->tls);
    k->counts = counts;
    k->ops = ops;
    k->arg = arg;
    list_init(&k->owed);
    list_init(&k->late);
    strbuf_init(&k->out, L2_OWED_BYTES_MAX);
    timer_init(&k->deadline, n->loop, on_deadline, k);
    timer_init(&k->rest, n->loop, on_rested, k);
    later_init(&k->flush, n->loop, on_flush, k);
    later_init(&k->bury, n->loop, on_bury, k);
    l2_link_init_opening(k);
    return k;
}

void l2_link_destroy(struct l2_link **kp)
{
    struct l2_link *k = *kp;
    CHECK_OBJ(k, L2_LINK_MAGIC);
    ASSERT(!k->is_dead);
    *kp = NULL;
    k->is_dead = true;
    l2_link_disconnect(k);
    l2_link_answer_all(k, ERR_CANCELLED);
    strbuf_fini(&k->out);
    if (k->settings.tls != NULL)
        tls_ctx_unref(&k->settings.tls);
    later_post(&k->bury);
}

bool l2_link_is_up(const struct l2_link *k)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    return k->state == LINK_OPEN && !k->is_circuit_open;
}

bool l2_link_is_connected(const struct l2_link *k)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    return k->state == LINK_OPEN;
}

bool l2_link_is_circuit_open(const struct l2_link *k)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    return k->is_circuit_open;
}

int64_t l2_link_up_since_ms(const struct l2_link *k)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    return k->up_since_ms;
}

int64_t l2_link_lost_ms(const struct l2_link *k)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    return k->lost_ms;
}

const struct l2_address *l2_link_address(const struct l2_link *k)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    return &k->settings.address;
}

void l2_link_move(struct l2_link *k, const struct l2_address *to)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    if (l2_address_equal(&k->settings.address, to))
        return;
    l2_link_lose(k, ERR_CANCELLED, "moves elsewhere");
    if (k->is_dead)
        return;
    k->settings.address = *to;
    l2_link_hasten(k);
}

void l2_link_drop(struct l2_link *k, enum err e, const char *why)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    l2_link_lose(k, e, why);
}

struct l2_call *l2_link_send(struct l2_link *k, const struct l2_command *commands, size_t count, int64_t timeout_ms,
                             l2_reply_fn *fn, void *arg)
{
    CHECK_OBJ(k, L2_LINK_MAGIC);
    ASSERT(count > 0 && count <= L2_REPLIES_MAX && timeout_ms > 0);
    if (!l2_link_is_up(k))
        return NULL;
    k->counts->command_count += count;
    return l2_link_send_any(k, commands, count, timeout_ms, fn, arg);
}

void l2_link_forget(struct l2_call **cp)
{
    CHECK_OBJ(*cp, L2_CALL_MAGIC);
    (*cp)->fn = NULL;
    list_unlink(&(*cp)->late_link);
    *cp = NULL;
}
