/* The head of one HTTP/1.1 request (RFC 9112), kept exactly as it came: what the program shows at /_last_request is
 * what arrived, in the order it arrived, and nothing a library made of it. */
#ifndef REGION_HEAD_H
#define REGION_HEAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define HEAD_BYTES_MAX  32768u
#define HEAD_FIELDS_MAX 128u

struct head_field {
    const char *name;
    const char *value;
};

/* All strings live in `text`. */
struct head {
    char *text;
    const char *method;
    const char *target; /* as sent, with the query */
    const char *path;   /* without it */
    const char *query;  /* "" when there is none */
    size_t field_count;
    struct head_field field[HEAD_FIELDS_MAX];
};

/* Length of the head at the start of `bytes` with its empty line; 0 while it is not complete. */
size_t head_length(const char *bytes, size_t len);
/* Parses a complete head of `len` bytes; ERR_INVALID or ERR_LIMIT otherwise, and then nothing is to be released. */
enum err head_parse(struct head *h, const char *bytes, size_t len) MUST_CHECK;
void head_fini(struct head *h);

/* The value of the first field of that name (case does not matter), or NULL. */
const char *head_field(const struct head *h, const char *name);
bool head_asks_websocket(const struct head *h);
/* The bytes of the body that Content-Length announces; 0 without one. */
size_t head_body_bytes(const struct head *h);

/* Walks the parameters of the query, decoded into name and value (cut to their capacities); start with *cursor = 0. */
bool head_query_next(const struct head *h, size_t *cursor, char *name, size_t name_cap, char *value, size_t value_cap);
/* One parameter by name; false and "" when it is not there. */
bool head_query(const struct head *h, const char *name, char *value, size_t value_cap);

/* A new reference: method, target, headers as an object of lower-case names (repeated ones joined with ", ") and lines
 * as they came. */
json_t *head_json(const struct head *h);

#endif
