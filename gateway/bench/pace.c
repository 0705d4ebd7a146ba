/* When links speak by the clock. Message number j of a phase is due at j / rate, whatever has become of those before
 * it: its latency is counted from then, so that a server which answers late also answers late what it kept from being
 * sent.
 *
 * With a rate over all connections, a message goes out on the next one that is free, and stays due while none is. With
 * a rate of each connection, message j is that of connection j modulo their number; one that still waits owes it, and
 * makes up for it later. A broadcast waits for nobody. */
#include "gateway/bench/load.h"
#include "gateway/bench/net.h"

static double rate(const struct load *l)
{
    const struct options *o = l->options;
    return o->per_connection > 0 ? o->per_connection * o->connections : o->rate;
}

bool pace_is_set(const struct load *l)
{
    return rate(l) > 0;
}

static int64_t due_ns(const struct load *l, uint64_t message)
{
    return l->phase_since_ns + (int64_t)((double)message * 1e9 / rate(l));
}

int64_t pace_next_ns(const struct load *l)
{
    const bool is_on = l->phase == PHASE_WARM_UP || l->phase == PHASE_MEASURE;
    return is_on && pace_is_set(l) ? due_ns(l, l->paced) : INT64_MAX;
}

static void miss(struct load *l)
{
    l->result->unsent += l->phase == PHASE_MEASURE;
}

/* On links in turn, as many as are free. */
static void send_on_any(struct load *l)
{
    const uint32_t count = l->options->connections;
    for (uint32_t looked = 0; looked < count && due_ns(l, l->paced) <= l->now_ns; looked++) {
        struct link *k = &l->links[l->next_idle];
        l->next_idle = (l->next_idle + 1) % count;
        if (k->state != LINK_IDLE)
            continue;
        link_send(l, k, due_ns(l, l->paced++));
    }
}

static void send_on_each(struct load *l)
{
    for (int64_t due = due_ns(l, l->paced); due <= l->now_ns; due = due_ns(l, ++l->paced)) {
        struct link *k = &l->links[l->paced % l->options->connections];
        if (k->state == LINK_IDLE)
            link_send(l, k, due);
        else if (k->state == LINK_WAITING)
            k->owed_count++;
        else
            miss(l);
    }
}

static void broadcast(struct load *l)
{
    for (int64_t due = due_ns(l, l->paced); due <= l->now_ns; due = due_ns(l, ++l->paced)) {
        uint32_t channel;
        struct link *k = &l->links[delivery_speaker(l->owed, l->paced, &channel)];
        if (k->state == LINK_IDLE)
            link_broadcast(l, k, channel, due);
        else
            miss(l);
    }
}

void pace_send(struct load *l)
{
    if (!pace_is_set(l))
        return;
    if (l->options->mode == MODE_BROADCAST)
        broadcast(l);
    else if (l->options->per_connection > 0)
        send_on_each(l);
    else
        send_on_any(l);
}

bool pace_send_owed(struct load *l, struct link *k)
{
    const uint64_t count = l->options->connections;
    if (k->owed_count == 0 || (l->phase != PHASE_WARM_UP && l->phase != PHASE_MEASURE))
        return false;
    /* of those that were its turn so far, the last one, and as many before it as it owes */
    const uint64_t last = k->number + (l->paced - 1 - k->number) / count * count;
    const uint64_t oldest = last - (k->owed_count - 1) * count;
    k->owed_count--;
    link_send(l, k, due_ns(l, oldest));
    return true;
}
