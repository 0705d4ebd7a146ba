/* Puts the parts together and takes them apart in the order they need each other. */
#include "tests/region/region.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/region/client.h"
#include "tests/region/cluster.h"
#include "tests/region/door.h"
#include "tests/region/hub.h"
#include "tests/region/posts.h"
#include "tests/region/rows.h"
#include "tests/region/web.h"

static void on_drain(void *arg)
{
    struct region *r = arg;

    CHECK_OBJ(r, REGION_MAGIC);
    LIST_EACH (it, &r->clients) {
        struct client *c = LIST_ENTRY(it, struct client, link);

        if (!c->is_upgraded || c->is_closing)
            continue;
        client_dismiss(c, 1012, "region stops");
        if (r->drain_step_ms > 0) {
            timer_start(&r->drain, r->drain_step_ms);
            return;
        }
    }
}

struct region *region_create(struct loop *l, const struct region_options *o)
{
    struct region *r;
    uint64_t random = 0;

    OBJ_NEW(r, REGION_MAGIC);
    r->loop = l;
    r->name = o->name;
    r->knobs = o->knobs;
    list_init(&r->clients);
    timer_init(&r->drain, l, on_drain, r);
    ASSERT(getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random));
    snprintf(r->run, sizeof(r->run), "%016llx", (unsigned long long)random);
    r->hub = hub_create(r);
    r->posts = posts_create();
    r->rows = rows_create(r, o->redis);
    if (r->rows != NULL && o->redis != NULL)
        r->cluster = cluster_create(r, o->redis);
    if (r->rows != NULL && (o->redis == NULL || r->cluster != NULL))
        r->web = web_create(r);
    if (r->web != NULL)
        r->door = door_create(r, o->listen);
    if (r->door == NULL)
        region_destroy(&r);
    return r;
}

uint16_t region_port(const struct region *r)
{
    CHECK_OBJ(r, REGION_MAGIC);
    return door_port(r->door);
}

void region_drain(struct region *r)
{
    int64_t over_ms = knobs_number(&r->knobs, KNOB_DRAIN);

    CHECK_OBJ(r, REGION_MAGIC);
    door_shut(r->door);
    r->is_draining = true;
    r->drain_step_ms = r->open_count == 0 ? 0 : over_ms / (int64_t)r->open_count;
    timer_start(&r->drain, r->drain_step_ms);
}

void region_destroy(struct region **rp)
{
    struct region *r = *rp;

    CHECK_OBJ(r, REGION_MAGIC);
    timer_cancel(&r->drain);
    if (r->door != NULL)
        door_destroy(&r->door);
    if (r->web != NULL)
        web_destroy(&r->web);
    if (r->cluster != NULL)
        cluster_destroy(&r->cluster);
    if (r->rows != NULL)
        rows_destroy(&r->rows);
    hub_destroy(&r->hub);
    posts_destroy(&r->posts);
    for (size_t i = 0; i < REGION_REQUESTS_KEPT; i++)
        head_fini(&r->requests[i]);
    OBJ_FREE(rp, REGION_MAGIC);
}

void region_remember(struct region *r, const struct head *h)
{
    struct head *slot = &r->requests[r->request_count % REGION_REQUESTS_KEPT];
    struct strbuf text;

    CHECK_OBJ(r, REGION_MAGIC);
    if (strncmp(h->path, "/_", 2) == 0)
        return;
    strbuf_init(&text, 2 * (size_t)HEAD_BYTES_MAX);
    strbuf_printf(&text, "%s %s HTTP/1.1\r\n", h->method, h->target);
    for (size_t i = 0; i < h->field_count; i++)
        strbuf_printf(&text, "%s: %s\r\n", h->field[i].name, h->field[i].value);
    strbuf_puts(&text, "\r\n");
    head_fini(slot);
    if (text.failed || head_parse(slot, text.data, text.len) != ERR_NONE)
        LOG_WARN("request not kept", KV_STR("target", h->target));
    else
        r->request_count++;
    strbuf_fini(&text);
}

json_t *region_last_request(const struct region *r, const char *match)
{
    CHECK_OBJ(r, REGION_MAGIC);
    for (uint64_t back = 1; back <= REGION_REQUESTS_KEPT && back <= r->request_count; back++) {
        const struct head *h = &r->requests[(r->request_count - back) % REGION_REQUESTS_KEPT];

        if (strstr(h->target, match) != NULL)
            return head_json(h);
    }
    return json_null();
}

json_t *region_stats(const struct region *r)
{
    CHECK_OBJ(r, REGION_MAGIC);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "region", r->name, "requests", (json_int_t)r->request_count,
                     "upgrades", (json_int_t)r->upgrade_count, "messages", (json_int_t)r->message_count, "open",
                     (json_int_t)r->open_count, "joins", (json_int_t)r->join_count, "cluster",
                     r->cluster == NULL ? json_array() : cluster_names(r->cluster));
}

void region_knobs_changed(struct region *r)
{
    int64_t frame = knobs_number(&r->knobs, KNOB_FRAME), code = knobs_number(&r->knobs, KNOB_CLOSE);

    CHECK_OBJ(r, REGION_MAGIC);
    LIST_EACH (it, &r->clients) {
        struct client *c = LIST_ENTRY(it, struct client, link);

        if (!c->is_upgraded) {
            c->is_paused = c->is_paused && knobs_number(&r->knobs, KNOB_HANG) == HANG_BODY;
            web_want_write(c);
            continue;
        }
        web_check_reading(c);
        if (frame > 0)
            client_send_wrong(c, &wrong_frames[frame]);
        if (code > 0)
            client_close(c, (uint16_t)code, knobs_text(&r->knobs, KNOB_CLOSE_REASON));
    }
    door_recheck(r->door);
}
