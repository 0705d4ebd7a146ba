/* What a route demands of a request before anything is done for it: where it comes from, how it asks, how often, and
 * on whose behalf. One call judges a request; what it finds also says which fields the answer gets.
 *
 * The order is fixed: address blocks, WebSocket origins, the CORS preflight (answered here), methods, the rate, the
 * token. What costs least comes first, and nobody makes the gateway check signatures faster than the rate allows.
 * Pure but for memory: no I/O and no clock. Key sets behind a URL are fetched by the owner. */
#ifndef GATEWAY_RULES_RULES_H
#define GATEWAY_RULES_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sock.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/rules/token_claims.h"

struct rules; /* of a process: key sets, tokens known to be good; the buckets are shared by all processes */

/* `shared` (borrowed for life) holds the buckets of all workers. */
struct rules *rules_create(struct stats *shared);
void rules_destroy(struct rules **rp);
/* From now on routes are those of `c` (a reference is taken). Keys fetched for the one before are kept where the new
 * one wants them from the same place. False, with nothing changed and a sentence in `error` (RULES_ERROR_BYTES), when a
 * key or a key set does not parse. */
bool rules_take_conf(struct rules *r, const struct conf *c, char *error);

/* Whether the route's keys parse; else a few words in `error` (RULES_ERROR_BYTES). True without any. */
bool rules_can_use(const struct conf_route *route, char *error);

struct rules_request {
    const struct http_head *head;
    const struct conf_route *route; /* of the configuration taken last */
    int route_slot;
    const struct addr *peer; /* of the connection; a trusted proxy's word about its client is followed */
    bool is_websocket;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* Unix time */
};

#define RULES_ERROR_BYTES 200u
#define RULES_MAX_FIELDS  8u  /* a rule set adds no more to an answer */
#define RULES_MAX_FORWARD 16u /* claims passed on */

/* Views look into the request's head, the configuration, `claims` and the verdict itself: it must not be moved. */
/* Its fields come last: most requests have none, and nobody looks at what was not counted. */
struct rules_verdict {
    uint16_t status;        /* 0: go on. Else the answer: 204 (preflight), 401, 403, 405, 429, 503; 204 has no body */
    const char *reason;     /* of a refusal: a few words for the log and the body; static */
    uint32_t retry_after_s; /* 429, 503; else 0. Not among the fields */

    bool replaces_cors; /* the route has its own CORS rules: see rules_drops_answer_field() */

    struct addr client;          /* whom the request counts for: the peer, or the client a trusted proxy named */
    struct token_claims *claims; /* verified; a reference; NULL: the route wants no token, or does not insist */
    int64_t expires_wall_ms;     /* when what the token allows ends, leeway and grace included; 0: never */
    char number_text[24];        /* Access-Control-Max-Age */

    uint32_t add_count;
    uint32_t forward_count;
    struct http_field add[RULES_MAX_FIELDS]; /* for the answer, whoever gives it: Allow, CORS, Vary, WWW-Authenticate */
    /* For the server: fields made of claims. Fields of these names that the client sent are dropped, also when there is
     * no value (data NULL) to put in their place. */
    struct http_field forward[RULES_MAX_FORWARD];
};

/* Judges one request. Always fills *out; rules_verdict_fini() it. */
void rules_check(struct rules *r, const struct rules_request *q, struct rules_verdict *out);
void rules_verdict_fini(struct rules_verdict *v);

/* Makes v->forward of v->claims, as this route has it: rules_check() did so, and another configuration may want it
 * otherwise. Nothing else of `v` is looked at. */
void rules_forward(const struct conf_route *route, struct rules_verdict *v);

/* Whether a field of the server's answer is left out because the verdict's stand in its place (Access-Control-*). */
bool rules_drops_answer_field(const struct rules_verdict *v, struct http_view name);
/* Whether a field of the client's request is left out on the way to the server. */
bool rules_drops_request_field(const struct rules_verdict *v, struct http_view name);

/* Whether a token that was good once has been taken back by the route's list since. */
bool rules_is_revoked(const struct rules *r, const struct conf_route *route, const struct token_claims *claims);

/* ---- key sets that live behind a pool: the owner of `r` does the fetching ---- */

struct rules_fetch {
    const char *pool; /* the name; texts are valid until the next rules_take_conf() */
    const char *path; /* with query */
};
/* A key set that is due. It counts as under way until rules_fetch_done(). False: none is. */
bool rules_fetch_next(struct rules *r, int64_t now_ms, struct rules_fetch *out);
/* What came of it: the body of a 200, or NULL. `max_age_ms` is the answer's own word on its freshness, -1 for none.
 * Keys in use stay when the new ones do not parse. Harmless when nobody wants the set any more. */
void rules_fetch_done(struct rules *r, const char *pool, const char *path, const char *text, size_t len,
                      int64_t max_age_ms, int64_t now_ms);

#endif
