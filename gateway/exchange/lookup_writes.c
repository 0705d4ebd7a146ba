/* What a write that went through a route purges: the route's tags and the resource itself (RFC 9111 section 4.4). */
#include <string.h>

#include "cache/key.h"
#include "gateway/exchange/exchange_priv.h"

/* A URL longer than a purge can name goes with all that begin like it: rather too much than one's own write unseen. */
static void purge(struct exchange *x, enum cache_purge_kind kind, struct http_view text)
{
    struct cache_purge p = {.kind = kind};
    if (text.len >= sizeof p.text) {
        p.kind = PURGE_PREFIX;
        text.len = sizeof p.text - 1;
    }
    memcpy(p.text, text.data, text.len);
    if (cache_purge_check(&p) == NULL)
        (void)cache_purge(x->env->cache, &p);
}

void lookup_may_have_written(struct exchange *x)
{
    lookup_wrote(x, 200);
}

void lookup_wrote(struct exchange *x, uint16_t status)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS"};
    const struct conf_cache_route *r = &x->route->cache;
    if (!r->purges_on_write || (r->policy == CACHE_OFF && r->tag_count == 0) || x->is_websocket)
        return;
    if (status < 200 || status >= 400 || (r->post && http_view_is(x->head.method, "POST")))
        return;
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++)
        if (http_view_is(x->head.method, safe[i]))
            return;
    struct http_texts t;
    http_texts_init(&t, EXCHANGE_TEXTS_BYTES);
    for (size_t i = 0; i < r->tag_count; i++)
        purge(x, PURGE_TAG, http_view_of(r->tags[i]));
    /* The resource itself, whatever its queries (RFC 9111 section 4.4). */
    const struct http_view url[] = {cache_key_host(&t, x->head.authority, x->is_tls), x->head.path};
    purge(x, PURGE_URL, http_texts_join(&t, url, 2));
    http_texts_fini(&t);
}
