/* Upstream pools: which server gets the next tunnel.
 *
 * One pool_set per worker process lives as long as the process; a reload updates it in place, so round-robin positions,
 * circuits, slow starts and counts of what stays carry on. A pick looks at each server's verdict word, circuit, drain
 * flags and max_connections, takes the best tier that has an eligible server, and balances inside it.
 *
 * Nothing in here waits or does I/O, apart from the nudge to the checker. How to use it:
 *
 *     pick_init(&k); pick_set_key(&k, key, len);
 *     while ((s = pool_pick(pool, &k, now_ms, wall_ms)) != NULL) {     another server each time
 *         ... dial, upgrade ...
 *         on success: server_tunnel_opened(s, &t->link); pick_end(&k, OUTCOME_OK, now_ms); break;
 *         on failure: pick_end(&k, OUTCOME_FAILED, now_ms);
 *     }
 *     k.none then says why there was no (further) server. */
#ifndef GATEWAY_UPSTREAM_POOL_H
#define GATEWAY_UPSTREAM_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "gateway/upstream/budget.h"
#include "gateway/upstream/server.h"

/* Why a pick found nothing; the text is for the log. Of several reasons the last in this order is named: it stood in
 * the way of the best chance ("rest": of those that are not down). */
/* clang-format off */
#define PICK_NONE_TABLE(X)                                                                                             \
    X(PICK_NONE_EMPTY,    "pool_is_empty")         /* no server at all, e.g. the pool was removed by a reload */       \
    X(PICK_NONE_DOWN,     "no_healthy_server")                                                                         \
    X(PICK_NONE_DRAINING, "rest_is_draining")      /* or of weight 0 */                                                \
    X(PICK_NONE_CIRCUIT,  "rest_has_open_circuit")                                                                     \
    X(PICK_NONE_FULL,     "rest_is_full")          /* max_connections */                                               \
    X(PICK_NONE_TRIED,    "all_tried")             /* in this search */                                                \
    X(PICK_NONE_PACED,    "rest_is_paced")         /* passed over by the user */

enum pick_none {
    PICK_FOUND = 0,
#define X(name, text) name,
    PICK_NONE_TABLE(X)
#undef X
    PICK_NONE_COUNT
};
/* clang-format on */
const char *pick_none_text(enum pick_none n);

/* What became of one attempt. */
enum outcome {
    OUTCOME_OK = 0,    /* the upgrade was accepted */
    OUTCOME_FAILED,    /* refused, timed out, broken handshake, 5xx: the server's fault */
    OUTCOME_REFUSED,   /* the server's own 4xx: it lives and said no */
    OUTCOME_CANCELLED, /* the client went away, or we gave up for reasons of our own: proves nothing */
    OUTCOME_COUNT
};

/* One try of one server. */
struct attempt {
    struct server *server; /* referenced; NULL: none is under way */
    struct circuit_ticket ticket;
};

/* One exchange's search for a server. Embedded in the exchange; no cleanup beyond ending the attempt under way. */
struct pick {
    /* read by the user */
    struct server *server;  /* of the attempt under way, referenced; NULL between attempts */
    uint32_t attempt_count; /* begun so far */
    enum pick_none none;    /* of the last pool_pick() */
    bool is_fail_open;      /* the last server found is down by its verdict, tried as a last resort */
    /* private */
    bool has_key;
    uint64_t key;
    struct circuit_ticket ticket;
    uint64_t tried[SLOTS_SERVERS / 64];
    bool has_avoided, is_choosy, is_avoiding; /* pick_avoid(); the last: in the look under way */
    int avoided;                              /* slot */
    bool is_better_only;                      /* pick_only_better() */
    enum conf_tier tier_end;                  /* not in this tier or behind */
    bool has_passed;                          /* pick_pass_over(): any bit is set in ... */
    uint64_t passed[SLOTS_SERVERS / 64];
};

void pick_init(struct pick *k);
/* What hash balancing goes by (client IP, header or query value; see conf_pool.hash_of). An empty key is none, and the
 * pick falls back to round-robin. May be called for pools that do not hash. */
void pick_set_key(struct pick *k, const void *data, size_t len);
/* The client's IP (not its port) as the key; local sockets have none. */
void pick_set_key_addr(struct pick *k, const struct addr *client);

/* This server (borrowed for the call) is found only when there is no other that could be: not down, not tried yet, not
 * passed over. With `is_choosy` not even then. */
void pick_avoid(struct pick *k, const struct server *s, bool is_choosy);
/* Only servers of a better tier than this one's are found, and none that is down. */
void pick_only_better(struct pick *k, const struct server *s);
/* The next pool_pick() leaves this server out: it could be had, but not yet. When nothing else is left, or only servers
 * of the emergency tier, k->none is PICK_NONE_PACED. */
void pick_pass_over(struct pick *k, const struct server *s);
/* Takes the attempt under way out of the search, so that another can begin beside it; attempt_end() ends it. */
struct attempt pick_detach(struct pick *k);

#define POOL_MAGIC 0x9001a5d4u
struct pool {
    uint32_t magic;
    uint32_t refs;
    char *name;
    /* set by pool_set_update(); borrow until the next one. A removed pool keeps its last configuration, without
     * servers. */
    struct conf *conf; /* holds the reference under which the next is valid */
    const struct conf_pool *pool_conf;
    struct server **servers; /* in the order of pool_conf->servers, each referenced */
    size_t server_count;
    struct budget budget; /* of retries, of this worker */
};

struct pool *pool_ref(struct pool *p);
void pool_unref(struct pool **pp);

/* Begins an attempt on the best server not tried yet in this search; the server counts as loaded until pick_end().
 * NULL when there is none: k->none says why. The attempt before must have been ended. */
struct server *pool_pick(struct pool *p, struct pick *k, int64_t now_ms, int64_t wall_ms);
/* Whether no server of the pool is worth asking: all are down by their verdicts, draining or behind open circuits, and
 * the pool does not fail open. */
bool pool_is_down(struct pool *p, int64_t now_ms);
/* Whether a further pool_pick() of this search would find a server, the one under way not counted. */
bool pool_has_another(struct pool *p, const struct pick *k, int64_t now_ms);
/* Ends the attempt under way (k->server), exactly once per server found: tells the circuit, counts, nudges the checker
 * after a failure, drops the reference. */
void pick_end(struct pick *k, enum outcome o, int64_t now_ms);
void attempt_end(struct attempt *a, enum outcome o, int64_t now_ms);

/* Once per request that is given to the pool; its first attempt is free. */
void pool_request(struct pool *p, int64_t now_ms);
/* Whether another attempt may be made after a failed one: asked once before each, for a true answer spends it. */
bool pool_may_retry(struct pool *p, int64_t now_ms);

struct pool_set;

/* `env` is borrowed until the set and every server made by it are gone. `worker_index` shifts where round-robin begins,
 * so that the workers of a gateway do not all start with the same server. */
struct pool_set *pool_set_create(const struct server_env *env, uint32_t worker_index);
/* Removes all pools and servers; those still referenced live on. */
void pool_set_destroy(struct pool_set **psp);
/* Takes a new configuration (references it). ERR_NOT_FOUND, with nothing changed, when a server has no slot. */
enum err pool_set_update(struct pool_set *ps, const struct conf *c) MUST_CHECK;
/* The pool at an index of the newest configuration's pools (as in conf_route.pool); never NULL for a valid index.
 * Take a reference to keep it over a return to the loop. */
struct pool *pool_set_at(const struct pool_set *ps, size_t index);
/* The same by its name, for users with an older configuration; NULL: it is no more. */
struct pool *pool_set_find(const struct pool_set *ps, const char *name);

#endif
