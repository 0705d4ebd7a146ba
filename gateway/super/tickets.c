/* Ticket keys and who has them. A worker that could not be told goes on with the keys it has: its clients' tickets are
 * opened everywhere for as long as those are in the set, and what it cannot open costs a full handshake. */
#include "gateway/super/tickets.h"

#include "base/log.h"
#include "base/mem.h"
#include "gateway/super/super.h"

enum err tickets_give(const struct super *s, struct child *c)
{
    struct msg_tickets m = {.keys = s->tickets.keys};
    enum err e = ERR_NONE;
    if (c->role == ROLE_WORKER && c->ipc != NULL)
        e = ipc_send(c->ipc, MSG_TICKETS, &m, -1);
    mem_wipe(&m, sizeof m);
    return e;
}

void tickets_turn(struct super *s)
{
    timer_start(&s->tickets.turn, TLS_TICKET_PERIOD_MS);
    tls_ticket_keys_rotate(&s->tickets.keys);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (tickets_give(s, &s->child[i]) != ERR_NONE)
            LOG_WARN("child keeps the old ticket keys", KV_STR("child", s->child[i].name));
}

static void on_turn(void *arg)
{
    tickets_turn(arg);
}

void tickets_init(struct super *s)
{
    tls_ticket_keys_rotate(&s->tickets.keys);
    timer_init(&s->tickets.turn, s->loop, on_turn, s);
    timer_start(&s->tickets.turn, TLS_TICKET_PERIOD_MS);
}

void tickets_fini(struct super *s)
{
    timer_cancel(&s->tickets.turn);
    mem_wipe(&s->tickets.keys, sizeof s->tickets.keys);
}
