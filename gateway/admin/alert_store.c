/* JSON, written by our own hand and read by jansson. Times to come are kept by the wall clock, because the monotonic
 * one begins anew with the machine; what comes back is bounded, because the wall clock may have been set meanwhile. */
#include "gateway/admin/alert_store.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/report/event_line.h"
#include "gateway/report/json.h"

#define ALERT_STORE_MAGIC 0xa1e25704u
#define STORE_VERSION     1
#define STORE_BYTES_MAX   (32u << 20)
#define NAME              "alerts"
#define NAME_NEW          "alerts.new"
#define AHEAD_MAX_MS      (INT64_C(7) * 24 * 3600 * 1000) /* the longest time a key of an alert may be, and then some */

struct alert_store {
    uint32_t magic;
    int dir_fd; /* -1: nothing is kept */
    struct log_limit complaints;
};

/* ---- to text ---- */

struct clock {
    int64_t now_ms, wall_ms;
};

static void json_ahead(struct json *j, const char *key, int64_t ms, const struct clock *c)
{
    json_int(j, key, ms == 0 ? 0 : c->wall_ms + (ms - c->now_ms));
}

static void print_items(struct json *j, const struct alert_item *items, size_t count)
{
    json_array_begin(j, "items");
    for (size_t i = 0; i < count; i++) {
        struct strbuf line;

        strbuf_init(&line, EVENT_LINE_BYTES_MAX);
        event_line_write(&items[i].event, &line);
        json_object_begin(j, NULL);
        json_uint(j, "reason", items[i].reason);
        json_uint(j, "id", items[i].id);
        json_raw(j, "event", line.data, line.len);
        json_object_end(j);
        strbuf_fini(&line);
    }
    json_array_end(j);
}

static void print_incident(struct json *j, const struct alert_incident *i, const struct clock *c)
{
    struct strbuf line;

    strbuf_init(&line, EVENT_LINE_BYTES_MAX);
    event_line_write(&i->event, &line);
    json_object_begin(j, NULL);
    json_str(j, "rule", i->rule);
    json_uint(j, "id", i->id);
    json_bool(j, "told", i->is_told);
    json_bool(j, "acked", i->is_acked);
    json_str(j, "acked_by", i->acked_by);
    json_int(j, "acked_at", i->acked_wall_ms);
    json_int(j, "began_at", i->began_wall_ms);
    json_int(j, "escalated_at", i->escalated_wall_ms);
    json_ahead(j, "due", i->is_told ? 0 : i->due_ms, c);
    json_ahead(j, "repeat", i->repeat_ms, c);
    json_ahead(j, "escalate", i->escalate_ms, c);
    json_raw(j, "event", line.data, line.len);
    json_object_end(j);
    strbuf_fini(&line);
}

static void print_rule(struct json *j, const struct alert_rule *rule, const struct clock *c)
{
    json_object_begin(j, NULL);
    json_str(j, "rule", rule->conf->name);
    json_ahead(j, "flush", rule->flush_ms, c);
    json_bool(j, "held", rule->is_held);
    json_uint(j, "more", rule->more_count);
    print_items(j, rule->items, rule->item_count);
    json_object_end(j);
}

static void print_delivery(struct json *j, const struct alert_delivery *d)
{
    json_object_begin(j, NULL);
    json_str(j, "rule", d->rule);
    json_uint(j, "number", d->number);
    json_int(j, "created", d->created_wall_ms);
    json_uint(j, "attempts", d->attempt_count);
    json_uint(j, "more", d->more_count);
    print_items(j, d->items, d->count);
    json_object_end(j);
}

void alert_store_print(const struct alert_rules *r, const struct alert_queue *q, int64_t now_ms, int64_t wall_ms,
                       struct strbuf *out)
{
    const struct clock clock = {now_ms, wall_ms};
    struct json j;

    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_int(&j, "version", STORE_VERSION);
    json_uint(&j, "seq", r->last_seq);
    json_uint(&j, "number", alert_queue_last_number(q));
    json_array_begin(&j, "incidents");
    LIST_EACH (it, &r->incidents)
        print_incident(&j, LIST_ENTRY(it, struct alert_incident, link), &clock);
    json_array_end(&j);
    json_array_begin(&j, "held");
    for (size_t i = 0; i < r->rule_count; i++)
        if (r->rules[i].item_count > 0)
            print_rule(&j, &r->rules[i], &clock);
    json_array_end(&j);
    json_array_begin(&j, "deliveries");
    LIST_EACH (it, alert_queue_deliveries(q)) {
        const struct alert_delivery *d = LIST_ENTRY(it, struct alert_delivery, link);
        if (d->test_number == 0)
            print_delivery(&j, d);
    }
    json_array_end(&j);
    json_object_end(&j);
    strbuf_puts(out, "\n");
}

/* ---- from text ---- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

static int64_t ahead_of(const json_t *o, const char *key, const struct clock *c)
{
    const int64_t wall_ms = (int64_t)number_of(o, key), left_ms = wall_ms - c->wall_ms;

    if (wall_ms == 0)
        return 0;
    return c->now_ms + (left_ms < 0 ? 0 : left_ms > AHEAD_MAX_MS ? AHEAD_MAX_MS : left_ms);
}

static bool read_event(const json_t *o, struct event *e)
{
    char *line = json_dumps(json_object_get(o, "event"), JSON_COMPACT);
    const bool is_event = line != NULL && event_line_read(line, strlen(line), e);

    free(line);
    return is_event;
}

static bool read_item(const json_t *o, struct alert_item *item)
{
    item->reason = (enum alert_reason)number_of(o, "reason");
    item->id = number_of(o, "id");
    return item->reason < ALERT_REASON_COUNT && read_event(o, &item->event);
}

static void read_incident(const json_t *o, struct alert_rules *r, const struct clock *c)
{
    struct event e;
    struct alert_incident *i;

    if (!read_event(o, &e) || alert_rules_find(r, text_of(o, "rule")) == NULL)
        return;
    i = alert_incident_add(r);
    if (i == NULL)
        return;
    snprintf(i->rule, sizeof i->rule, "%s", text_of(o, "rule"));
    i->condition = event_condition((enum event_kind)e.kind);
    i->id = number_of(o, "id");
    i->event = e;
    i->is_told = json_is_true(json_object_get(o, "told"));
    i->is_acked = json_is_true(json_object_get(o, "acked"));
    snprintf(i->acked_by, sizeof i->acked_by, "%s", text_of(o, "acked_by"));
    i->acked_wall_ms = (int64_t)number_of(o, "acked_at");
    i->began_wall_ms = (int64_t)number_of(o, "began_at");
    i->escalated_wall_ms = (int64_t)number_of(o, "escalated_at");
    i->due_ms = ahead_of(o, "due", c);
    i->repeat_ms = ahead_of(o, "repeat", c);
    i->escalate_ms = ahead_of(o, "escalate", c);
}

static void read_rule(const json_t *o, struct alert_rules *r, const struct clock *c)
{
    struct alert_rule *rule = alert_rules_find(r, text_of(o, "rule"));
    const json_t *items = json_object_get(o, "items");

    for (size_t i = 0; rule != NULL && i < json_array_size(items); i++) {
        struct alert_item item;
        if (read_item(json_array_get(items, i), &item))
            (void)alert_rule_put(rule, &item);
    }
    if (rule == NULL)
        return;
    rule->flush_ms = ahead_of(o, "flush", c);
    rule->is_held = json_is_true(json_object_get(o, "held"));
    rule->more_count += number_of(o, "more");
}

static void read_delivery(const json_t *o, const struct alert_rules *r, struct alert_queue *q)
{
    const json_t *items = json_object_get(o, "items");
    const size_t count = json_array_size(items);
    struct alert_item *read = mem_alloc_array(count + 1, sizeof *read);
    struct alert_delivery *d = NULL;
    size_t read_count = 0;

    for (size_t i = 0; i < count; i++)
        read_count += read_item(json_array_get(items, i), &read[read_count]);
    if (read_count > 0 && read_count <= ALERT_ITEMS_MAX && alert_rules_find(r, text_of(o, "rule")) != NULL)
        d = alert_queue_restore(q, read_count);
    if (d != NULL) {
        memcpy(d->items, read, read_count * sizeof *read);
        snprintf(d->rule, sizeof d->rule, "%s", text_of(o, "rule"));
        d->number = number_of(o, "number");
        d->created_wall_ms = (int64_t)number_of(o, "created");
        d->attempt_count = (uint32_t)number_of(o, "attempts");
        d->more_count = number_of(o, "more");
    }
    mem_free(read);
}

bool alert_store_parse(const char *text, size_t len, struct alert_rules *r, struct alert_queue *q, int64_t now_ms,
                       int64_t wall_ms)
{
    const struct clock clock = {now_ms, wall_ms};
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const bool is_ours = o != NULL && number_of(o, "version") == STORE_VERSION;
    const json_t *list;

    if (is_ours) {
        r->last_seq = number_of(o, "seq");
        alert_queue_set_last_number(q, number_of(o, "number"));
        list = json_object_get(o, "incidents");
        for (size_t i = 0; i < json_array_size(list); i++)
            read_incident(json_array_get(list, i), r, &clock);
        list = json_object_get(o, "held");
        for (size_t i = 0; i < json_array_size(list); i++)
            read_rule(json_array_get(list, i), r, &clock);
        list = json_object_get(o, "deliveries");
        for (size_t i = 0; i < json_array_size(list); i++)
            read_delivery(json_array_get(list, i), r, q);
    }
    json_decref(o);
    return is_ours;
}

/* ---- the file ---- */

struct alert_store *alert_store_open(const char *dir)
{
    struct alert_store *s;

    OBJ_NEW(s, ALERT_STORE_MAGIC);
    s->dir_fd = dir[0] != '\0' ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (s->dir_fd < 0 && dir[0] != '\0')
        LOG_WARN("alerts will not survive a restart, state directory cannot be opened", KV_STR("path", dir),
                 KV_STR("cause", err_text(err_from_errno(errno))));
    return s;
}

void alert_store_close(struct alert_store **sp)
{
    CHECK_OBJ(*sp, ALERT_STORE_MAGIC);
    if ((*sp)->dir_fd >= 0)
        close((*sp)->dir_fd);
    OBJ_FREE(sp, ALERT_STORE_MAGIC);
}

bool alert_store_load(const struct alert_store *s, struct alert_rules *r, struct alert_queue *q, int64_t now_ms,
                      int64_t wall_ms)
{
    struct stat st;
    bool is_loaded = false;
    int fd;

    CHECK_OBJ(s, ALERT_STORE_MAGIC);
    fd = s->dir_fd < 0 ? -1 : openat(s->dir_fd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= (off_t)STORE_BYTES_MAX) {
        char *text = mem_alloc((size_t)st.st_size);
        size_t len = 0;
        ssize_t n;

        while (len < (size_t)st.st_size &&
               ((n = read(fd, text + len, (size_t)st.st_size - len)) > 0 || (n < 0 && errno == EINTR)))
            len += n > 0 ? (size_t)n : 0;
        is_loaded = alert_store_parse(text, len, r, q, now_ms, wall_ms);
        mem_free(text);
    }
    close(fd);
    if (!is_loaded)
        LOG_WARN("kept alerts cannot be used, they are lost");
    return is_loaded;
}

void alert_store_save(struct alert_store *s, const struct alert_rules *r, const struct alert_queue *q, int64_t now_ms,
                      int64_t wall_ms)
{
    struct strbuf text;

    CHECK_OBJ(s, ALERT_STORE_MAGIC);
    if (s->dir_fd < 0)
        return;
    strbuf_init(&text, STORE_BYTES_MAX);
    alert_store_print(r, q, now_ms, wall_ms, &text);
    if (text.failed || !file_replace(s->dir_fd, NAME, NAME_NEW, S_IRUSR | S_IWUSR, text.data, text.len))
        LOG_LIMITED(&s->complaints, now_ms, LOG_LEVEL_WARN, "alerts cannot be kept",
                    KV_STR("cause", err_text(err_from_errno(errno))));
    strbuf_fini(&text);
}
