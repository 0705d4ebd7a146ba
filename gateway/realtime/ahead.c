#include "gateway/realtime/ahead.h"

#include <string.h>

#include "base/mem.h"

#define AHEAD_MS        500 /* servers of a cluster are milliseconds apart; as long as the older one stays after a move */
#define AHEAD_COUNT_MAX 1024u
#define AHEAD_BYTES_MAX (1u << 20)

static struct ahead_message *message_of(struct list *link)
{
    return LIST_ENTRY(link, struct ahead_message, link);
}

static void take_off(struct ahead *a, struct ahead_message *m)
{
    list_unlink(&m->link);
    a->count--;
    a->bytes -= m->len;
}

void ahead_init(struct ahead *a)
{
    *a = (struct ahead){0};
    list_init(&a->messages);
}

void ahead_drop(struct ahead *a)
{
    struct ahead_message *m;
    while ((m = ahead_take(a)) != NULL)
        mem_free(m);
}

void ahead_keep(struct ahead *a, uint64_t hash, int64_t now_ms, uint32_t epoch, enum ws_opcode opcode,
                const uint8_t *payload, size_t len)
{
    struct ahead_message *m = mem_alloc(sizeof *m + len);
    list_init(&m->link);
    m->hash = hash;
    m->since_ms = now_ms;
    m->epoch = epoch;
    m->opcode = opcode;
    m->len = len;
    memcpy(m->payload, payload, len);
    list_append(&a->messages, &m->link);
    a->count++;
    a->bytes += len;
}

struct ahead_message *ahead_take_found(struct ahead *a, uint64_t hash)
{
    LIST_EACH (it, &a->messages) {
        struct ahead_message *m = message_of(it);
        if (m->hash != hash)
            continue;
        take_off(a, m);
        return m;
    }
    return NULL;
}

bool ahead_found(struct ahead *a, uint64_t hash)
{
    struct ahead_message *m = ahead_take_found(a, hash);
    const bool is_found = m != NULL;
    mem_free(m);
    return is_found;
}

int64_t ahead_due_ms(const struct ahead *a)
{
    return a->count > 0 ? message_of(a->messages.next)->since_ms + AHEAD_MS : INT64_MAX;
}

struct ahead_message *ahead_take(struct ahead *a)
{
    if (a->count == 0)
        return NULL;
    struct ahead_message *m = message_of(a->messages.next);
    take_off(a, m);
    return m;
}

struct ahead_message *ahead_take_due(struct ahead *a, int64_t now_ms)
{
    const bool is_full = a->count > AHEAD_COUNT_MAX || a->bytes > AHEAD_BYTES_MAX;
    return is_full || ahead_due_ms(a) <= now_ms ? ahead_take(a) : NULL;
}
