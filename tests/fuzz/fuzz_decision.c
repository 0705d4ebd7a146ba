/* Views and decisions from anybody who can write to the Redis of the quorum, or to the state file. Laws: what is taken
 * holds what its reader relies on, and printed again it is the very same text. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "health/decision.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_name(const char *name, size_t cap_bytes)
{
    ASSERT(memchr(name, '\0', cap_bytes) != NULL);
    for (; *name != '\0'; name++)
        ASSERT((unsigned char)*name >= 0x20 && *name != 0x7f);
}

static void check_same(struct strbuf *printed, const uint8_t *data, size_t len)
{
    ASSERT(!printed->failed && printed->len == len && memcmp(printed->data, data, len) == 0);
    strbuf_fini(printed);
}

static void read_view(const uint8_t *data, size_t len)
{
    struct view *v = mem_alloc(sizeof *v);
    struct strbuf printed;

    if (view_parse(v, (const char *)data, len)) {
        ASSERT(v->node[0] != '\0' && v->count <= SLOTS_SERVERS);
        check_name(v->node, sizeof v->node);
        check_name(v->region, sizeof v->region);
        for (size_t i = 0; i < v->count; i++) {
            check_name(v->rows[i].name, sizeof v->rows[i].name);
            ASSERT(v->rows[i].vote.state <= VERDICT_DOWN);
            ASSERT(view_find(v, v->rows[i].name) == &v->rows[i]);
        }
        strbuf_init(&printed, VIEW_BYTES_MAX);
        view_print(v, &printed);
        check_same(&printed, data, len);
    } else {
        ASSERT(v->count == 0);
    }
    mem_free(v);
}

static void read_decision(const uint8_t *data, size_t len)
{
    struct decision *d = mem_alloc(sizeof *d);
    struct strbuf printed;

    if (decision_parse(d, (const char *)data, len)) {
        ASSERT(d->node[0] != '\0' && d->row_count <= CONF_DNS_STEERED_MAX && d->state_count <= SLOTS_SERVERS);
        ASSERT(d->since_wall_ms >= 0);
        for (size_t i = 0; i < d->row_count; i++)
            ASSERT(d->rows[i].chosen != 0 && decision_find(d, d->rows[i].id) == &d->rows[i]);
        for (size_t i = 0; i < d->state_count; i++)
            check_name(d->states[i].name, sizeof d->states[i].name);
        strbuf_init(&printed, DECISION_BYTES_MAX);
        decision_print(d, &printed);
        check_same(&printed, data, len);
    } else {
        ASSERT(d->row_count == 0 && d->state_count == 0);
    }
    mem_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    read_view(data, len);
    read_decision(data, len);
    return 0;
}
