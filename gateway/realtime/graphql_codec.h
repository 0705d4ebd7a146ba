/* Messages of the graphql-transport-ws subprotocol, and as much of GraphQL as it takes to tell a mutation from a query.
 * Pure: bytes in, views out; nothing is changed, nothing is built but what the gateway itself says. */
#ifndef GATEWAY_REALTIME_GRAPHQL_CODEC_H
#define GATEWAY_REALTIME_GRAPHQL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json_scan.h"

enum graphql_type {
    GRAPHQL_OTHER = 0,
    GRAPHQL_CONNECTION_INIT,
    GRAPHQL_CONNECTION_ACK,
    GRAPHQL_PING,
    GRAPHQL_PONG,
    GRAPHQL_SUBSCRIBE,
    GRAPHQL_NEXT,
    GRAPHQL_ERROR,
    GRAPHQL_COMPLETE,
    GRAPHQL_TYPE_COUNT
};

enum graphql_read {
    GRAPHQL_READ_OK = 0,
    GRAPHQL_READ_MORE, /* cannot be told from the beginning alone */
    GRAPHQL_READ_BAD,  /* no message of this protocol */
};

struct graphql_message {
    enum graphql_type type;
    struct json_text id;      /* with its quotes; {NULL, 0}: none */
    struct json_text payload; /* only when the whole message was read; {NULL, 0}: none */
};

/* `bytes` are the beginning of a message, or with `is_whole` all of it. Reading ends as soon as type and, where it has
 * one, id are known, unless the type is one whose payload counts, or that is recorded: those are read whole. */
enum graphql_read graphql_message_read(struct graphql_message *m, const uint8_t *bytes, size_t len, bool is_whole);

enum graphql_kind {
    GRAPHQL_UNKNOWN = 0, /* persisted, or not understood: may be anything */
    GRAPHQL_QUERY,
    GRAPHQL_MUTATION,
    GRAPHQL_SUBSCRIPTION, /* and queries whose results go on: @live, @defer, @stream */
};

/* Of the operation that the payload of a subscribe message asks for. */
enum graphql_kind graphql_payload_kind(struct json_text payload);
/* Of the operation called `name` in a document; without a name (len 0), of its only one. */
enum graphql_kind graphql_document_kind(const char *document, size_t len, const char *name, size_t name_len);

/* ---- what the gateway says itself; ids are JSON ---- */

void graphql_write_error(struct strbuf *out, struct json_text id, const char *message);
void graphql_write_complete(struct strbuf *out, struct json_text id);
/* Ping or pong; `payload` is JSON, {NULL, 0}: none. */
void graphql_write_beat(struct strbuf *out, enum graphql_type type, struct json_text payload);

#endif
