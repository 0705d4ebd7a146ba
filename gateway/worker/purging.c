/* What the supervisor sends it has checked (cache_purge_check), also when another worker sent it first.
 *
 * The hard part is a supervisor that takes no more messages. Purges must not be lost, and may not wait in any number;
 * so from the first that does not fit one purge of everything is owed, and until it is out the others need not be said.
 */
#include "gateway/worker/purging.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "gateway/worker/worker.h"

#define RETRY_MS 50

_Static_assert(CACHE_PURGE_TEXT_BYTES == IPC_PURGE_TEXT_BYTES, "a purge is the same text to the cache and on its way");

/* From here on `p` holds in this process. */
static enum purge_published hold(struct worker *w, const struct cache_purge *p, bool is_publisher)
{
    static const enum purge_published published[] = {
        [CACHE_ALONE] = PURGE_NOT_PUBLISHED, [CACHE_SENT] = PURGE_PUBLISHED, [CACHE_WAITS] = PURGE_PUBLISHED_LATER};
    CHECK_OBJ(w, WORKER_MAGIC);
    return published[cache_take_purge(w->cache, p, is_publisher)];
}

static void acknowledge(struct worker *w, uint64_t number, enum purge_published published)
{
    const struct msg_purge_ack ack = {.number = number, .published = published};
    if (ipc_send(w->ipc, MSG_PURGE_ACK, &ack, -1) != ERR_NONE)
        LOG_ERR("purge not acknowledged", KV_UINT("number", number));
}

void purging_take(struct worker *w, const struct msg_purge *m)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    struct cache_purge p = {.id = m->id, .kind = m->kind, .is_soft = m->is_soft};
    memcpy(p.text, m->text, sizeof p.text - 1);
    enum purge_published published = hold(w, &p, m->is_publisher != 0);
    LOG_DEBUG("purged", KV_UINT("kind", p.kind), KV_STR("text", p.text), KV_BOOL("soft", p.is_soft != 0),
              KV_BOOL("publisher", m->is_publisher != 0));
    if (m->number != 0)
        acknowledge(w, m->number, published);
}

/* ---- our own ---- */

static bool send_purge(struct worker *w, const struct cache_purge *p)
{
    struct msg_purge m = {.id = p->id, .kind = p->kind, .is_soft = p->is_soft};
    memcpy(m.text, p->text, sizeof m.text - 1);
    return ipc_has_room(w->ipc) && ipc_send(w->ipc, MSG_PURGE, &m, -1) == ERR_NONE;
}

static void owe_all(struct worker *w)
{
    w->purging.is_all_owed = true;
    timer_start(&w->purging.retry, RETRY_MS);
}

static void on_retry(void *arg)
{
    struct worker *w = arg;
    const struct cache_purge all = {.kind = PURGE_ALL};
    w->purging.is_all_owed = false;
    if (!send_purge(w, &all))
        owe_all(w);
}

void purging_tell(struct worker *w, const struct cache_purge *p)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    if (w->purging.is_all_owed || send_purge(w, p))
        return;
    LOG_WARN("supervisor takes no more purges, one of everything will follow");
    owe_all(w);
}

void purging_init(struct worker *w)
{
    timer_init(&w->purging.retry, w->loop, on_retry, w);
}

void purging_fini(struct worker *w)
{
    timer_cancel(&w->purging.retry);
}
