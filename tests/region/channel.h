/* One client on one topic. Two kinds are played: a stock Phoenix channel, on which any event is passed on to everybody,
 * and a Supabase Realtime one (its join has a `config`), with broadcast and presence events. */
#ifndef REGION_CHANNEL_H
#define REGION_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/loop.h"
#include "tests/region/hub.h"
#include "tests/region/wire.h"

#define CHANNEL_MAGIC     0x4e61c408u
#define CHANNEL_KEY_BYTES 128u

struct socket;

struct channel {
    uint32_t magic;
    struct socket *socket;
    struct topic *topic;
    struct list in_socket;
    struct list in_topic;
    json_t *join_ref;
    bool is_supabase;
    bool wants_self;
    bool wants_ack;
    bool wants_presence;
    bool is_private;
    json_t *bindings;            /* to changes of rows, as the reply to the join lists them */
    struct list in_watching;     /* of the hub, once they flow */
    struct timer ready;          /* until then */
    char *token;                 /* NULL: none */
    struct timer expiry;         /* of it */
    char key[CHANNEL_KEY_BYTES]; /* presence key */
};

/* On the topic from here on. `payload` is the join's. NULL when the hub has no room. */
struct channel *channel_create(struct socket *s, const struct frame *join);
/* Leaves the topic, and presence with it; says nothing to the client. */
void channel_destroy(struct channel **cp);
enum wire_form channel_form(const struct channel *c);

/* What the join's reply says; new reference. */
json_t *channel_join_response(const struct channel *c);
/* After the reply: the state of presence, what was missed, and the word that changes of rows flow, as asked for. A
 * stock channel whose join has a "track" is present with it from here on, as a server's own code would see to. */
void channel_greet(struct channel *c, const struct frame *join);
/* An event other than join and leave. True when the channel has ended over it and is to be destroyed. */
bool channel_take(struct channel *c, const struct frame *f);
/* A "system" message to the client. */
void channel_system(struct channel *c, const char *extension, const char *status, const char *message);
json_t *channel_json(const struct channel *c); /* for people and tests; new reference */

#endif
