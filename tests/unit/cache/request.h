/* Requests and routes for the tests of what a cache makes of them. */
#ifndef TESTS_UNIT_CACHE_REQUEST_H
#define TESTS_UNIT_CACHE_REQUEST_H

#include <stdio.h>
#include <string.h>

#include "cache/key.h"
#include "tests/unit/gateway/http/head.h"

#define REQUEST_TEXT_BYTES 32768u

/* A head and the text it looks into. */
struct request {
    struct http_head head;
    char text[REQUEST_TEXT_BYTES];
};

/* `fields` in lines that end in "\r\n"; may be empty. */
static inline const struct http_head *request_make(struct request *r, const char *method, const char *target,
                                                   const char *fields)
{
    const int len =
        snprintf(r->text, sizeof r->text, "%s %s HTTP/1.1\r\nHost: app.example.com\r\n%s\r\n", method, target, fields);
    assert_in_range(len, 1, sizeof r->text - 1);
    head_of_request(&r->head, r->text);
    return &r->head;
}

static inline const struct http_head *request_get(struct request *r, const char *target, const char *fields)
{
    return request_make(r, "GET", target, fields);
}

static inline struct conf_route route_plain(void)
{
    return (struct conf_route){.name = "cars", .path = "/", .cache = {.policy = CACHE_FIRST}};
}

static inline void assert_view(struct http_view v, const char *expected)
{
    if (expected == NULL) {
        assert_null(v.data);
        return;
    }
    assert_non_null(v.data);
    if (v.len != strlen(expected) || memcmp(v.data, expected, v.len) != 0)
        fail_msg("'%.*s' is not '%s'", (int)v.len, v.data, expected);
}

#endif
