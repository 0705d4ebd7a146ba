/* One Phoenix WebSocket: reads frames, keeps its channels, answers heartbeats, joins and leaves. */
#ifndef REGION_SOCKET_H
#define REGION_SOCKET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/region/wire.h"

#define SOCKET_CHANNELS_MAX 100u

struct channel;
struct client;
struct region;
struct socket;

struct socket *socket_create(struct client *c); /* vsn from its query; the client owns it */
void socket_destroy(struct socket **sp);        /* its channels leave */

/* One whole message. Malformed ones are counted and dropped, the socket stays. */
void socket_take(struct socket *s, const void *bytes, size_t len, bool is_binary);

/* Ends a channel, and says nothing to the client. */
void socket_drop(struct socket *s, struct channel *c);
/* For each channel (of that topic; NULL: of all); the function may drop it. How many there were. */
typedef void socket_channel_fn(void *arg, struct channel *c);
size_t socket_each(struct socket *s, const char *topic, socket_channel_fn *fn, void *arg);

const struct client *socket_client(const struct socket *s);
struct region *socket_region(const struct socket *s);
enum wire_vsn socket_vsn(const struct socket *s);
void socket_send(struct socket *s, const void *bytes, size_t len, bool is_binary);
/* A frame of the region's own; takes the payload. */
void socket_push(struct socket *s, const json_t *join_ref, const json_t *ref, const char *topic, const char *event,
                 json_t *take_payload);
/* phx_reply; takes the response. */
void socket_reply(struct socket *s, const json_t *join_ref, const json_t *ref, const char *topic, const char *status,
                  json_t *take_response);

#endif
