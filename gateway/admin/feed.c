/* A ring of events by number. Numbers can be missing where a journal was cut short; their places stay empty. */
#include "gateway/admin/feed.h"

#include <inttypes.h>

#include "base/mem.h"
#include "gateway/report/event_line.h"
#include "gateway/report/json.h"

#define FEED_MAGIC 0xfeed1e77u

struct feed {
    uint32_t magic;
    uint64_t first_seq;
    uint64_t last_seq;
    struct event *ring; /* FEED_KEPT; number n is at n % FEED_KEPT */
};

struct feed *feed_create(void)
{
    struct feed *f;

    OBJ_NEW(f, FEED_MAGIC);
    f->first_seq = 1;
    f->ring = mem_alloc_array(FEED_KEPT, sizeof *f->ring);
    return f;
}

void feed_destroy(struct feed **fp)
{
    CHECK_OBJ(*fp, FEED_MAGIC);
    mem_free((*fp)->ring);
    OBJ_FREE(fp, FEED_MAGIC);
}

bool feed_add(struct feed *f, const struct event *e)
{
    CHECK_OBJ(f, FEED_MAGIC);
    if (e->seq <= f->last_seq)
        return false;
    if (f->last_seq == 0)
        f->first_seq = e->seq;
    f->ring[e->seq % FEED_KEPT] = *e;
    f->last_seq = e->seq;
    if (f->last_seq - f->first_seq >= FEED_KEPT)
        f->first_seq = f->last_seq - FEED_KEPT + 1;
    return true;
}

uint64_t feed_first_seq(const struct feed *f)
{
    CHECK_OBJ(f, FEED_MAGIC);
    return f->first_seq;
}

uint64_t feed_last_seq(const struct feed *f)
{
    CHECK_OBJ(f, FEED_MAGIC);
    return f->last_seq;
}

const struct event *feed_at(const struct feed *f, uint64_t seq)
{
    CHECK_OBJ(f, FEED_MAGIC);
    const struct event *e = &f->ring[seq % FEED_KEPT];
    return e->seq == seq && seq != 0 ? e : NULL;
}

void feed_json(const struct feed *f, uint64_t after, uint64_t limit, struct strbuf *out)
{
    struct json j;
    uint64_t seq = after >= f->first_seq ? after + 1 : f->first_seq;

    CHECK_OBJ(f, FEED_MAGIC);
    if (limit == 0)
        limit = FEED_LIMIT_USUAL;
    if (after == 0 && f->last_seq - f->first_seq + 1 > limit)
        seq = f->last_seq - limit + 1;
    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_uint(&j, "first", f->first_seq);
    json_uint(&j, "last", f->last_seq);
    json_array_begin(&j, "events");
    for (uint64_t shown_count = 0; seq <= f->last_seq && shown_count < limit; seq++) {
        const struct event *e = feed_at(f, seq);

        if (e == NULL)
            continue;
        if (shown_count++ > 0)
            strbuf_puts(out, ",");
        event_line_write(e, out);
    }
    json_array_end(&j);
    json_object_end(&j);
    strbuf_puts(out, "\n");
}

void feed_sse(const struct feed *f, uint64_t *cursor, size_t bytes, struct strbuf *out)
{
    CHECK_OBJ(f, FEED_MAGIC);
    while (*cursor < f->last_seq && out->len < bytes) {
        const struct event *e = feed_at(f, ++*cursor);

        if (e == NULL)
            continue;
        strbuf_printf(out, "id: %" PRIu64 "\ndata: ", e->seq);
        event_line_write(e, out);
        strbuf_puts(out, "\n\n");
    }
}
