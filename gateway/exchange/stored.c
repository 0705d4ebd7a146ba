/* An answer from the cache: the stored head as this request shall see it, and slices of the stored body, handed to the
 * client no faster than it takes them. Nothing of the body is copied but what a full socket leaves over. */
#include <string.h>

#include "base/mem.h"
#include "cache/compress.h"
#include "gateway/exchange/exchange_priv.h"

/* Handed over at once, between two looks at whether the client is full. */
#define PIECE_BYTES (64u * 1024u)

/* What goes out of `e`; a coding that is wanted is made, unless that is in vain. */
static uint32_t choose(struct exchange *x, struct cache_entry *e, struct cache_serving *s)
{
    const struct conf_cache_route *r = &x->route->cache;
    uint32_t codings = 1u << CODING_IDENTITY;
    if (r->compress != 0 && cache_compress_is_worth(e, r->compress_min_bytes))
        codings |= r->compress;
    const uint32_t offered = codings;
    cache_serve_choose(s, e, &x->head, codings);
    while (s->needs_coding) {
        size_t made_bytes = 0;
        const struct slice body = cache_compress_get(x->env->cache->compress, e, s->coding, &made_bytes);
        if (made_bytes > 0)
            cache_memory_grown(x->env->cache->memory, e, made_bytes);
        if (body.data == NULL)
            codings &= ~(1u << s->coding);
        cache_serve_choose(s, e, &x->head, codings);
    }
    return offered;
}

/* The stored fields need no writing as long as they are what the head begins with. */
static void reuse_written(struct http_head *h, const struct cache_entry *e)
{
    if (e->written.data == NULL || h->field_count < e->field_count ||
        memcmp(h->fields, e->fields, e->field_count * sizeof e->fields[0]) != 0)
        return;
    h->written = e->written;
    h->written_count = e->field_count;
}

/* Until the client is full, or all is said. */
static enum step push(struct exchange *x)
{
    struct lookup *l = &x->cache;
    while (l->left.len > 0) {
        struct slice piece = l->left;
        if (piece.len > PIECE_BYTES)
            piece.len = PIECE_BYTES;
        l->left.data += piece.len;
        l->left.len -= piece.len;
        x->sent_bytes += piece.len;
        x->ops->send_body(x->arg, piece);
        if (l->left.len > 0 && x->ops->is_full(x->arg))
            return STEP_WAIT;
    }
    deliver_end(x);
    return STEP_DONE;
}

enum step stored_deliver(struct exchange *x, struct cache_entry *e)
{
    struct http_head head;
    struct http_texts texts;
    struct cache_serving s;
    ASSERT(x->cache.entry == NULL);
    x->cache.entry = cache_entry_ref(e);
    const uint32_t codings = choose(x, e, &s);
    http_texts_init(&texts, EXCHANGE_TEXTS_BYTES);
    if (!cache_serve_head(&head, &texts, e, &s, codings, exchange_now_ms(x)) ||
        !deliver_finish_head(x, &head, &texts)) {
        http_texts_fini(&texts);
        return deliver_own(x, 502, "answer's head cannot be passed on");
    }
    const struct slice *body = s.coding == e->coding ? &e->body : &e->coded[s.coding];
    if (s.has_body)
        x->cache.left = (struct slice){body->data + s.from_byte, s.byte_count, body->owner};
    reuse_written(&head, e);
    deliver_begin(x, s.status);
    x->ops->send_head(x->arg, &head, s.has_body);
    http_texts_fini(&texts);
    return push(x);
}

void stored_drained(struct exchange *x)
{
    exchange_run(x, push(x));
}
