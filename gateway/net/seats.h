/* Who is in: how many client connections there are, over all workers, in all, from one address, and from one address
 * on one route.
 *
 * Each worker counts its own clients in its block of the shared counters; a limit looks at the sum. Addresses are
 * counted in a small table of cells indexed by two keyed hashes (a count-min sketch): exact while few addresses share a
 * cell, and never less than the truth. */
#ifndef GATEWAY_NET_SEATS_H
#define GATEWAY_NET_SEATS_H

#include <stdint.h>

#include "base/sock.h"

struct net;

struct seat { /* where one client is counted */
    uint16_t cell[2];
};

void seat_take(struct net *n, struct seat *s, const struct addr *peer);
void seat_leave(struct net *n, const struct seat *s);
/* It turns out to be somebody else. */
void seat_move(struct net *n, struct seat *s, const struct addr *peer);
/* Clients that sit there, over all workers; at least the true number of those from the address of `s`. */
uint32_t seat_count(const struct net *n, const struct seat *s);
/* The same for an address not seated yet. */
uint32_t seat_count_of(const struct net *n, const struct addr *peer);

/* The same beside it for WebSockets on a route (slot of kind SLOT_ROUTE). */
void seat_take_on_route(struct net *n, struct seat *s, const struct addr *peer, int route_slot);
void seat_leave_on_route(struct net *n, const struct seat *s);
uint32_t seat_count_on_route(const struct net *n, const struct seat *s);

#endif
