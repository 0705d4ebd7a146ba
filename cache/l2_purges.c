/* The purge log as a Redis stream, P:purges. One record is one purge: fields kind, soft, text, id. Kind `begin` is
 * no purge; it gives an empty log a record to hold on to.
 *
 * The hard part is to know that nothing was missed, when streams are trimmed, evicted, flushed, or lost with a restart
 * or a failover. The law: a reader holds the id of a record that was in the log, and every reading is a pair, XREAD
 * from there and then XRANGE of that very record. If it is still there after the XREAD, nothing behind it can have
 * been trimmed before, and what was read is all there is. If it is gone, continuity is lost: the log is read anew from
 * its beginning, and its newest record is where trust begins (on_lost). Should that be older than what was reached
 * before (a clock that lags), a record behind it is added first, so that positions only grow.
 *
 * A log that is younger than what was reached tells that by its first record: who reads it trusts nothing older. One
 * that went back - a restart from a snapshot, a replica that lagged - looks whole to whoever did not see what it lost,
 * and to who starts later; so those who did add a purge of everything, which stands for the missing ones.
 *
 * Whoever has purges waiting to be added (cache/l2_outbox.h) has not caught up: on_lost makes users forget them, so
 * that they must be in the log before. */
#include "cache/l2_purges.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "cache/l2_job.h"
#include "cache/l2_outbox.h"

#define PURGES_MAGIC 0x129e6a95u

/* How long an XREAD waits: also how long a Redis that went silent can keep us believing that nothing was purged. */
#define BLOCK_MS 1000
/* Records of one reading. */
#define BATCH_COUNT 256
/* After an error reply. */
#define RETRY_MS      1000
#define ID_TEXT_BYTES 44u

struct record_id {
    uint64_t ms, seq;
};

struct l2_purges {
    uint32_t magic;
    struct l2 *l2;
    struct l2_redis_key key;

    /* reading */
    struct l2_link *reader;       /* NULL: no node that has the log was up yet */
    struct l2_link_counts counts; /* of the reader; its waiting is nobody's */
    struct l2_call *call;
    struct timer retry;
    bool is_caught_up;
    bool has_last;       /* `last` was in the log when it was read */
    bool was_reached;    /* `reached` is one */
    bool is_empty_early; /* the last reading was to wait, and did not */
    int64_t asked_ms;
    bool is_begun;            /* we have added a record, and not arrived since */
    bool is_broken;           /* continuity was lost, and on_lost is owed */
    bool is_same_log;         /* ... of the log that was read before */
    bool is_rewound;          /* ... which has records from before the loss: others than those may be missing */
    bool is_made_good;        /* ... and a purge of everything since */
    struct record_id last;    /* the newest record read */
    uint64_t last_content;    /* digest of it */
    struct record_id reached; /* what on_reach was told last */
    struct log_limit limit;

    struct l2_outbox *outbox;
};

static void read_on(struct l2_purges *p);

static int64_t now_ms(const struct l2_purges *p)
{
    return loop_now_ms(p->l2->net->loop);
}

static bool is_before(const struct record_id *a, const struct record_id *b)
{
    return a->ms < b->ms || (a->ms == b->ms && a->seq < b->seq);
}

static void id_text(const struct record_id *id, char out[ID_TEXT_BYTES])
{
    (void)snprintf(out, ID_TEXT_BYTES, "%" PRIu64 "-%" PRIu64, id->ms, id->seq);
}

/* ---- records ---- */

static bool number_parse(const char **text, uint64_t *n)
{
    const char *c = *text;
    *n = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        if (*n > (UINT64_MAX - digit) / 10)
            return false;
        *n = *n * 10 + digit;
    }
    const bool is_number = c != *text;
    *text = c;
    return is_number;
}

/* Whether `r` is a record: [id, [field, value, ...]]. */
static bool record_read(const struct l2_reply *r, struct record_id *id)
{
    if (r->kind != L2_ARRAY || r->len != 2 || r->elements[0]->kind != L2_BULK || r->elements[1]->kind != L2_ARRAY)
        return false;
    const char *text = r->elements[0]->text;
    return number_parse(&text, &id->ms) && *text++ == '-' && number_parse(&text, &id->seq) && *text == '\0';
}

/* Tells records of one id apart; nothing depends on nobody being able to forge it. */
static uint64_t record_content(const struct l2_reply *r)
{
    static const uint8_t key[16] = {0};
    const struct l2_reply *fields = r->elements[1];
    uint64_t sum = fields->len;
    for (size_t i = 0; i < fields->len; i++)
        if (fields->elements[i]->kind == L2_BULK)
            sum = sum * 31 + siphash24(key, fields->elements[i]->text, fields->elements[i]->len);
    return sum;
}

static const struct l2_reply *field_of(const struct l2_reply *r, const char *name)
{
    const struct l2_reply *fields = r->elements[1];
    for (size_t i = 0; i + 1 < fields->len; i += 2)
        if (l2_reply_is_text(fields->elements[i], name) && fields->elements[i + 1]->kind == L2_BULK)
            return fields->elements[i + 1];
    return NULL;
}

/* 0: it has none. */
static uint64_t record_purge_id(const struct l2_reply *r)
{
    const struct l2_reply *field = field_of(r, "id");
    uint64_t id = 0;
    if (field == NULL)
        return 0;
    const char *text = field->text;
    return number_parse(&text, &id) && *text == '\0' ? id : 0;
}

/* False: it is no purge. `begin` is none either, but nothing to wonder about. */
static bool record_purge(const struct l2_reply *r, struct cache_purge *out, bool *is_begin)
{
    const struct l2_reply *kind = field_of(r, "kind");
    const struct l2_reply *soft = field_of(r, "soft");
    const struct l2_reply *text = field_of(r, "text");
    *is_begin = kind != NULL && l2_reply_is_text(kind, "begin");
    if (kind == NULL || soft == NULL || text == NULL || text->len >= sizeof out->text ||
        memchr(text->text, '\0', text->len) != NULL)
        return false;
    memset(out, 0, sizeof *out);
    out->id = record_purge_id(r);
    memcpy(out->text, text->text, text->len);
    out->is_soft = l2_reply_is_text(soft, "1");
    for (out->kind = 0; out->kind < PURGE_KIND_COUNT; out->kind++)
        if (l2_reply_is_text(kind, cache_purge_kind_text((enum cache_purge_kind)out->kind)))
            return cache_purge_check(out) == NULL;
    return false;
}

static void tell_record(struct l2_purges *p, const struct l2_reply *r, const struct record_id *id)
{
    struct cache_purge purge;
    bool is_begin = false;
    if (record_purge(r, &purge, &is_begin))
        p->l2->ops->on_purge(p->l2->arg, &purge, id->ms, id->seq);
    else if (!is_begin)
        LOG_LIMITED(&p->limit, now_ms(p), LOG_LEVEL_WARN, "record of the purge log skipped", KV_STR("key", p->key.text),
                    KV_STR("id", r->elements[0]->text));
}

/* ---- reading ---- */

static void retry_later(struct l2_purges *p)
{
    p->is_caught_up = false;
    timer_start(&p->retry, RETRY_MS);
}

/* Called when a record of our own was added. */
static void on_begun(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct l2_purges *p = arg;
    CHECK_OBJ(p, PURGES_MAGIC);
    p->call = NULL;
    if (e != ERR_NONE)
        return; /* lost, or about to be dropped: on_reader_up() begins again */
    if (count > 0 && l2_reply_fault(replies[0]) == L2_FAULT_NONE) {
        read_on(p);
        return;
    }
    /* Also where somebody else added one meanwhile and ours came too late. */
    LOG_LIMITED(&p->limit, now_ms(p), LOG_LEVEL_WARN, "purge log not begun", KV_STR("key", p->key.text),
                KV_STR("detail", count > 0 ? replies[0]->text : ""));
    retry_later(p);
}

/* Adds a record that is no operator's, `begin` or `all`, at `id` or where Redis puts it ("*"). */
static void begin_log(struct l2_purges *p, const char *kind, const char *id)
{
    struct l2_command c;
    if (p->is_begun) { /* and it is gone already: Redis has no room for it */
        LOG_LIMITED(&p->limit, now_ms(p), LOG_LEVEL_WARN, "purge log does not stay", KV_STR("key", p->key.text),
                    KV_INT("retry_ms", RETRY_MS));
        p->is_begun = false;
        retry_later(p);
        return;
    }
    p->is_begun = true;
    l2_command_words(&c, "XADD", p->key.text, "MAXLEN", "~", L2_LOG_RECORDS, id, "kind", kind, "soft", "0", "text", "",
                     NULL);
    p->call = l2_link_send(p->reader, &c, 1, p->l2->redis->connect_timeout_ms, on_begun, p);
    l2_command_fini(&c);
}

/* A record behind what was reached, which stands for what is missing in a log that went back. */
static void mend_log(struct l2_purges *p)
{
    const struct record_id behind = {.ms = p->reached.ms + 1};
    char text[ID_TEXT_BYTES] = "*";
    if (is_before(&p->last, &p->reached))
        id_text(&behind, text);
    begin_log(p, p->is_rewound ? "all" : "begin", text);
}

/* At the end of the log. */
static void arrive(struct l2_purges *p)
{
    const struct l2_ops *ops = p->l2->ops;
    if (!p->is_caught_up && l2_outbox_count(p->outbox) > 0) {
        l2_outbox_send(p->outbox); /* on_outbox_empty() goes on */
        return;
    }
    if (p->is_broken && (is_before(&p->last, &p->reached) || (p->is_rewound && !p->is_made_good))) {
        mend_log(p);
        return;
    }
    if (p->is_broken) {
        p->is_broken = false;
        p->is_same_log = p->is_rewound = p->is_made_good = false;
        ops->on_lost(p->l2->arg, p->last.ms, p->last.seq);
    }
    if (!p->was_reached || is_before(&p->reached, &p->last))
        ops->on_reach(p->l2->arg, p->last.ms, p->last.seq);
    p->reached = p->last;
    p->was_reached = true;
    p->is_begun = false;
    if (!p->is_caught_up)
        LOG_LIMITED(&p->limit, now_ms(p), LOG_LEVEL_INFO, "purge log caught up with", KV_STR("key", p->key.text),
                    KV_UINT("ms", p->last.ms), KV_UINT("seq", p->last.seq));
    p->is_caught_up = true;
    if (p->is_empty_early)
        timer_start(&p->retry, BLOCK_MS / 4);
    else
        read_on(p);
}

static void lose(struct l2_purges *p)
{
    char text[ID_TEXT_BYTES];
    id_text(&p->last, text);
    LOG_LIMITED(&p->limit, now_ms(p), LOG_LEVEL_WARN, "purge log lost, what was stored before is not used",
                KV_STR("key", p->key.text), KV_STR("last", text));
    const bool is_first_time = p->was_reached && !p->is_broken;
    p->has_last = false;
    p->is_caught_up = false;
    p->is_same_log = is_first_time || p->is_same_log;
    p->is_rewound = p->is_made_good = false;
    p->is_broken = p->was_reached;
    if (is_first_time)
        read_on(p);
    else
        retry_later(p); /* lost again while it was read anew */
}

/* XRANGE of the last record: still the one it was? */
static bool is_held(const struct l2_purges *p, const struct l2_reply *r)
{
    struct record_id id;
    return r->kind == L2_ARRAY && r->len == 1 && record_read(r->elements[0], &id) && id.ms == p->last.ms &&
           id.seq == p->last.seq && record_content(r->elements[0]) == p->last_content;
}

/* The records of an XREAD reply, [[key, [record, ...]]]; NULL: none. False: it is no such reply. */
static bool find_records(const struct l2_reply *r, const struct l2_reply **records)
{
    *records = NULL;
    if (r->kind == L2_NIL)
        return true;
    if (r->kind != L2_ARRAY || r->len != 1 || r->elements[0]->kind != L2_ARRAY || r->elements[0]->len != 2 ||
        r->elements[0]->elements[1]->kind != L2_ARRAY)
        return false;
    if (r->elements[0]->elements[1]->len > 0)
        *records = r->elements[0]->elements[1];
    return true;
}

/* Of a record read after continuity was lost. */
static void note_after_loss(struct l2_purges *p, const struct l2_reply *r, const struct record_id *id)
{
    struct cache_purge purge;
    bool is_begin = false;
    if (!is_before(&p->reached, id))
        p->is_rewound = p->is_same_log;
    else if (record_purge(r, &purge, &is_begin) && purge.kind == PURGE_ALL && !purge.is_soft)
        p->is_made_good = true;
}

/* False: what is there is no record, or none that comes after the last one. */
static bool tell_records(struct l2_purges *p, const struct l2_reply *records)
{
    for (size_t i = 0; i < records->len; i++) {
        struct record_id id;
        if (!record_read(records->elements[i], &id) || (p->has_last && !is_before(&p->last, &id)))
            return false;
        if (!p->has_last && !p->was_reached)
            p->l2->ops->on_lost(p->l2->arg, id.ms, id.seq);
        if (p->is_broken)
            note_after_loss(p, records->elements[i], &id);
        tell_record(p, records->elements[i], &id);
        p->has_last = true;
        p->last = id;
        p->last_content = record_content(records->elements[i]);
    }
    return true;
}

static void reader_failed(struct l2_purges *p, const struct l2_reply *error)
{
    struct l2 *l = p->l2;
    const enum l2_fault f = l2_reply_fault(error);
    LOG_LIMITED(&p->limit, now_ms(p), LOG_LEVEL_WARN, "purge log not read", KV_STR("key", p->key.text),
                KV_STR("cause", err_text(f == L2_FAULT_NONE ? ERR_PROTOCOL : l2_fault_err(f))),
                KV_STR("detail", error->kind == L2_ERROR ? error->text : ""), KV_INT("retry_ms", RETRY_MS));
    l->counts.failure_count++;
    retry_later(p);
    if (l->kind != NULL && (f == L2_FAULT_MOVED || f == L2_FAULT_ASK || f == L2_FAULT_READONLY)) {
        bool is_asking = false; /* what matters is that the nodes learn of it */
        (void)l->kind->redirect(l->nodes, p->key.text, p->key.len, error, &is_asking);
        l2_nodes_changed(l);
    }
}

static void on_read(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct l2_purges *p = arg;
    const struct l2_reply *records = NULL;
    CHECK_OBJ(p, PURGES_MAGIC);
    p->call = NULL;
    if (e == ERR_TIMEOUT)
        l2_link_drop(p->reader, e, "the purge log gave no answer");
    if (e != ERR_NONE)
        return; /* the link comes back by itself */
    for (size_t i = 0; i < count; i++)
        if (replies[i]->kind == L2_ERROR || (i == 0 && !find_records(replies[i], &records))) {
            reader_failed(p, replies[i]);
            return;
        }
    p->is_empty_early = records == NULL && p->is_caught_up && now_ms(p) - p->asked_ms < BLOCK_MS / 2;
    if (p->has_last && !is_held(p, replies[1])) {
        lose(p);
    } else if (records == NULL && p->has_last) {
        arrive(p);
    } else if (records == NULL) {
        begin_log(p, "begin", "*");
    } else if (!tell_records(p, records)) {
        reader_failed(p, replies[0]);
    } else if (p->is_caught_up) {
        arrive(p);
    } else {
        read_on(p);
    }
}

/* The next reading: waits for records once all that were there are known. */
static void read_on(struct l2_purges *p)
{
    struct l2_command commands[2] = {{0}};
    struct l2_args a = {0};
    char last[ID_TEXT_BYTES] = "0-0";
    if (p->has_last)
        id_text(&p->last, last);
    l2_args_text(&a, "XREAD");
    l2_args_text(&a, "COUNT");
    l2_args_int(&a, BATCH_COUNT);
    if (p->is_caught_up) {
        l2_args_text(&a, "BLOCK");
        l2_args_int(&a, BLOCK_MS);
    }
    l2_args_text(&a, "STREAMS");
    l2_args_bytes(&a, p->key.text, p->key.len);
    l2_args_text(&a, last);
    l2_command_init(&commands[0], &a);
    l2_command_words(&commands[1], "XRANGE", p->key.text, last, last, NULL);
    p->asked_ms = now_ms(p);
    const int64_t wait_ms = p->l2->redis->connect_timeout_ms + (p->is_caught_up ? BLOCK_MS : 0);
    p->call = l2_link_send(p->reader, commands, p->has_last ? 2 : 1, wait_ms, on_read, p);
    l2_command_fini(&commands[0]);
    l2_command_fini(&commands[1]);
}

static void on_reader_up(void *arg)
{
    struct l2_purges *p = arg;
    CHECK_OBJ(p, PURGES_MAGIC);
    if (p->call == NULL) {
        timer_cancel(&p->retry);
        read_on(p);
    }
}

static void on_reader_down(void *arg)
{
    struct l2_purges *p = arg;
    CHECK_OBJ(p, PURGES_MAGIC);
    p->is_caught_up = false;
    timer_cancel(&p->retry);
}

static const struct l2_link_ops reader_ops = {.on_up = on_reader_up, .on_down = on_reader_down};

static void on_retry(void *arg)
{
    struct l2_purges *p = arg;
    CHECK_OBJ(p, PURGES_MAGIC);
    if (p->call == NULL && p->reader != NULL && l2_link_is_up(p->reader))
        read_on(p);
}

/* Goes on where arrive() stopped. */
static void on_outbox_empty(void *arg)
{
    struct l2_purges *p = arg;
    CHECK_OBJ(p, PURGES_MAGIC);
    if (!p->is_caught_up && p->call == NULL && p->reader != NULL && l2_link_is_up(p->reader) &&
        !timer_is_active(&p->retry))
        read_on(p);
}

/* ---- public ---- */

struct l2_purges *l2_purges_create(struct l2 *l)
{
    struct l2_purges *p;
    OBJ_NEW(p, PURGES_MAGIC);
    p->l2 = l;
    p->outbox = l2_outbox_create(l, &p->key, on_outbox_empty, p);
    timer_init(&p->retry, l->net->loop, on_retry, p);
    return p;
}

static void stop_reading(struct l2_purges *p)
{
    p->is_caught_up = false;
    timer_cancel(&p->retry);
    if (p->reader != NULL) {
        if (p->call != NULL)
            l2_link_forget(&p->call);
        l2_link_destroy(&p->reader);
    }
}

void l2_purges_destroy(struct l2_purges **pp)
{
    struct l2_purges *p = *pp;
    CHECK_OBJ(p, PURGES_MAGIC);
    stop_reading(p);
    l2_outbox_destroy(&p->outbox);
    OBJ_FREE(pp, PURGES_MAGIC);
}

void l2_purges_forget_log(struct l2_purges *p)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    stop_reading(p);
    p->has_last = false;
    p->is_broken = p->was_reached;
    p->is_same_log = p->is_rewound = p->is_made_good = false;
}

void l2_purges_name_log(struct l2_purges *p)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    const int len = snprintf(p->key.text, sizeof p->key.text, "%s:purges", p->l2->redis->prefix);
    ASSERT(len > 0 && (size_t)len < sizeof p->key.text); /* the prefix was bounded when it was read */
    p->key.len = (size_t)len;
}

/* The link for commands was lost since the reader connected: it may be another Redis that is asked now. */
static bool is_reader_outdated(const struct l2_purges *p, const struct l2_link *k)
{
    return l2_link_is_connected(p->reader) && l2_link_up_since_ms(p->reader) <= l2_link_lost_ms(k);
}

void l2_purges_nodes_changed(struct l2_purges *p)
{
    struct l2 *l = p->l2;
    CHECK_OBJ(p, PURGES_MAGIC);
    if (l->kind == NULL)
        return;
    struct l2_link *k = l->kind->route(l->nodes, p->key.text, p->key.len);
    if (k == NULL || !l2_link_is_connected(k))
        return;
    if (p->reader == NULL) {
        struct l2_link_settings s;
        l2_link_settings(l, l2_link_address(k), &s);
        s.what = "redis purge log";
        s.circuit_failures = 0;
        p->reader = l2_link_create(l->net, l->resolver, &s, &p->counts, &reader_ops, p);
    } else if (!l2_address_equal(l2_link_address(p->reader), l2_link_address(k))) {
        l2_link_move(p->reader, l2_link_address(k));
    } else if (is_reader_outdated(p, k)) {
        l2_link_drop(p->reader, ERR_CANCELLED, "commands were interrupted");
    }
    l2_outbox_send(p->outbox);
}

bool l2_purges_is_caught_up(const struct l2_purges *p)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    return p->is_caught_up;
}

bool l2_purges_add(struct l2_purges *p, const struct cache_purge *what)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    return l2_outbox_add(p->outbox, what);
}
