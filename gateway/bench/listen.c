/* What a link that listens makes of broadcasts that somebody else numbers. They carry in their payload a number, "n",
 * one more each time, and when they were made, "at", by the monotonic clock. So it shows what was lost, and for how
 * long nothing came: a message made after the mark did not come through what was killed at that moment. */
#include <stdlib.h>
#include <string.h>

#include "gateway/bench/load.h"
#include "gateway/bench/net.h"

void listen_on_broadcast(struct load *l, struct link *k, uint64_t number, int64_t made_ns)
{
    struct result *r = l->result;
    if (k->heard.is_awaiting && made_ns > l->mark_ns) {
        k->heard.is_awaiting = false;
        r->awaiting--;
        histogram_add(&r->latency, (uint64_t)(net_now_ns() - l->mark_ns));
    }
    r->heard++;
    r->echoes++;
    if (number <= k->heard.last) {
        r->again++;
        return;
    }
    if (k->heard.last > 0)
        r->missing += number - k->heard.last - 1;
    k->heard.last = number;
}

void listen_on_line(struct load *l, const char *line)
{
    if (strncmp(line, "mark ", 5) != 0)
        return;
    l->mark_ns = strtoll(line + 5, NULL, 10);
    l->result->awaiting = 0;
    for (uint32_t i = 0; i < l->options->connections; i++) {
        l->links[i].heard.is_awaiting = l->links[i].state != LINK_NONE;
        l->result->awaiting += l->links[i].heard.is_awaiting;
    }
}
