/* Seats: two cells per address in the own block; readers add up the same cells of all blocks and take the smaller sum.
 */
#include "gateway/net/seats.h"

#include <string.h>

#include "base/map.h"
#include "gateway/net/conn.h"

#define NO_ROUTE (-1)

static void find_cells(const struct net *n, const struct addr *peer, int route_slot, struct seat *s)
{
    struct { /* no holes: it is hashed as it lies there */
        uint8_t ip[8];
        int32_t family;
        int32_t route_slot;
    } who = {.family = peer->sa.sa_family, .route_slot = route_slot};
    if (peer->sa.sa_family == AF_INET)
        memcpy(who.ip, &peer->v4.sin_addr, sizeof peer->v4.sin_addr);
    else if (peer->sa.sa_family == AF_INET6)
        memcpy(who.ip, &peer->v6.sin6_addr, 8); /* one subscriber holds a /64 */
    uint64_t h = siphash24(n->stats->client_key, &who, sizeof who);
    s->cell[0] = (uint16_t)(h % STATS_CLIENT_CELLS);
    s->cell[1] = (uint16_t)((h >> 32) % STATS_CLIENT_CELLS);
}

static void add(struct net *n, enum stats_client where, const struct seat *s, int delta)
{
    for (int row = 0; row < 2; row++) {
        _Atomic uint16_t *cell = &n->block->client[where][row][s->cell[row]];
        uint16_t count = atomic_load_explicit(cell, memory_order_relaxed);
        atomic_store_explicit(cell, (uint16_t)(count + delta), memory_order_relaxed);
    }
}

void seat_take(struct net *n, struct seat *s, const struct addr *peer)
{
    find_cells(n, peer, NO_ROUTE, s);
    add(n, STATS_CLIENT_ANYWHERE, s, 1);
    stat_add(&n->block->process[STAT_CLIENTS_OPEN], 1);
    stat_add(&n->block->process[STAT_CLIENTS_TOTAL], 1);
}

void seat_leave(struct net *n, const struct seat *s)
{
    add(n, STATS_CLIENT_ANYWHERE, s, -1);
    stat_add(&n->block->process[STAT_CLIENTS_OPEN], -1);
}

void seat_move(struct net *n, struct seat *s, const struct addr *peer)
{
    add(n, STATS_CLIENT_ANYWHERE, s, -1);
    find_cells(n, peer, NO_ROUTE, s);
    add(n, STATS_CLIENT_ANYWHERE, s, 1);
}

static uint32_t count(const struct net *n, enum stats_client where, const struct seat *s)
{
    uint32_t sum[2] = {0, 0};
    for (uint32_t b = 0; b < ROSTER_ROWS; b++) {
        if (n->roster->row[b].role != ROLE_WORKER)
            continue; /* also keeps the blocks of unused rows from being paged in */
        for (int row = 0; row < 2; row++)
            sum[row] +=
                atomic_load_explicit(&n->stats->block[b].client[where][row][s->cell[row]], memory_order_relaxed);
    }
    return sum[0] < sum[1] ? sum[0] : sum[1];
}

uint32_t seat_count(const struct net *n, const struct seat *s)
{
    return count(n, STATS_CLIENT_ANYWHERE, s);
}

uint32_t seat_count_of(const struct net *n, const struct addr *peer)
{
    struct seat s;
    find_cells(n, peer, NO_ROUTE, &s);
    return seat_count(n, &s);
}

void seat_take_on_route(struct net *n, struct seat *s, const struct addr *peer, int route_slot)
{
    find_cells(n, peer, route_slot, s);
    add(n, STATS_CLIENT_ON_ROUTE, s, 1);
}

void seat_leave_on_route(struct net *n, const struct seat *s)
{
    add(n, STATS_CLIENT_ON_ROUTE, s, -1);
}

uint32_t seat_count_on_route(const struct net *n, const struct seat *s)
{
    return count(n, STATS_CLIENT_ON_ROUTE, s);
}
