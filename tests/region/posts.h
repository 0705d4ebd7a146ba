/* Broadcasts that come over HTTP (POST /api/broadcast), as those of a database do: they have ids, and the newest are
 * kept for who joins a private channel and asks for what it missed. Every region keeps what it hears of. */
#ifndef REGION_POSTS_H
#define REGION_POSTS_H

#include <jansson.h>

struct channel;
struct client;
struct posts;
struct shout;

struct posts *posts_create(void);
void posts_destroy(struct posts **pp);

/* Answers {"messages": [{"topic", "event", "payload", "private"}]}, and sends them to the cluster. */
void posts_serve(struct client *c);
/* Keeps one that has an id. */
void posts_keep(struct posts *p, const struct shout *s, int64_t wall_ms);
/* To a channel that has just joined: `wanted` is its config's {"since": Unix time in ms, "limit"}, or NULL. */
void posts_replay(const struct posts *p, struct channel *c, const json_t *wanted);

#endif
