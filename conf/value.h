/* The small languages of values: durations, sizes, URLs and the like. Pure functions from text; each returns NULL when
 * the text is fine and otherwise what is wrong with it, as the middle of the sentence `"5" has no unit, expected ...`.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"

const char *value_uint(const char *text, uint64_t *out);        /* decimal digits */
const char *value_duration(const char *text, int64_t *ms);      /* "800ms" "5s" "10m" "1h" "2d" "0" */
const char *value_size(const char *text, uint64_t *bytes);      /* "512B" "64KiB" "10MB" "0" */
const char *value_percent(const char *text, uint32_t *percent); /* "10%" up to "100%" */
const char *value_bool(const char *text, bool *out);            /* true, false and nothing else */
const char *value_status(const char *text, uint32_t out[2]);    /* "200", "200-299" or "2xx": lowest and highest */

const char *value_name(const char *text);     /* of a pool, server, route, node: letters, digits, . _ - */
const char *value_label(const char *text);    /* of a route: what host and path are made of as well */
const char *value_hostname(const char *text); /* DNS name, or numeric address without brackets */
const char *value_domain(const char *text);   /* DNS name, with or without a dot at its end; no address */
const char *value_owner(const char *text);    /* of a record: the same, "@", "*" or "*." in front */
const char *value_ipv4(const char *text);
const char *value_ipv6(const char *text);
const char *value_authority(const char *text); /* Host header: name or address, with a port if need be */
/* Host of a route: a DNS name, or "*." and one. */
const char *value_host_pattern(const char *text);
const char *value_path(const char *text, bool with_query); /* of a request: begins with "/", printable ASCII */
const char *value_token(const char *text);                 /* RFC 9110 section 5.6.2 */
const char *value_parameter(const char *text);             /* name in a query string, as it stands on the wire */
const char *value_origin(const char *text);                /* of pages: scheme://host[:port], "*." in the host, "*" */
const char *value_file_path(const char *text);

const char *value_claim(const char *text); /* a claim of a token */
const char *value_tag(const char *text);   /* of cached answers */
const char *value_node(const char *text);  /* host:port */
/* Splits "host", "host:port", "[v6]" or "[v6]:port"; the host comes without brackets, and `port` stays as it is when
 * there is none. */
const char *value_host_port(const char *text, size_t len, const char **host, size_t *host_len, uint16_t *port);

/* What stands for "as the origin says" in the place of a duration. */
#define VALUE_ORIGIN "origin"

/* A server's URL in its parts (RFC 3986); they point into `text`. */
struct value_url {
    enum conf_scheme scheme;
    const char *host; /* without brackets */
    size_t host_len;
    uint16_t port;
    bool is_usual_port; /* the scheme's own */
    const char *path;   /* without trailing slashes */
    size_t path_len;
};
const char *value_url(const char *text, struct value_url *out);
/* The same with a path that is asked for as it is, and with tcp://host:port. */
const char *value_asked_url(const char *text, struct value_url *out);
bool value_scheme_is_tls(enum conf_scheme s);

/* Where a Redis is, in parts that point into `text`: redis://[user[:password]@]host[:port][/database], rediss:// for
 * TLS, unix:/path[?db=number] (also redis+unix:). User and password are percent-encoded. */
struct value_redis_url {
    enum conf_redis_scheme scheme;
    const char *host; /* without brackets; the path of a socket */
    size_t host_len;
    uint16_t port; /* 0: not given */
    uint32_t database;
    const char *user; /* NULL: not given */
    size_t user_len;
    const char *password; /* NULL: not given */
    size_t password_len;
};
const char *value_redis_url(const char *text, struct value_redis_url *out);
/* Decodes a part that value_redis_url() has passed; `out` has room for `len` + 1 bytes. */
void value_percent_decode(char *out, const char *text, size_t len);
/* The URL with *** for its password. */
void value_redis_url_masked(struct strbuf *b, const char *text);

/* The way back, in the largest unit that keeps the value exact. */
void value_duration_text(struct strbuf *b, int64_t ms);
void value_size_text(struct strbuf *b, uint64_t bytes);
void value_cidr_text(struct strbuf *b, const struct cidr *c);

/* Edits (insert, delete, replace, swap of neighbours) from one to the other, or `max` + 1 when there are more. Long
 * words are never near. */
size_t value_distance(const char *a, const char *b, size_t max);

#endif
