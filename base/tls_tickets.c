/* Sets of ticket keys, and their turning over. Names of keys are random too, so that two sets made at the same time by
 * different gateways do not take each other's tickets for their own and fail to open them. */
#include "base/tls_tickets.h"

#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define TLS_TICKETS_MAGIC 0x71c4e75bu

struct tls_tickets {
    uint32_t magic;
    uint32_t refs;
    struct tls_ticket_keys keys;
};

void tls_ticket_keys_rotate(struct tls_ticket_keys *k)
{
    ASSERT(k->count <= TLS_TICKET_KEYS);
    if (k->count < TLS_TICKET_KEYS)
        k->count++;
    memmove(&k->key[1], &k->key[0], (k->count - 1) * sizeof k->key[0]);
    ssize_t got = getrandom(&k->key[0], sizeof k->key[0], 0); /* up to 256 bytes come whole */
    ASSERT(got == (ssize_t)sizeof k->key[0]);
}

struct tls_tickets *tls_tickets_create(void)
{
    struct tls_tickets *t;
    OBJ_NEW(t, TLS_TICKETS_MAGIC);
    t->refs = 1;
    tls_ticket_keys_rotate(&t->keys);
    return t;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
    CHECK_OBJ(t, TLS_TICKETS_MAGIC);
    t->refs++;
    return t;
}

void tls_tickets_unref(struct tls_tickets **tp)
{
    struct tls_tickets *t = *tp;
    CHECK_OBJ(t, TLS_TICKETS_MAGIC);
    *tp = NULL;
    if (--t->refs > 0)
        return;
    mem_wipe(&t->keys, sizeof t->keys);
    OBJ_FREE(&t, TLS_TICKETS_MAGIC);
}

bool tls_tickets_set(struct tls_tickets *t, const struct tls_ticket_keys *k)
{
    CHECK_OBJ(t, TLS_TICKETS_MAGIC);
    if (k->count == 0 || k->count > TLS_TICKET_KEYS)
        return false;
    t->keys = *k;
    return true;
}

const struct tls_ticket_key *tls_tickets_newest(const struct tls_tickets *t)
{
    CHECK_OBJ(t, TLS_TICKETS_MAGIC);
    return &t->keys.key[0];
}

const struct tls_ticket_key *tls_tickets_find(const struct tls_tickets *t, const uint8_t name[TLS_TICKET_NAME_BYTES])
{
    CHECK_OBJ(t, TLS_TICKETS_MAGIC);
    for (uint32_t i = 0; i < t->keys.count; i++)
        if (memcmp(t->keys.key[i].name, name, TLS_TICKET_NAME_BYTES) == 0)
            return &t->keys.key[i];
    return NULL;
}
