/* Which node of a Redis cluster has which key, and what nodes say when it is another one: the cluster specification's
 * hash slots, the reply to CLUSTER SLOTS, and the errors MOVED and ASK. Pure: bytes in, values out. Whatever
 * a node says is read with suspicion; what makes no sense changes nothing. */
#ifndef CACHE_L2_SLOTS_H
#define CACHE_L2_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cache/l2_link.h"
#include "cache/l2_wire.h"

#define L2_SLOT_COUNT 16384u
#define L2_NODES_MAX  64u /* masters of one cluster that we follow */

/* The slot of a key: CRC16 (XMODEM) of its hash tag - what stands between the first "{" and the first "}" after it,
 * unless that is empty - or of all of it. */
uint16_t l2_slot_of(const void *key, size_t key_len);

#define L2_SLOT_NOBODY 0xffu

struct l2_slots {
    uint32_t node_count;
    struct l2_address node[L2_NODES_MAX];
    uint8_t owner[L2_SLOT_COUNT]; /* index of a node, or L2_SLOT_NOBODY */
};
void l2_slots_init(struct l2_slots *s); /* nobody has anything */
/* Reads the reply to CLUSTER SLOTS of the node `teller`. ERR_NONE: `s` is the new map. ERR_INVALID: it is no such
 * reply; ERR_LIMIT: more masters than L2_NODES_MAX; ERR_NOT_FOUND: it knows of no slot - then `s` is not to be used.
 * Masters alone count; where ranges overlap the later one does. A range whose master has no address that makes sense is
 * nobody's. */
enum err l2_slots_read(struct l2_slots *s, const struct l2_reply *reply, const struct l2_address *teller) MUST_CHECK;
/* Index of the node of a slot in s->node; -1: nobody's, as far as is known. */
int l2_slots_owner(const struct l2_slots *s, uint16_t slot);
/* One slot has moved; returns the index of its new owner, or -1 when the map knows too many nodes to take another. */
int l2_slots_move(struct l2_slots *s, uint16_t slot, const struct l2_address *to);

/* Where the errors "MOVED 3999 127.0.0.1:6381" and "ASK ..." lead. An IPv6 address comes without brackets; no host
 * means that of the node that said so, `teller`. False when they lead nowhere: the map has to be asked for then. */
struct l2_redirect {
    uint16_t slot;
    struct l2_address to;
};
bool l2_redirect_read(struct l2_redirect *r, const struct l2_reply *error, const struct l2_address *teller);

#endif
