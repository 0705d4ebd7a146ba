/* Maps of slots and redirects from anybody behind the address of a cluster's node. Laws: a map that is taken has an
 * owner of each slot that is among its nodes, and nodes that can be gone to, each once; a redirect that is taken leads
 * to a slot and a place that there can be, and puts that one slot there. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cache/l2_slots.h"

#define REPLY_BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct l2_address teller = {.host = "teller", .port = 1};

static void check_place(const struct l2_address *at)
{
    const size_t len = strlen(at->host);
    ASSERT(len > 0 && len < sizeof at->host && at->port > 0 && !at->is_unix);
    ASSERT(strcspn(at->host, " \r\n\t/[]?") == len);
}

static void check_map(const struct l2_slots *s)
{
    ASSERT(s->node_count > 0 && s->node_count <= L2_NODES_MAX);
    for (uint32_t i = 0; i < s->node_count; i++) {
        check_place(&s->node[i]);
        for (uint32_t k = 0; k < i; k++)
            ASSERT(!l2_address_equal(&s->node[i], &s->node[k]));
    }
    for (uint32_t slot = 0; slot < L2_SLOT_COUNT; slot++)
        ASSERT(l2_slots_owner(s, (uint16_t)slot) < (int)s->node_count);
}

static void read_redirect(struct l2_slots *s, const struct l2_reply *error)
{
    struct l2_redirect r;
    if (!l2_redirect_read(&r, error, &teller))
        return;
    check_place(&r.to);
    ASSERT(r.slot < L2_SLOT_COUNT);
    const int owner = l2_slots_move(s, r.slot, &r.to);
    if (owner >= 0)
        ASSERT(l2_slots_owner(s, r.slot) == owner && l2_address_equal(&s->node[owner], &r.to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len >= REPLY_BYTES_MAX)
        return 0;
    struct l2_slots *map = mem_alloc(sizeof *map), *moved = mem_alloc(sizeof *moved);
    struct l2_parser *p = l2_parser_create(REPLY_BYTES_MAX);
    struct l2_reply *r = NULL;
    l2_slots_init(moved);
    enum err e = l2_parser_feed(p, data, len);
    while (e == ERR_NONE && (e = l2_parser_next(p, &r)) == ERR_NONE) {
        if (r->kind == L2_ERROR)
            read_redirect(moved, r);
        if (l2_slots_read(map, r, &teller) == ERR_NONE)
            check_map(map);
        l2_reply_destroy(&r);
    }
    ASSERT(l2_slot_of(data, len) < L2_SLOT_COUNT);
    l2_parser_destroy(&p);
    mem_free(moved);
    mem_free(map);
    return 0;
}
