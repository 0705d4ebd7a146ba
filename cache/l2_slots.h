/* Which node of a Redis cluster has which key, and what nodes say when it is another one: the cluster specification's
 * hash slots, the reply to CLUSTER SLOTS, and the errors MOVED, ASK and their kin. Pure: bytes in, values out. Whatever
 * a node says is read with suspicion; what makes no sense changes nothing. */
#ifndef CACHE_L2_SLOTS_H
#define CACHE_L2_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define L2_SLOT_COUNT 16384u
#define L2_NODES_MAX  64u  /* masters of one cluster that we follow */
#define L2_HOST_BYTES 256u /* a DNS name with its NUL (RFC 1035 section 2.3.4) */

/* Where a node listens, as it is named: a numeric address without brackets, or a name. */
struct l2_at {
    char host[L2_HOST_BYTES]; /* "": the host that told us of it */
    uint16_t port;            /* 0: none, the whole is unset */
};
/* "127.0.0.1:6379", "[::1]:6379", "::1:6379", "name:6379", ":6379". False when it is none of these. */
bool l2_at_parse(struct l2_at *at, const char *text, size_t len);
/* False when the host does not fit or is none. */
bool l2_at_set(struct l2_at *at, const char *host, size_t host_len, int64_t port);
bool l2_at_equal(const struct l2_at *a, const struct l2_at *b);
/* An empty host becomes that of `teller`. */
void l2_at_complete(struct l2_at *at, const struct l2_at *teller);

/* The slot of a key: CRC16 (XMODEM) of its hash tag - what stands between the first "{" and the first "}" after it,
 * unless that is empty - or of all of it. */
uint16_t l2_slot_of(const void *key, size_t key_len);

#define L2_SLOT_NOBODY 0xffu

struct l2_slots {
    uint32_t node_count;
    struct l2_at node[L2_NODES_MAX];
    uint8_t owner[L2_SLOT_COUNT]; /* index of a node, or L2_SLOT_NOBODY */
};
void l2_slots_init(struct l2_slots *s); /* nobody has anything */
/* Reads the reply to CLUSTER SLOTS (a redisReply) of the node `teller`. ERR_NONE: `s` is the new map. ERR_INVALID: it
 * is no such reply; ERR_LIMIT: more masters than L2_NODES_MAX; ERR_NOT_FOUND: it knows of no slot - then `s` is not to
 * be used. Masters alone count; where ranges overlap the later one does. A range whose master has no address that makes
 * sense is nobody's. */
enum err l2_slots_read(struct l2_slots *s, const void *reply, const struct l2_at *teller) MUST_CHECK;
/* The node of a slot; NULL: nobody's, as far as is known. */
const struct l2_at *l2_slots_node(const struct l2_slots *s, uint16_t slot);
/* One slot has moved. False when the map knows too many nodes to take another. */
bool l2_slots_move(struct l2_slots *s, uint16_t slot, const struct l2_at *to);

/* What the error replies of nodes ask for, beyond what a single Redis would say. */
enum l2_plea {
    L2_PLEA_NONE = 0,    /* an ordinary error */
    L2_PLEA_MOVED,       /* another node has the slot */
    L2_PLEA_ASK,         /* another node has the key while the slot moves */
    L2_PLEA_TRYAGAIN,    /* keys of one command lie on both sides of a move */
    L2_PLEA_CLUSTERDOWN, /* not all slots are served */
    L2_PLEA_LOADING,     /* it reads its data from the disk */
    L2_PLEA_READONLY,    /* it is a replica */
    L2_PLEA_MASTERDOWN,  /* a replica that has lost its master */
    L2_PLEA_COUNT
};
struct l2_redirect {
    uint16_t slot;
    struct l2_at to;
};
/* `text` as in an error reply, without the minus sign. *r (may be NULL) is set for MOVED and ASK; to.port is 0 when
 * they name no place that can be gone to: the map has to be asked for then. */
enum l2_plea l2_plea_of(const char *text, size_t len, struct l2_redirect *r);

#endif
