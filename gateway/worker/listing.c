/* A list may be longer than a message, so it goes along in a file. */
#include "gateway/worker/listing.h"

#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/shm.h"
#include "gateway/worker/worker.h"

/* What no session needs more than: a list that comes so near to its bound was cut. */
#define SESSION_BYTES_MAX (256u << 10)

void listing_take(struct worker *w, const struct msg_sessions *m)
{
    struct msg_sessions_answer answer = {.number = m->number};
    char filter[IPC_TEXT_BYTES];
    struct strbuf items;
    int fd = -1;
    CHECK_OBJ(w, WORKER_MAGIC);
    memcpy(filter, m->filter, sizeof filter);
    filter[sizeof filter - 1] = '\0';
    strbuf_init(&items, SESSIONS_BYTES_MAX);
    answer.fitting_count = tunnel_set_describe_sessions(w->tunnels, filter, m->limit, &items);
    answer.is_cut = items.len > SESSIONS_BYTES_MAX - SESSION_BYTES_MAX;
    if (items.len > 0 && shm_seal_bytes("sessions", items.data, items.len, &fd) != ERR_NONE)
        answer.is_cut = true;
    if (ipc_send(w->ipc, MSG_SESSIONS_ANSWER, &answer, fd) != ERR_NONE)
        LOG_WARN("list of sessions not sent", KV_UINT("number", m->number));
    if (fd >= 0)
        (void)close(fd);
    strbuf_fini(&items);
}
