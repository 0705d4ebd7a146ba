/* A record becomes a list of log fields, and those become a line: events and objects as the log itself makes them, the
 * combined form with what it has no place for behind it. The hard part is the query: browsers cannot set headers on a
 * WebSocket, so its credentials stand there, and a log is read by more people than should have them. */
#include "gateway/http/access_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_line.h"
#include "base/log_sink.h"
#include "base/mem.h"
#include "gateway/http/access_mask.h"

#define ACCESS_LOG_MAGIC  0xacce551eu
#define ACCESS_KEPT_MAGIC 0xacce57edu

#define FIELDS_MAX  48u
#define VALUE_BYTES 512u /* of any text that a peer chose */

struct access_log {
    uint32_t magic;
    bool has_file;
    struct log_sink file;
    /* memory kept from line to line */
    struct strbuf line;
    struct strbuf query;
    struct strbuf referer;
};

/* ---- records ---- */

static const size_t texts[] = {
    offsetof(struct access_record, id),      offsetof(struct access_record, client),
    offsetof(struct access_record, user),    offsetof(struct access_record, method),
    offsetof(struct access_record, scheme),  offsetof(struct access_record, host),
    offsetof(struct access_record, path),    offsetof(struct access_record, query),
    offsetof(struct access_record, tls),     offsetof(struct access_record, user_agent),
    offsetof(struct access_record, referer), offsetof(struct access_record, trace_id),
    offsetof(struct access_record, span_id), offsetof(struct access_record, parent_id),
    offsetof(struct access_record, route),   offsetof(struct access_record, server),
    offsetof(struct access_record, cache),   offsetof(struct access_record, reason),
};

#define TEXT_COUNT (sizeof texts / sizeof texts[0])
/* The length of a text that is not there at all. */
#define NO_TEXT UINT16_MAX

struct access_kept {
    uint32_t magic;
    uint32_t attempt_count;
    int64_t begun_wall_ms;
    int64_t duration_ms;
    int64_t first_byte_ms;
    int64_t upstream_ms;
    uint16_t status;
    uint8_t major_version;
    uint8_t minor_version;
    uint16_t text_bytes[TEXT_COUNT];
    char text[]; /* one behind the other */
};

static uint16_t kept_bytes(const struct http_view *v)
{
    return v->data == NULL ? NO_TEXT : (uint16_t)(v->len < VALUE_BYTES ? v->len : VALUE_BYTES);
}

static const struct http_view *text_of(const struct access_record *r, size_t i)
{
    return (const struct http_view *)(const void *)((const char *)r + texts[i]);
}

struct access_kept *access_record_keep(const struct access_record *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < TEXT_COUNT; i++)
        if (text_of(r, i)->data != NULL)
            bytes += kept_bytes(text_of(r, i));
    struct access_kept *k = mem_alloc(sizeof *k + bytes);
    *k = (struct access_kept){.magic = ACCESS_KEPT_MAGIC,
                              .attempt_count = r->attempt_count,
                              .begun_wall_ms = r->begun_wall_ms,
                              .duration_ms = r->duration_ms,
                              .first_byte_ms = r->first_byte_ms,
                              .upstream_ms = r->upstream_ms,
                              .status = r->status,
                              .major_version = r->major_version,
                              .minor_version = r->minor_version};
    char *at = k->text;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const struct http_view *v = text_of(r, i);
        k->text_bytes[i] = kept_bytes(v);
        if (v->data == NULL)
            continue;
        memcpy(at, v->data, k->text_bytes[i]);
        at += k->text_bytes[i];
    }
    return k;
}

void access_record_restore(struct access_record *to, const struct access_kept *k)
{
    CHECK_OBJ(k, ACCESS_KEPT_MAGIC);
    *to = (struct access_record){.attempt_count = k->attempt_count,
                                 .begun_wall_ms = k->begun_wall_ms,
                                 .duration_ms = k->duration_ms,
                                 .first_byte_ms = k->first_byte_ms,
                                 .upstream_ms = k->upstream_ms,
                                 .status = k->status,
                                 .major_version = k->major_version,
                                 .minor_version = k->minor_version};
    const char *at = k->text;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        if (k->text_bytes[i] == NO_TEXT)
            continue;
        struct http_view *v = (struct http_view *)(void *)((char *)to + texts[i]);
        *v = (struct http_view){.data = at, .len = k->text_bytes[i]};
        at += k->text_bytes[i];
    }
}

void access_kept_free(struct access_kept **kp)
{
    OBJ_FREE(kp, ACCESS_KEPT_MAGIC);
}

/* ---- fields ---- */

struct fields {
    struct log_field list[FIELDS_MAX];
    size_t count;
};

static void add(struct fields *f, struct log_field field)
{
    ASSERT(f->count + 1 < FIELDS_MAX); /* the last one stays LOG_KIND_END */
    f->list[f->count++] = field;
}

static void add_text(struct fields *f, const char *key, struct http_view v)
{
    if (v.len > 0)
        add(f, KV_STRN(key, v.data, v.len < VALUE_BYTES ? v.len : VALUE_BYTES));
}

static void add_time(struct fields *f, const char *key, int64_t ms)
{
    if (ms >= 0)
        add(f, KV_INT(key, ms));
}

/* Who asked what; the combined form has its own places for these. */
static void add_request(struct fields *f, const struct access_record *r, const char *protocol,
                        const struct access_log *a)
{
    add_text(f, "method", r->method);
    add_text(f, "scheme", r->scheme);
    add_text(f, "host", r->host);
    add_text(f, "path", r->path);
    add_text(f, "query", (struct http_view){.data = a->query.data, .len = a->query.len});
    add_text(f, "protocol", http_view_of(protocol));
    add_text(f, "user_agent", r->user_agent);
    add_text(f, "referer", (struct http_view){.data = a->referer.data, .len = a->referer.len});
}

static void add_end(struct fields *f, const struct access_record *r)
{
    if (r->websocket.was_open) {
        add(f, KV_STR("by", r->websocket.by));
        add(f, KV_STR("phase", r->websocket.phase));
        add(f, KV_UINT("code", r->websocket.code));
    }
    add_text(f, "reason", r->reason);
    add(f, KV_INT("duration_ms", r->duration_ms));
    add_time(f, "first_byte_ms", r->first_byte_ms);
    add_time(f, "upstream_ms", r->upstream_ms);
    if (r->websocket.was_open) {
        add(f, KV_UINT("up_messages", r->websocket.up_messages));
        add(f, KV_UINT("up_bytes", r->websocket.up_bytes));
        add(f, KV_UINT("down_messages", r->websocket.down_messages));
        add(f, KV_UINT("down_bytes", r->websocket.down_bytes));
    }
}

static void add_way(struct fields *f, const struct access_record *r)
{
    add_text(f, "route", r->route);
    add_text(f, "server", r->server);
    add(f, KV_UINT("attempts", r->attempt_count));
}

static void add_rest(struct fields *f, const struct access_record *r)
{
    add_text(f, "cache", r->cache);
    add_text(f, "tls", r->tls);
    add_text(f, "trace_id", r->trace_id);
    add_text(f, "span_id", r->span_id);
    add_text(f, "parent_id", r->parent_id);
}

static void all_fields(struct fields *f, const struct access_record *r, const char *protocol,
                       const struct access_log *a)
{
    add_text(f, "id", r->id);
    add_text(f, "client", r->client);
    add_text(f, "user", r->user);
    add_way(f, r);
    if (!r->websocket.was_open)
        add(f, KV_UINT("status", r->status));
    add_end(f, r);
    if (!r->websocket.was_open) {
        add(f, KV_UINT("in_bytes", r->in_bytes));
        add(f, KV_UINT("out_bytes", r->out_bytes));
    }
    add_request(f, r, protocol, a);
    add_rest(f, r);
}

/* ---- the combined form ---- */

/* Its first part cannot be left out, so each piece of it has a length within which the whole always fits the line. */
enum { WORD_BYTES = 128, METHOD_BYTES = 64, PATH_BYTES = 768, QUERY_BYTES = 768, QUOTED_BYTES = 512 };

static void put_text(struct strbuf *b, struct http_view v, size_t max_bytes)
{
    const size_t begin = b->len;
    if (v.len == 0)
        return;
    log_line_add_text(b, v.data, v.len, max_bytes);
    if (b->len - begin <= max_bytes)
        return;
    b->len = begin + max_bytes;
    size_t slashes = 0; /* one too many would escape what follows */
    while (b->len - slashes > begin && b->data[b->len - slashes - 1] == '\\')
        slashes++;
    b->len -= slashes % 2;
}

/* No quotes stand around it, so nothing in it may look like its end. */
static void put_word(struct strbuf *b, struct http_view v)
{
    const size_t begin = b->len;
    put_text(b, v, WORD_BYTES);
    for (size_t i = begin; i < b->len; i++) {
        if (b->data[i] == ' ')
            b->data[i] = '_';
    }
    if (b->len == begin)
        strbuf_puts(b, "-");
}

static void put_quoted(struct strbuf *b, struct http_view v)
{
    strbuf_puts(b, "\"");
    put_text(b, v, QUOTED_BYTES);
    strbuf_puts(b, v.len > 0 ? "\"" : "-\"");
}

static void put_request_line(struct strbuf *b, const struct access_record *r, const char *protocol,
                             const struct access_log *a)
{
    if (r->method.len == 0) {
        strbuf_puts(b, "\"-\"");
        return;
    }
    strbuf_puts(b, "\"");
    put_text(b, r->method, METHOD_BYTES);
    strbuf_puts(b, " ");
    put_text(b, r->path, PATH_BYTES);
    if (a->query.len > 0) {
        strbuf_puts(b, "?");
        put_text(b, (struct http_view){.data = a->query.data, .len = a->query.len}, QUERY_BYTES);
    }
    strbuf_printf(b, "%s%s\"", *protocol != '\0' ? " " : "", protocol);
}

/* As web servers write it: [06/Nov/1994:08:49:37 +0000], whatever the locale. */
static void put_time(struct strbuf *b, int64_t wall_ms)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    (void)gmtime_r(&s, &tm);
    strbuf_printf(b, "[%02d/%s/%04d:%02d:%02d:%02d +0000]", tm.tm_mday, months[(unsigned)tm.tm_mon % 12],
                  tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void combined_line(struct strbuf *b, const struct access_record *r, const char *protocol,
                          const struct access_log *a)
{
    struct fields f = {.count = 0};
    put_word(b, r->client);
    strbuf_puts(b, " - ");
    put_word(b, r->user);
    strbuf_puts(b, " ");
    put_time(b, r->begun_wall_ms);
    strbuf_puts(b, " ");
    put_request_line(b, r, protocol, a);
    strbuf_printf(b, " %u %llu ", (unsigned)r->status,
                  (unsigned long long)(r->websocket.was_open ? r->websocket.down_bytes : r->out_bytes));
    put_quoted(b, (struct http_view){.data = a->referer.data, .len = a->referer.len});
    strbuf_puts(b, " ");
    put_quoted(b, r->user_agent);
    add_text(&f, "id", r->id);
    add_text(&f, "host", r->host);
    add_way(&f, r);
    add_end(&f, r);
    if (!r->websocket.was_open)
        add(&f, KV_UINT("in_bytes", r->in_bytes));
    add_rest(&f, r);
    log_line_add_fields(b, f.list);
}

/* ---- writing ---- */

struct access_log *access_log_create(void)
{
    struct access_log *a;
    OBJ_NEW(a, ACCESS_LOG_MAGIC);
    a->file = (struct log_sink)LOG_SINK_STDERR;
    strbuf_init(&a->line, LOG_LINE_BYTES - 1);
    strbuf_init(&a->query, ACCESS_MASK_BYTES);
    strbuf_init(&a->referer, ACCESS_MASK_BYTES);
    return a;
}

void access_log_destroy(struct access_log **ap)
{
    struct access_log *a = *ap;
    CHECK_OBJ(a, ACCESS_LOG_MAGIC);
    log_sink_close(&a->file);
    strbuf_fini(&a->line);
    strbuf_fini(&a->query);
    strbuf_fini(&a->referer);
    OBJ_FREE(ap, ACCESS_LOG_MAGIC);
}

void access_log_use_fd(struct access_log *a, int fd)
{
    CHECK_OBJ(a, ACCESS_LOG_MAGIC);
    a->has_file = fd >= 0;
    if (fd >= 0)
        log_sink_use(&a->file, fd, true);
    else
        log_sink_close(&a->file);
}

uint64_t access_log_dropped_count(const struct access_log *a)
{
    CHECK_OBJ(a, ACCESS_LOG_MAGIC);
    return a->file.dropped_count;
}

static void write_line(struct access_log *a)
{
    if (a->has_file)
        log_sink_write(&a->file, a->line.data, a->line.len);
    else
        log_write_line(a->line.data, a->line.len);
}

static void write_event(struct access_log *a, enum log_format format, const struct access_record *r,
                        const char *protocol, const char *what)
{
    struct fields f = {.count = 0};
    char time[LOG_TIME_BYTES];
    const struct log_stamp stamp = {
        .level = LOG_LEVEL_INFO, .time = log_time_text(r->begun_wall_ms + r->duration_ms, time), .role = log_role()};
    all_fields(&f, r, protocol, a);
    if (!a->has_file && format == log_format_in_use()) {
        log_write(LOG_LEVEL_INFO, what, f.list); /* it knows the journal */
        return;
    }
    log_line_add(&a->line, format, &stamp, what, f.list);
    write_line(a);
}

void access_log_write(struct access_log *a, const struct conf *c, const struct access_record *r)
{
    const char *what = r->websocket.was_open ? "websocket closed" : "request answered";
    char protocol[16] = "";

    CHECK_OBJ(a, ACCESS_LOG_MAGIC);
    if (!access_log_is_wanted(c))
        return;
    if (r->major_version != 0)
        (void)snprintf(protocol, sizeof protocol, "HTTP/%u.%u", (unsigned)r->major_version, (unsigned)r->minor_version);
    strbuf_clear(&a->line);
    access_mask_query(&a->query, r->query, c);
    access_mask_url(&a->referer, r->referer, c);
    switch (c->log.access_format) {
    case ACCESS_FORMAT_EVENT:
        write_event(a, log_format_in_use(), r, protocol, what);
        break;
    case ACCESS_FORMAT_JSON:
        write_event(a, LOG_FORMAT_JSON, r, protocol, what);
        break;
    case ACCESS_FORMAT_COMBINED:
        combined_line(&a->line, r, protocol, a);
        write_line(a);
        break;
    }
}
