/* What a client asked, made into the head that one server is given: the route's prefixes and edits, what the gateway
 * says about the client, the server's own host and path. The same for the first server, the next one after a failure,
 * and, of a WebSocket whose session lives on, for another one much later (gateway/exchange/again.h). */
#ifndef GATEWAY_EXCHANGE_OUTGOING_H
#define GATEWAY_EXCHANGE_OUTGOING_H

#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"
#include "gateway/http/trace.h"
#include "gateway/rules/rules.h"
#include "gateway/upstream/pool.h"

#define OUTGOING_SUBJECT_BYTES 512u /* of a client certificate; a longer one is cut */

struct outgoing {
    const struct http_head *head; /* the client's */
    const char *peer_ip;          /* numeric, or "unix" */
    const char *client_ip;        /* the same, or the client that a trusted peer names */
    bool is_trusted;              /* the peer is a trusted proxy */
    bool is_tls;                  /* so came the request */
    bool is_websocket;
    bool has_cache_tags; /* a client's conditions may name versions by the cache's tags */
    struct http_view request_id;
    struct http_view subject; /* of the client's certificate; data NULL: none */
    const struct trace *trace;
    const struct rules_verdict *verdict; /* what of it is for servers */
};

/* Makes `to`, which looks into `t` and whatever `o`, `c` and `url` (the server's) look at. False when there is no room
 * for what is added. */
bool outgoing_head(const struct outgoing *o, const struct conf *c, const struct conf_route *r,
                   const struct conf_url *url, struct http_head *to, struct http_texts *t);

/* What a pool that hashes balances by: of the peer's address, or of the request. */
void outgoing_set_key(const struct http_head *head, const struct addr *peer, const struct conf_pool *p, struct pick *k);

#endif
