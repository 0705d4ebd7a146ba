/* A tunnel: one client WebSocket joined to one server, whose protocol the gateway does not speak ("opaque").
 *
 * The sender's own bytes go on untouched, frame after frame; each direction has a walker (gateway/ws/frame.h) that
 * judges them on the way. A slow reader slows its own writer: when one side is full, the other is not read.
 *
 * How it ends, and what each side sees, is the table at the top of tunnel_end.c. A client whose server is gone hears
 * when to come back: "upstream lost, retry in 734 ms" is the reason it is closed with (backoff_hint_ms()). A tunnel
 * outlives reloads: tunnel_set_rebind() moves all of them to the new configuration, and closes the ones whose route is
 * gone at a set pace. */
#ifndef GATEWAY_REALTIME_TUNNEL_H
#define GATEWAY_REALTIME_TUNNEL_H

#include <stdint.h>

#include "base/loop.h"
#include "base/slots.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "gateway/http/access_log.h"
#include "gateway/net/conn.h"
#include "gateway/realtime/losses.h"
#include "gateway/realtime/seek.h"
#include "gateway/rules/rules.h"
#include "gateway/upstream/server.h"
#include "gateway/ws/extension.h"

struct tunnel_set;

/* Called each time the last tunnel is gone. */
typedef void tunnel_set_empty_fn(void *arg);

/* All tunnels of a process. `block` gets the counts, `access` (borrowed for life) the lines of those that ended. */
struct tunnel_set *tunnel_set_create(struct loop *l, struct stats_block *block, struct access_log *access,
                                     tunnel_set_empty_fn *on_empty, void *arg);
void tunnel_set_destroy(struct tunnel_set **sp); /* resets what is still open */
uint32_t tunnel_set_count(const struct tunnel_set *s);

/* Whom to ask whether a token has been revoked (borrowed for life): at every tunnel_set_rebind(), and when a tunnel
 * opens. It must have the configuration by then. */
void tunnel_set_follow(struct tunnel_set *s, const struct rules *rules);

/* Whom to tell how the sessions of lost servers fare. */
void tunnel_set_tell_losses(struct tunnel_set *s, losses_tell_fn *tell, void *arg);

/* What sessions need to find other servers; before the first tunnel. All borrowed for life. */
void tunnel_set_serve(struct tunnel_set *s, struct net *n, struct pool_set *pools, const struct slots *slots,
                      uint32_t worker_index);

/* So many workers share what the servers may be asked per second. */
void tunnel_set_share(struct tunnel_set *s, uint32_t worker_count);

/* What a new tunnel is made of. Both sides have finished their handshake; the connections are taken. */
struct tunnel_start {
    struct conn *client;
    struct conn *upstream;
    struct server *server;          /* a reference is taken */
    const struct conf *conf;        /* a reference is taken */
    const struct conf_route *route; /* in conf */
    const struct conf *newest;      /* the tunnel moves there at once */
    int route_slot;
    const struct access_record *record; /* what the access log shall say of the handshake; copied */
    const uint8_t *client_early;        /* bytes that came behind the client's request; borrowed for the call */
    size_t client_early_bytes;
    const uint8_t *upstream_early; /* bytes that came behind the server's 101 */
    size_t upstream_early_bytes;
    int64_t token_left_ms; /* until what the client's token allows is over, which is closed with 1008; 0: never */
    /* Of that token; NULL: none. A reference is taken: a list of revoked tokens may come with a later configuration. */
    struct token_claims *claims;
    /* Of the route's protocol, when it is not opaque: how its request is made again. Taken; NULL: it cannot be. */
    const struct origin_ops *origin_ops;
    void *origin;
    struct http_view query;                  /* of the request; borrowed for the call, as is */
    struct http_view subprotocol;            /* what the server chose; data NULL: none */
    const struct ws_deflate_params *deflate; /* agreed with the client; borrowed for the call; NULL: no compression */
};
void tunnel_start(struct tunnel_set *s, const struct tunnel_start *o);

/* What a route has to say about compression, for ws_offer_judge(). */
struct ws_deflate_policy tunnel_deflate_policy(const struct conf_route *r);

/* Moves every tunnel to configuration `c`: its route's timeouts hold from now on; limits on messages and buffers stay
 * as they were when it opened. Those whose route it no longer names are closed over `time_ms` with 1012, those whose
 * token it revokes at once with 1008. */
void tunnel_set_rebind(struct tunnel_set *s, const struct conf *c, int64_t time_ms);
/* Closes all tunnels with `code`, spread evenly over `time_ms` with jitter, at frame boundaries. */
void tunnel_set_drain(struct tunnel_set *s, int64_t time_ms, enum closed_by by, uint16_t code, const char *reason);
/* The same for the tunnels of one server. */
void tunnel_drain_server(struct tunnel_set *s, struct server *server, int64_t time_ms, enum closed_by by, uint16_t code,
                         const char *reason);

/* Looks at the servers of a pool: sessions leave those that are drained, and go back to a better tier, at the pace of
 * their route. To be called often. */
void tunnel_set_look(struct tunnel_set *s, struct pool *p);
/* A server was found down: no session goes on moving there or asking it. Those that live on it are another matter
 * (tunnel_drain_server). */
void tunnel_set_server_down(struct tunnel_set *s, const struct server *server);
/* A server may be there that was not: sessions without one try again. */
void tunnel_set_retry(struct tunnel_set *s);
/* The sessions whose id, protocol or state `filter` is, or that have it in their client, route or server (NULL, "":
 * all): JSON objects, one a line, at most `limit`, and as many as `out` has room for. Returns how many such sessions
 * there are. */
uint32_t tunnel_set_describe_sessions(const struct tunnel_set *s, const char *filter, uint32_t limit,
                                      struct strbuf *out);

#endif
