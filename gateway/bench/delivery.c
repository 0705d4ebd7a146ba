/* Messages of several senders may overtake each other on their way through a cluster, so "the number is lower than the
 * last" does not make a second one: of the newest 64 numbers each has a bit. */
#include "gateway/bench/delivery.h"

#include "base/mem.h"

#define DELIVERY_MAGIC 0x6de11e57u
#define WINDOW         64u

struct ear {         /* of one connection on one channel */
    uint64_t joined; /* the topic's number then: what was said up to it is not owed */
    uint64_t newest; /* heard */
    uint64_t seen;   /* bit i: newest - i has been heard */
};

struct delivery {
    uint32_t magic;
    uint32_t connection_count, channel_count, member_count;
    uint64_t *said;       /* of each topic: number of the last message */
    uint32_t *open_count; /* of each group */
    bool *is_open;        /* each connection */
    struct ear *ears;     /* channel_count of each connection */
};

static uint32_t group_of(const struct delivery *d, uint32_t connection)
{
    return connection / d->member_count;
}

static uint32_t group_count(const struct delivery *d)
{
    return (d->connection_count + d->member_count - 1) / d->member_count;
}

struct delivery *delivery_create(uint32_t connection_count, uint32_t channel_count, uint32_t member_count)
{
    struct delivery *d;
    ASSERT(connection_count > 0 && channel_count > 0 && member_count > 0);
    OBJ_NEW(d, DELIVERY_MAGIC);
    d->connection_count = connection_count;
    d->channel_count = channel_count;
    d->member_count = member_count;
    d->said = mem_alloc_array(delivery_topic_count(d), sizeof *d->said);
    d->open_count = mem_alloc_array(group_count(d), sizeof *d->open_count);
    d->is_open = mem_alloc_array(connection_count, sizeof *d->is_open);
    d->ears = mem_alloc_array((size_t)connection_count * channel_count, sizeof *d->ears);
    return d;
}

void delivery_destroy(struct delivery **dp)
{
    struct delivery *d = *dp;
    CHECK_OBJ(d, DELIVERY_MAGIC);
    mem_free(d->said);
    mem_free(d->open_count);
    mem_free(d->is_open);
    mem_free(d->ears);
    OBJ_FREE(dp, DELIVERY_MAGIC);
}

uint32_t delivery_topic_count(const struct delivery *d)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    return group_count(d) * d->channel_count;
}

uint32_t delivery_topic(const struct delivery *d, uint32_t connection, uint32_t channel)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    ASSERT(connection < d->connection_count && channel < d->channel_count);
    return group_of(d, connection) * d->channel_count + channel;
}

uint32_t delivery_speaker(const struct delivery *d, uint64_t message, uint32_t *channel)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    const uint32_t groups = group_count(d), group = (uint32_t)(message % groups);
    const uint64_t turn = message / groups; /* of that group */
    const uint32_t first = group * d->member_count, left = d->connection_count - first;
    const uint32_t members = left < d->member_count ? left : d->member_count;
    *channel = (uint32_t)(turn / members % d->channel_count);
    return first + (uint32_t)(turn % members);
}

void delivery_open(struct delivery *d, uint32_t connection)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    ASSERT(connection < d->connection_count && !d->is_open[connection]);
    d->is_open[connection] = true;
    d->open_count[group_of(d, connection)]++;
    for (uint32_t c = 0; c < d->channel_count; c++) {
        const uint64_t said = d->said[delivery_topic(d, connection, c)];
        d->ears[(size_t)connection * d->channel_count + c] = (struct ear){.joined = said, .newest = said};
    }
}

void delivery_gone(struct delivery *d, uint32_t connection)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    ASSERT(connection < d->connection_count);
    if (!d->is_open[connection])
        return;
    d->is_open[connection] = false;
    d->open_count[group_of(d, connection)]--;
}

uint64_t delivery_say(struct delivery *d, uint32_t connection, uint32_t channel, bool hears_itself,
                      uint32_t *owed_count)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    ASSERT(connection < d->connection_count && d->is_open[connection]);
    *owed_count = d->open_count[group_of(d, connection)] - !hears_itself;
    return ++d->said[delivery_topic(d, connection, channel)];
}

enum delivery_kind delivery_hear(struct delivery *d, uint32_t connection, uint64_t topic, uint64_t number)
{
    CHECK_OBJ(d, DELIVERY_MAGIC);
    ASSERT(connection < d->connection_count);
    if (!d->is_open[connection] || topic / d->channel_count != group_of(d, connection))
        return DELIVERY_NONE;
    struct ear *e = &d->ears[(size_t)connection * d->channel_count + topic % d->channel_count];
    if (number <= e->joined || number > d->said[topic])
        return DELIVERY_NONE;
    if (number > e->newest) {
        const uint64_t ahead = number - e->newest;
        e->seen = (ahead < WINDOW ? e->seen << ahead : 0) | 1u;
        e->newest = number;
        return DELIVERY_FIRST;
    }
    const uint64_t behind = e->newest - number;
    if (behind >= WINDOW || (e->seen >> behind & 1u) != 0)
        return DELIVERY_AGAIN;
    e->seen |= (uint64_t)1 << behind;
    return DELIVERY_FIRST;
}
