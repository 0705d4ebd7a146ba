/* A link from inside: l2_link.c carries the calls, l2_link_open.c keeps the connection up. */
#ifndef CACHE_L2_LINK_PRIV_H
#define CACHE_L2_LINK_PRIV_H

#include "base/log.h"
#include "base/mem.h"
#include "cache/l2_dial.h"
#include "cache/l2_link.h"

#define L2_LINK_MAGIC 0x1216b4c3u
#define L2_CALL_MAGIC 0x12ca1158u

#define L2_DETAIL_BYTES 160u

enum link_state { LINK_WAITING = 0, LINK_DIALLING, LINK_LOGIN, LINK_OPEN, LINK_STATE_COUNT };

struct l2_link {
    uint32_t magic;
    enum link_state state;
    bool is_dead;
    struct net *net;
    struct resolver *resolver;
    struct l2_link_settings settings;
    struct l2_link_counts *counts;
    const struct l2_link_ops *ops;
    void *arg;
    struct later bury;

    /* the connection */
    struct l2_dial *dial;
    struct conn *conn;
    struct l2_parser *parser;
    struct timer patience; /* waiting: when to connect again; connecting: how long that may take */
    int64_t backoff_ms;
    int64_t up_since_ms, lost_ms;
    enum err told_error; /* of the last log line on this outage; ERR_NONE: none yet */
    struct log_limit state_limit, fault_limit;

    /* what goes over it */
    struct strbuf out; /* commands of this pass */
    struct later flush;
    struct list owed; /* struct l2_call, in the order of their replies */
    struct list late; /* those that somebody waits for, the first to be late first */
    size_t owed_count;
    struct timer deadline;

    /* circuit */
    bool is_circuit_open;
    uint32_t failures_in_row;
    struct timer rest;     /* until the PING */
    int64_t rest_until_ms; /* likewise, also over a loss */
};

struct l2_call {
    uint32_t magic;
    bool is_late;  /* answered ERR_TIMEOUT */
    bool is_inner; /* login, or the circuit's PING: nobody's command */
    uint32_t want_count, reply_count;
    struct l2_link *link;
    struct list owed_link, late_link;
    int64_t deadline_ms;
    int64_t hangs_ms; /* when its place being still there means that the node hangs */
    int64_t sent_us;
    l2_reply_fn *fn; /* NULL: nobody waits */
    void *arg;
    struct l2_reply *replies[L2_REPLIES_MAX];
};

/* ---- l2_link.c ---- */

/* As l2_link_send(), whatever the state and the circuit; for the login. */
struct l2_call *l2_link_send_any(struct l2_link *k, const struct l2_command *commands, size_t count, int64_t timeout_ms,
                                 l2_reply_fn *fn, void *arg);
/* Answers all that is owed, in the order it was asked. */
void l2_link_answer_all(struct l2_link *k, enum err e);
void l2_link_close_circuit(struct l2_link *k);
extern const struct conn_ops l2_link_conn_ops;

/* ---- l2_link_open.c ---- */

void l2_link_init_opening(struct l2_link *k); /* begins connecting */
/* The connection is lost, or of no use; it comes back after the back-off. A no-op when there is none. */
void l2_link_lose(struct l2_link *k, enum err e, const char *why);
void l2_link_disconnect(struct l2_link *k); /* at once, and for good */
/* Connects without waiting any longer. */
void l2_link_hasten(struct l2_link *k);

static inline int64_t l2_link_now_ms(const struct l2_link *k)
{
    return loop_now_ms(k->net->loop);
}

#endif
