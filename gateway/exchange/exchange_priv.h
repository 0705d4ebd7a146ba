/* What the files of one exchange share; nobody else includes this.
 *
 *   exchange.c   life, the walk, the body of the request        attempt.c   picking and calling servers, retries
 *   admit.c      route, rules, limits                           deliver.c   a server's answer, or the gateway's own
 *   lookup.c     what the cache has, or waits for               stored.c    an answer from the cache
 *   fetch.c      what the cache asks an origin for              inner.c     ... as an exchange of its own
 *   warm.c       what is fetched before anybody asks           outgoing.c  the request as a server shall see it
 *   again.c      a WebSocket's request, kept to be made again */
#ifndef GATEWAY_EXCHANGE_EXCHANGE_PRIV_H
#define GATEWAY_EXCHANGE_EXCHANGE_PRIV_H

#include <netinet/in.h>

#include "base/digest.h"
#include "cache/flight.h"
#include "cache/serve.h"
#include "gateway/exchange/exchange.h"
#include "gateway/exchange/outgoing.h"
#include "gateway/exchange/replay.h"
#include "gateway/http/answer.h"
#include "gateway/http/forward.h"
#include "gateway/http/trace.h"
#include "gateway/net/seats.h"
#include "gateway/rules/rules.h"
#include "gateway/upstream/call.h"
#include "gateway/ws/extension.h"

#define EXCHANGE_MAGIC 0xe8c4a06bu

/* All text an exchange makes for one head. The client's own head was bounded; what is added to it is small. */
#define EXCHANGE_TEXTS_BYTES (64u * 1024u)

enum step {
    STEP_ROUTE = 0,
    STEP_RULES,
    STEP_ADMIT,
    STEP_LOOKUP,
    STEP_PICK,
    STEP_CALL,
    STEP_COUNT,
    STEP_WAIT, /* a callback goes on */
    STEP_DONE  /* the exchange is gone */
};

struct fetch;

/* What an exchange and the cache have to do with each other. All zero: nothing. */
struct lookup {
    bool is_for_cache;  /* the request may be answered from there, and ... */
    bool is_authorised; /* ... has an Authorization that is not part of the key: only what is for everybody will do */
    bool is_gathering;  /* the body of a POST that is a query, in `replay` */
    bool is_first;      /* it began the flight it waits for */
    bool has_waited;    /* for somebody else's */
    bool is_second;     /* it has waited for one flight in vain */
    bool is_late;       /* network-first, and the network was not in time */
    bool is_told;       /* `told` goes into Cache-Status */
    uint8_t round_count;
    struct cache_told told;
    const char *text; /* for the access log; static; NULL: the cache has nothing to do with it */
    uint8_t body_hash[DIGEST_SHA256_BYTES];
    struct flight_waiter waiter;
    struct cache_position joined; /* where the purge log was when it began to wait */
    struct timer patience;        /* runs while it waits, if at all */
    struct fetch *pipe;           /* whose answer is passed on */
    struct server *server;        /* that answered to the cache, for the access log; a reference or NULL */
    uint32_t attempt_count;
    int64_t asked_ms; /* 0: nobody was asked */

    /* a stored answer on its way */
    struct cache_entry *entry;
    struct slice left; /* of its body; borrowed from it */
};

struct exchange {
    uint32_t magic;
    int route_slot;
    struct exchange_env *env;
    struct exchange **self; /* the owner's pointer to us, nulled at the end */
    const struct requester_ops *ops;
    void *arg;
    struct conn *wire;   /* NULL: it asks for the cache */
    struct fetch *fetch; /* for which it asks; else NULL */
    struct conf *conf;
    const struct conf_route *route; /* NULL before a route was found */
    struct pool *pool;

    /* the request */
    struct slice head_copy;
    bool has_body;
    bool is_body_over;
    bool is_websocket;
    bool is_repeatable; /* doing it twice does no harm (RFC 9110 section 9.2.2), or its sender says so */
    bool is_trusted;    /* the peer is a trusted proxy */
    bool is_tls;        /* so came the request */
    uint64_t body_bytes;
    struct replay replay;
    struct addr peer;
    char peer_ip[INET6_ADDRSTRLEN];
    struct addr client; /* the peer, or the client that a trusted peer names */
    char client_ip[INET6_ADDRSTRLEN];
    char id[FORWARD_ID_BYTES + 1];
    struct trace trace;
    struct ws_deflate_params deflate;           /* agreed with the client, ... */
    char deflate_answer[WS_OFFER_ANSWER_BYTES]; /* ... and what tells it so; "": nothing was agreed */

    /* its place on the route */
    struct seat seat;
    bool has_seat;
    bool has_place; /* counted as open, so that a burst cannot pass the limit */

    /* the search */
    int64_t start_ms;
    int64_t deadline_ms; /* no attempt begins after it; a WebSocket's must have ended by then */
    struct pick pick;
    struct call *call;
    bool is_call_ready;   /* it takes the body */
    int64_t call_ms;      /* when it began */
    uint16_t last_status; /* the answer owed when no server is left: 502, 503 or 504 */

    /* the answer */
    struct server *server; /* whose answer is on its way; NULL: none is */
    uint16_t status;       /* 0: not begun */
    int64_t answer_ms;     /* when it began */
    uint64_t sent_bytes;   /* of its body */

    struct lookup cache;

    /* last, for the fields of both are not zeroed */
    struct rules_verdict verdict;
    struct http_head head; /* the request's */
};

/* ---- exchange.c ---- */
void exchange_run(struct exchange *x, enum step step);
/* Gives everything back. The requester's last callback comes after it, with what was read from `x` before. */
void exchange_free(struct exchange *x);
/* Whether `x` is still there, and waiting for `c`: asked after a call was given something, which may have ended both.
 * `self` is what x->self was before. */
bool exchange_is_calling(struct exchange *const *self, const struct exchange *x, const struct call *c);
/* Gives it an id of its own, or a trusted peer's. */
void exchange_set_id(struct exchange *x);
struct http_view exchange_id(const struct exchange *x);
int64_t exchange_now_ms(const struct exchange *x);

/* ---- admit.c ---- */
enum step step_route(struct exchange *x);
enum step step_rules(struct exchange *x);
enum step step_admit(struct exchange *x);
/* The request's body is longer than its route allows. */
bool admit_body_is_too_long(const struct exchange *x, uint64_t bytes);

/* ---- lookup.c ---- */
enum step step_lookup(struct exchange *x);
/* The body of a POST that is a query: it is part of the key. */
void lookup_body(struct exchange *x, const uint8_t *data, size_t len);
void lookup_body_end(struct exchange *x);
/* The exchange of a waiter is to be given an answer as it comes, because (`why`) it is not for storing. */
struct exchange *lookup_take_reader(struct flight_waiter *w, struct fetch *f, const char *why);
/* A target that is to be warm: fetched if it is not there (and `is_first`), or soon not fresh and in use. Nobody waits
 * for it. Whether it is there. */
bool lookup_warm(struct exchange *x, bool is_first);
/* Lets go of whatever it waits for and holds. */
void lookup_fini(struct exchange *x);
/* ---- lookup_writes.c ---- */
/* A server has answered: a write that succeeded purges what the route says, before its client can ask again. */
void lookup_wrote(struct exchange *x, uint16_t status);
/* A server was given the request, and nobody knows what came of it. */
void lookup_may_have_written(struct exchange *x);

/* ---- stored.c ---- */
/* Answers with the entry, as x->cache.told and .text say. Ends the exchange, at once or when its client has taken it.
 */
enum step stored_deliver(struct exchange *x, struct cache_entry *e);
void stored_drained(struct exchange *x);

/* ---- attempt.c ---- */
enum step step_pick(struct exchange *x);
enum step step_call(struct exchange *x);
/* What any server is told of the request. `subject` (OUTGOING_SUBJECT_BYTES) must live as long. */
void exchange_outgoing(const struct exchange *x, char *subject, struct outgoing *out);

/* ---- deliver.c ---- */
/* The gateway's own answer; `reason` (static) is for the body and the log. Ends the exchange. */
enum step deliver_own(struct exchange *x, uint16_t status, const char *reason);
/* The same with more to say; request id, form, date and the rules' fields are filled in here. */
enum step deliver_answer(struct exchange *x, struct answer *a, const char *reason);
/* Adds to a head what this client's answer has besides what was stored: the gateway's own fields, those of the rules,
 * Cache-Status, the route's edits. False when there is no room. */
bool deliver_finish_head(const struct exchange *x, struct http_head *to, struct http_texts *t);
void deliver_begin(struct exchange *x, uint16_t status);
/* The head of a server's answer. False when it cannot be passed on; nothing was sent then. */
bool deliver_head(struct exchange *x, const struct http_head *head, bool has_body);
void deliver_body(struct exchange *x, const uint8_t *data, size_t len);
void deliver_end(struct exchange *x);
/* The server's answer broke off. */
void deliver_broken(struct exchange *x, const char *reason);
/* A server has accepted the WebSocket: it becomes a tunnel. */
void deliver_joined(struct exchange *x, const struct call_joined *j);
/* One line for the access log about a request that ended in `status`. */
void deliver_log(const struct exchange *x, uint16_t status, const char *reason);

#endif
