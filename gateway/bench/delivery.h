/* Who is owed which broadcast, and who has heard it.
 *
 * Connections are dealt into groups of `member_count`; each of a group's channels is a topic that all its members join.
 * Messages of a topic are numbered from 1. A member is owed what is said after it joined and before it went, and hears
 * it once: what never comes is lost, what comes a second time is told. Pure: nothing is sent here. */
#ifndef GATEWAY_BENCH_DELIVERY_H
#define GATEWAY_BENCH_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

struct delivery;

/* The last group may be smaller. All counts at least 1. */
struct delivery *delivery_create(uint32_t connection_count, uint32_t channel_count, uint32_t member_count);
void delivery_destroy(struct delivery **dp);

uint32_t delivery_topic_count(const struct delivery *d);
/* Number of the topic that is the connection's channel, from 0. */
uint32_t delivery_topic(const struct delivery *d, uint32_t connection, uint32_t channel);

/* Who says message number `message` of all, and on which of its channels: groups take turns, within a group its
 * members, and these take their channels in turn. */
uint32_t delivery_speaker(const struct delivery *d, uint64_t message, uint32_t *channel);

/* All of its channels are joined; from now on it is owed what is said. */
void delivery_open(struct delivery *d, uint32_t connection);
/* It is owed nothing more. Nothing happens when it was not open. */
void delivery_gone(struct delivery *d, uint32_t connection);

/* An open connection says something on a channel: its number. *owed_count: how many are to hear it. */
uint64_t delivery_say(struct delivery *d, uint32_t connection, uint32_t channel, bool hears_itself,
                      uint32_t *owed_count);

enum delivery_kind {
    DELIVERY_NONE = 0, /* not one that it is owed: of another topic, said before it joined, or never said */
    DELIVERY_FIRST,    /* the one it is owed */
    DELIVERY_AGAIN     /* it has had this one, or one 64 numbers behind the newest */
};
enum delivery_kind delivery_hear(struct delivery *d, uint32_t connection, uint64_t topic, uint64_t number);

#endif
