/* The head of a message, whatever version of HTTP it came in: a request line or a status, and fields.
 *
 * HTTP/1.1 (h1.h) and HTTP/2 (h2.h) both parse into it and are written from it, so that what decides about a message
 * never asks how it travelled. All text is views into bytes that somebody else holds. */
#ifndef GATEWAY_HTTP_HEAD_H
#define GATEWAY_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/http/view.h"

struct http_field {
    struct http_view name;  /* as written (HTTP/2: lower case); compare without case */
    struct http_view value; /* without the white space around it */
};

#define HTTP_MAX_FIELDS  100u /* of a head that a peer sends */
#define HTTP_ROOM_FIELDS 128u /* with what the gateway adds on the way */
#define HTTP_MAX_OPTIONS 32u  /* names in Connection; each may cost a pass over the fields */

struct http_head {
    /* A request. `target` is what was written (HTTP/2: path and query); the others are its parts, made the same for all
     * of its forms. */
    struct http_view method;
    struct http_view target;
    struct http_view path;      /* begins with "/", still percent-encoded; "*" for OPTIONS * */
    struct http_view query;     /* without "?"; data NULL when there is none */
    struct http_view authority; /* host[:port]: of an absolute target or :authority, else of Host; data NULL in HTTP/1.0
                                   without Host */
    struct http_view protocol;  /* :protocol of an extended CONNECT (RFC 8441); data NULL: none */

    /* A response. */
    uint16_t status;
    struct http_view reason; /* HTTP/2 has none */

    uint64_t names; /* marks of the fields' names (http_name_mark), and perhaps of some that are gone */

    uint8_t major_version; /* 1 or 2 */
    uint8_t minor_version; /* HTTP/1.<this>: 0 or 1 (a greater one is told as 1); 0 in HTTP/2 */
    uint32_t field_count;
    size_t head_bytes; /* HTTP/1: with the empty line: the body begins here */

    /* What the fields say about framing and the connection. */
    int64_t content_length; /* -1: none */
    bool is_chunked;
    bool is_persistent;    /* the sender means to keep the connection after this message */
    bool wants_upgrade;    /* Connection names upgrade and there is an Upgrade field */
    bool expects_continue; /* Expect: 100-continue */

    /* The first `written_count` fields as HTTP/1 writes them ("name: value" and line end each), checked when that was
     * made; data NULL: nothing of the kind. Whoever changes those fields empties it. */
    struct http_view written;
    uint32_t written_count;

    /* Where most of its text lies in one piece, as HTTP/1 came; data NULL: nowhere. What is not in there is still good.
     */
    struct http_view text;

    /* After H1_BAD. A response's error_status is always 502. */
    uint16_t error_status;    /* 400, 414, 431, 501, 505 */
    const char *error_reason; /* a few words for the log, static */

    struct http_field fields[HTTP_ROOM_FIELDS]; /* last, so that what is asked for often lies together */
};

/* Empties it: no fields, content_length -1. */
void http_head_clear(struct http_head *h);
/* Copies all text of `from` into one block, whose slice is returned (slice_release it), and makes `to` look there. */
struct slice http_head_copy(struct http_head *to, const struct http_head *from);
/* Makes `to` look at the text of `from`, too. Not by an assignment, which would copy room for fields that nobody has.
 */
void http_head_borrow(struct http_head *to, const struct http_head *from);
/* Adds a field that looks at the given text. False when there is no room for another. All fields come in by this: a
 * lookup finds none whose name has left no mark. */
bool http_head_add(struct http_head *h, struct http_view name, struct http_view value);

/* For parsers: sets path, query and (absolute form) authority from `target` and `method`. NULL, or a few static words
 * about why the target cannot be served. */
const char *http_head_set_target(struct http_head *h);
/* Sets content_length from the fields; NULL, or a few static words about why they are no good. */
const char *http_head_set_length(struct http_head *h);

/* A head is asked for some fifty names and has ten of them. So each name has one of 64 marks, the same whatever the
 * case of its letters, and a head those of its fields: one test answers for most of what is not there. Of a literal the
 * mark is a constant. The factors were chosen for the heads of common clients and servers; others cost time only. */
static inline uint64_t http_name_mark(struct http_view name)
{
    const size_t last = name.len > 0 ? (unsigned char)name.data[name.len - 1] & 0x1f : 0;
    return (uint64_t)1 << ((21 * name.len + 2 * last) & 63);
}
/* False: there is no such field. */
static inline bool http_may_have(const struct http_head *h, struct http_view name)
{
    return (h->names & http_name_mark(name)) != 0;
}

/* For the lookups below, which ask http_may_have() first. */
const struct http_field *http_search(const struct http_head *h, struct http_view name);
uint32_t http_search_all(const struct http_head *h, struct http_view name);
bool http_search_token(const struct http_head *h, struct http_view name, struct http_view token);

/* Lookups compare names and tokens without case. The first field of that name, or NULL. */
static inline const struct http_field *http_find_named(const struct http_head *h, struct http_view name)
{
    return http_may_have(h, name) ? http_search(h, name) : NULL;
}
static inline const struct http_field *http_find(const struct http_head *h, const char *name)
{
    return http_find_named(h, http_view_of(name));
}
/* Its value; data NULL when there is no such field. */
static inline struct http_view http_value(const struct http_head *h, const char *name)
{
    const struct http_field *f = http_find(h, name);
    return f != NULL ? f->value : (struct http_view){.data = NULL, .len = 0};
}
/* How many fields have that name. */
static inline uint32_t http_count_named(const struct http_head *h, struct http_view name)
{
    return http_may_have(h, name) ? http_search_all(h, name) : 0;
}
static inline uint32_t http_count(const struct http_head *h, const char *name)
{
    return http_count_named(h, http_view_of(name));
}
/* Whether a comma-separated list, over all fields of that name, has the token. */
static inline bool http_has_token_named(const struct http_head *h, struct http_view name, struct http_view token)
{
    return http_may_have(h, name) && http_search_token(h, name, token);
}
static inline bool http_has_token(const struct http_head *h, const char *name, const char *token)
{
    return http_has_token_named(h, http_view_of(name), http_view_of(token));
}

/* Whether a Connection among the fields names that one: it ends with the connection (RFC 9110 section 7.6.1). */
bool http_connection_names(const struct http_field *fields, uint32_t count, struct http_view name);

/* Takes the next element off a comma-separated list, white space and empty elements removed. False at its end. */
bool http_list_next(struct http_view *list, struct http_view *element);
/* Whether such a list has this element, compared without case. */
bool http_list_has(struct http_view list, struct http_view element);

bool http_is_authority(struct http_view v); /* host[:port] of RFC 9110 section 4.2, nothing odd in it */

#endif
