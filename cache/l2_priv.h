/* What the parts of L2 share: the object itself, and how a key finds the node that has it.
 *
 * struct l2_nodes_kind is the seam between "what is asked" (l2.c, l2_job.c, l2_purges.c) and "who is asked": a single
 * node (l2_single.c), Sentinel (l2_sentinel.c: the one link moves), a cluster (l2_cluster.c: many links, MOVED and ASK
 * followed). */
#ifndef CACHE_L2_PRIV_H
#define CACHE_L2_PRIV_H

#include "base/log.h"
#include "base/tls.h"
#include "cache/l2.h"
#include "cache/l2_link.h"

struct l2_leases;
struct l2_purges;

struct l2_nodes_kind {
    /* Begins finding and connecting the nodes of l2->redis; what it returns is the `nodes` of the others. Calls
     * l2_nodes_changed() (never before it returns) whenever a node became usable, went away or moved. */
    void *(*create)(struct l2 *l);
    void (*destroy)(void *nodes);
    /* The link to the node that has the key now, up or not; NULL while that is not known. Take it for one send: it may
     * be gone with the next pass. */
    struct l2_link *(*route)(void *nodes, const void *key, size_t key_len);
    /* The answer for `key` was this error (L2_FAULT_MOVED, _ASK, _READONLY): the link to ask instead, NULL when the
     * command should be given up. `*is_asking`: each command wants ASKING in front. Learns from it as well. */
    struct l2_link *(*redirect)(void *nodes, const void *key, size_t key_len, const struct l2_reply *error,
                                bool *is_asking);
    /* Some node can be asked. */
    bool (*is_up)(const void *nodes);
    /* For status. */
    bool (*is_connected)(const void *nodes);
    bool (*is_circuit_open)(const void *nodes);
};
extern const struct l2_nodes_kind l2_single_kind;   /* l2_single.c */
extern const struct l2_nodes_kind l2_sentinel_kind; /* l2_sentinel.c */
extern const struct l2_nodes_kind l2_cluster_kind;  /* l2_cluster.c */

struct l2 {
    uint32_t magic;
    struct net *net;
    const struct l2_ops *ops;
    void *arg;
    struct resolver *resolver;
    struct l2_link_counts counts;

    /* of the configuration; all NULL while it names no Redis */
    struct conf *conf;
    const struct conf_redis *redis; /* of conf */
    struct tls_ctx *tls;            /* NULL: plain */
    const struct l2_nodes_kind *kind;
    void *nodes;
    struct l2_purges *purges; /* outlives a change of nodes: waiting purges are kept; NULL: nobody wants the log */

    struct list jobs;
    struct l2_leases *leases;
    struct later settle; /* nodes have changed */
    struct log_limit failed_limit;
};

/* Settings for a link to `address` with the configuration's TLS, login, database and limits. */
void l2_link_settings(const struct l2 *l, const struct l2_address *address, struct l2_link_settings *out);
/* Where the configuration's url points. */
void l2_conf_address(const struct conf_redis *r, struct l2_address *out);
/* A node became usable, went away, or keys moved; looked at from the loop. */
void l2_nodes_changed(struct l2 *l);

/* ---- Redis keys ---- */

#define L2_REDIS_KEY_BYTES 192u
enum l2_name { L2_NAME_ENTRY = 0, L2_NAME_LEASE };
struct l2_redis_key {
    size_t len;
    char text[L2_REDIS_KEY_BYTES];
};
void l2_redis_key(const struct l2 *l, enum l2_name name, const void *key, size_t key_len, struct l2_redis_key *out);

#endif
