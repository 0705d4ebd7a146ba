/* Two servers that deliver the same subscriptions, while a session moves from one to the other and for a moment after
 * that. What both bring reaches the client once; and what the new one brings first waits until the old one has brought
 * it (gateway/realtime/ahead.h). */
#include "base/mem.h"
#include "gateway/realtime/graphql_priv.h"

#define COPY_MS 2000 /* servers of one cluster are milliseconds apart */

void graphql_feeds_begin(struct graphql *g, const struct leg *to)
{
    graphql_feeds_end(g);
    g->new_epoch = leg_epoch(to);
    g->dedup = dedup_create(COPY_MS, DEDUP_COUNT_MAX);
}

/* The one a move goes to, or went to; also when that has failed and nobody has been told so yet. */
static bool is_new(const struct graphql *g, const struct leg *from)
{
    return leg_epoch(from) >= g->new_epoch;
}

/* Whether the old server brings what this subscription results in. */
static bool is_on_old(const struct graphql *g, const struct graphql_op *o)
{
    const struct leg *l = session_leg(g->session);
    if (session_next_leg(g->session) != NULL)
        return l != NULL && o->epoch == leg_epoch(l);
    return g->settle_ms != 0 && o->was_on_old && session_old_leg(g->session) != NULL;
}

static bool take(struct graphql *g, enum dedup_feed feed, uint64_t hash)
{
    const int64_t now_ms = session_now_ms(g->session);
    const bool is_first = g->dedup == NULL || dedup_take(g->dedup, feed, hash, now_ms);
    if (g->dedup != NULL && dedup_is_done(g->dedup, now_ms))
        dedup_destroy(&g->dedup);
    return is_first;
}

/* To the client, unless it has lost interest. Takes the message over. */
static void deliver(struct graphql *g, struct ahead_message *a)
{
    struct graphql_message m;
    const bool is_wanted = graphql_message_read(&m, a->payload, a->len, true) == GRAPHQL_READ_OK &&
                           graphql_op_find(g, m.id) != NULL && take(g, DEDUP_NEW, a->hash);
    if (is_wanted)
        session_tell(g->session, a->opcode, a->payload, a->len);
    mem_free(a);
}

void graphql_feeds_deliver(struct graphql *g)
{
    struct ahead_message *a;
    while ((a = ahead_take(&g->ahead)) != NULL)
        deliver(g, a);
}

void graphql_feeds_on_time(struct graphql *g)
{
    struct ahead_message *a;
    while ((a = ahead_take_due(&g->ahead, session_now_ms(g->session))) != NULL)
        deliver(g, a);
}

enum sift_verdict graphql_feeds_take(struct graphql *g, const struct graphql_op *o, const struct leg *from,
                                     const struct ws_message *ws)
{
    if (g->dedup == NULL)
        return SIFT_PASS;
    if (!ws->is_whole && !ws->is_at_limit)
        return SIFT_MORE;
    const int64_t now_ms = session_now_ms(g->session);
    const enum dedup_feed feed = is_new(g, from) ? DEDUP_NEW : DEDUP_OLD;
    const struct dedup_part part = {ws->payload, ws->len};
    const uint64_t hash = dedup_hash(g->dedup, &part, 1);
    if (feed == DEDUP_OLD && ahead_found(&g->ahead, hash))
        return SIFT_PASS;
    const bool is_copy = feed == DEDUP_NEW && dedup_take_copy(g->dedup, feed, hash, now_ms);
    if (!is_copy && feed == DEDUP_NEW && ws->is_whole && is_on_old(g, o)) {
        ahead_keep(&g->ahead, hash, now_ms, leg_epoch(from), ws->opcode, ws->payload, ws->len);
        graphql_feeds_on_time(g); /* there may be too many */
        return SIFT_DROP;
    }
    if (!is_copy && feed == DEDUP_NEW)
        graphql_feeds_deliver(g);
    if (!is_copy && take(g, feed, hash))
        return SIFT_PASS;
    session_count(g->session, STAT_ROUTE_SESSION_DUPLICATES, 1);
    return SIFT_DROP;
}

void graphql_feeds_end_old(struct graphql *g)
{
    graphql_feeds_deliver(g);
    if (g->dedup != NULL)
        dedup_end(g->dedup, DEDUP_OLD);
}

void graphql_feeds_end(struct graphql *g)
{
    ahead_drop(&g->ahead);
    if (g->dedup != NULL)
        dedup_destroy(&g->dedup);
}
