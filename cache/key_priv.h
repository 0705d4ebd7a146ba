/* What the files of a key share: parts, and queries in their form for the cache. */
#ifndef CACHE_KEY_PRIV_H
#define CACHE_KEY_PRIV_H

#include "cache/key.h"

/* What a part of a key is: a letter before its length. */
enum key_part {
    KEY_PART_ROUTE = 'r',
    KEY_PART_METHOD = 'm', /* with the scheme */
    KEY_PART_HOST = 'h',
    KEY_PART_PATH = 'p',
    KEY_PART_QUERY = 'q',
    KEY_PART_BODY = 'b',
    KEY_PART_TOKEN = 't',
    KEY_PART_AUTHORIZATION = 'a',
    KEY_PART_CLAIM = 'c', /* its name; a value follows if there is one */
    KEY_PART_FIELD = 'n', /* its name; a value for each field of that name follows */
    KEY_PART_VARY = 'y',  /* the same for what the origin says it varies by */
    KEY_PART_VALUE = 'v',
    KEY_PART_DIGEST = 'd' /* in place of a value that nobody should find in a key */
};

/* Adds a part; the key has failed when it is too long. */
void key_part_add(struct strbuf *out, enum key_part kind, struct http_view text);
/* The same of the digest of a text, in hexadecimal. */
void key_part_add_sha256(struct strbuf *out, enum key_part kind, struct http_view text);
/* Whether values of that field (lower case) are secrets. */
bool key_field_is_secret(struct http_view name);
bool key_field_is_listed(const struct conf_route *r, struct http_view name);

/* A query's parameters that stay, in their order. */
struct key_query {
    struct http_view as_is; /* data NULL: none; what stays when nothing is to be changed */
    bool is_changed;
    size_t len; /* of the whole text */
    uint32_t count;
    struct key_parameter {
        struct http_view text, name;
    } parameters[CACHE_QUERY_PARAMETERS_MAX];
};
/* False when it is too long or has too many parameters. */
bool key_query_make(struct key_query *q, const struct conf_route *r, struct http_view query);
void key_query_write(const struct key_query *q, char *to);

#endif
