/* A map by name, and a list in the order they were taken: leases of one process last about equally long, so the oldest
 * stand in front and what is over is found there. One that lasts longer than those behind it only keeps them longer. */
#include "cache/l2_leases.h"

#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#define LEASES_MAGIC 0x1ea5e5c3u
#define LEASE_MAGIC  0x1ea5e09au

struct lease {
    uint32_t magic;
    struct list link;
    int64_t until_ms;
    char token[L2_LEASE_TOKEN_BYTES];
    size_t name_len;
    char *name;
};

struct l2_leases {
    uint32_t magic;
    struct map *by_name;
    struct list in_order;
};

struct l2_leases *l2_leases_create(void)
{
    struct l2_leases *l;
    OBJ_NEW(l, LEASES_MAGIC);
    l->by_name = map_create();
    list_init(&l->in_order);
    return l;
}

static void lease_free(struct l2_leases *l, struct lease *e)
{
    (void)map_remove(l->by_name, e->name, e->name_len);
    list_unlink(&e->link);
    mem_free(e->name);
    OBJ_FREE(&e, LEASE_MAGIC);
}

void l2_leases_destroy(struct l2_leases **lp)
{
    CHECK_OBJ(*lp, LEASES_MAGIC);
    LIST_EACH (it, &(*lp)->in_order) {
        lease_free(*lp, LIST_ENTRY(it, struct lease, link));
    }
    map_destroy(&(*lp)->by_name);
    OBJ_FREE(lp, LEASES_MAGIC);
}

static void make_token(char out[L2_LEASE_TOKEN_BYTES])
{
    uint8_t random[(L2_LEASE_TOKEN_BYTES - 1) / 2];
    const ssize_t got = getrandom(random, sizeof random, 0);
    ASSERT(got == (ssize_t)sizeof random);
    *hex_text(random, sizeof random, out) = '\0';
}

const char *l2_leases_add(struct l2_leases *l, const char *name, size_t name_len, int64_t until_ms, int64_t now_ms)
{
    CHECK_OBJ(l, LEASES_MAGIC);
    while (!list_is_empty(&l->in_order)) {
        struct lease *first = LIST_ENTRY(l->in_order.next, struct lease, link);
        if (first->until_ms > now_ms)
            break;
        lease_free(l, first);
    }
    struct lease *e = map_get(l->by_name, name, name_len);
    if (e != NULL && e->until_ms > now_ms)
        return NULL;
    if (e != NULL)
        lease_free(l, e);
    if (map_count(l->by_name) >= L2_LEASES_MAX)
        return NULL;
    OBJ_NEW(e, LEASE_MAGIC);
    e->until_ms = until_ms;
    e->name = mem_strndup(name, name_len);
    e->name_len = name_len;
    make_token(e->token);
    (void)map_put(l->by_name, name, name_len, e);
    list_init(&e->link);
    list_append(&l->in_order, &e->link);
    return e->token;
}

bool l2_leases_take(struct l2_leases *l, const char *name, size_t name_len, char out[L2_LEASE_TOKEN_BYTES])
{
    CHECK_OBJ(l, LEASES_MAGIC);
    struct lease *e = map_get(l->by_name, name, name_len);
    if (e == NULL)
        return false;
    memcpy(out, e->token, sizeof e->token);
    lease_free(l, e);
    return true;
}
