/* A configuration with one route, requests to it, and a clock that stands where the test puts it. */
#ifndef TESTS_UNIT_GATEWAY_RULES_WORLD_H
#define TESTS_UNIT_GATEWAY_RULES_WORLD_H

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/rules/rules.h"
#include "tests/unit/gateway/http/head.h"

#define WALL_MS INT64_C(1800000000000)
#define WALL_S  (WALL_MS / 1000)

struct world {
    struct stats *stats;
    struct rules *rules;
    struct conf *conf;
    struct http_head head;
    struct addr peer;
    bool is_websocket;
    int64_t now_ms, wall_ms;
    struct rules_verdict verdict;
};

/* `route` is what stands in the route's braces beside its pool; `top` whole lines for the top level. */
static inline struct conf *world_conf(const char *top, const char *route)
{
    struct conf_errors errors = {0};
    char *text = mem_printf("%slisten: [ { address: \"127.0.0.1:1\" } ]\n"
                            "pools: { p: { servers: [ { name: s, url: \"http://h\" } ] } }\n"
                            "routes: [ { pool: p, %s } ]\n",
                            top, route);
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, &errors);
    if (c == NULL)
        fail_msg("%s\n%s", text, errors.text);
    conf_errors_fini(&errors);
    mem_free(text);
    return c;
}

static inline void world_take(struct world *w, struct conf *c)
{
    char error[RULES_ERROR_BYTES] = "";
    if (!rules_take_conf(w->rules, c, error))
        fail_msg("%s", error);
    if (w->conf != NULL)
        conf_unref(&w->conf);
    w->conf = c;
}

static inline void world_init(struct world *w, const char *top, const char *route)
{
    *w = (struct world){.now_ms = 1000000, .wall_ms = WALL_MS};
    w->stats = mem_alloc(sizeof *w->stats);
    stats_init(w->stats);
    w->rules = rules_create(w->stats);
    assert_true(addr_parse(&w->peer, "192.0.2.7:4711"));
    world_take(w, world_conf(top, route));
}

static inline void world_fini(struct world *w)
{
    rules_verdict_fini(&w->verdict);
    rules_destroy(&w->rules);
    conf_unref(&w->conf);
    mem_free(w->stats);
}

/* Judges the request; the verdict before is gone. Returns the status. */
static inline uint16_t world_ask(struct world *w, const char *request)
{
    rules_verdict_fini(&w->verdict);
    head_of_request(&w->head, request);
    const struct rules_request q = {.head = &w->head,
                                    .route = &w->conf->routes[0],
                                    .route_slot = 0,
                                    .peer = &w->peer,
                                    .is_websocket = w->is_websocket,
                                    .now_ms = w->now_ms,
                                    .wall_ms = w->wall_ms};
    rules_check(w->rules, &q, &w->verdict);
    return w->verdict.status;
}

static inline uint16_t world_ask_from(struct world *w, const char *peer, const char *request)
{
    assert_true(addr_parse(&w->peer, peer));
    return world_ask(w, request);
}

/* The verdict's fields for the answer, one "Name: value" a line. mem_free. */
static inline char *world_fields(const struct http_field *fields, uint32_t count)
{
    struct strbuf b;
    strbuf_init(&b, 65536);
    strbuf_puts(&b, "");
    for (uint32_t i = 0; i < count; i++) {
        strbuf_add(&b, fields[i].name.data, fields[i].name.len);
        strbuf_puts(&b, fields[i].value.data != NULL ? ": " : " -");
        strbuf_add(&b, fields[i].value.data, fields[i].value.len);
        strbuf_puts(&b, "\n");
    }
    char *text = mem_strndup(b.len > 0 ? b.data : "", b.len);
    strbuf_fini(&b);
    return text;
}

static inline void world_expect_fields(const struct world *w, const char *expected)
{
    char *text = world_fields(w->verdict.add, w->verdict.add_count);
    assert_string_equal(text, expected);
    mem_free(text);
}

#endif
