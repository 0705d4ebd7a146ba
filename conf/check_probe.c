/* Checks: what does not go together in one. A key without a use would be ignored in silence, so it is a mistake. */
#include <string.h>

#include "conf/build.h"

#define FOR_TYPE(t) (1u << (t))

/* What a check says when nobody writes anything. */
static const struct conf_check standard = {
    .path = "/",
    .host = "",
    .expect_statuses = {.count = 1, .range = {{200, 299}}},
    .expect_body = "",
    .http = OVER_AUTO,
    .speak = SPEAK_PING,
    .canary_topic = "",
    .canary_peer = "",
    .expiry_degraded_ms = 86400000,
    .redis_user = "",
    .redis_password = "",
    .dns_name = "",
    .dns_record = 1,
};

struct use {
    const void *member;
    const char *key;
    bool is_usual;
    uint32_t types;
    const char *expected;
};

static bool is_same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool is_same_headers(const struct conf_check *a, const struct conf_check *b)
{
    bool same = a->expect_header_count == b->expect_header_count;

    for (size_t i = 0; same && i < a->expect_header_count; i++)
        same = is_same(a->expect_headers[i].name, b->expect_headers[i].name) &&
               is_same(a->expect_headers[i].value, b->expect_headers[i].value);
    return same;
}

static bool is_same_command(const struct conf_check *a, const struct conf_check *b)
{
    bool same = a->command_count == b->command_count;

    for (size_t i = 0; same && i < a->command_count; i++)
        same = is_same(a->command[i], b->command[i]);
    return same;
}

/* What the keys are good for; with another type they would be ignored. */
static void check_uses(struct build *b, const struct conf_check *c, const struct conf_check *u)
{
    const uint32_t asks = FOR_TYPE(CHECK_HTTP) | FOR_TYPE(CHECK_WEBSOCKET), tls = asks | FOR_TYPE(CHECK_TLS);
    const uint32_t connects = tls | FOR_TYPE(CHECK_TCP) | FOR_TYPE(CHECK_REDIS);
    const char *asks_text = "type: http or type: websocket", *tls_text = "type: tls, type: http or type: websocket";
    const struct use uses[] = {
        {&c->watch, "watch", c->watch == u->watch, connects, "type: tcp, tls, http, websocket or redis"},
        {&c->path, "path", is_same(c->path, u->path), asks, asks_text},
        {&c->host, "host", is_same(c->host, u->host), asks, asks_text},
        {&c->expect_statuses, "expect.status", conf_statuses_are_same(&c->expect_statuses, &u->expect_statuses),
         FOR_TYPE(CHECK_HTTP), "type: http"},
        {&c->expect_headers, "expect.headers", is_same_headers(c, u), FOR_TYPE(CHECK_HTTP), "type: http"},
        {&c->expect_body, "expect.body", is_same(c->expect_body, u->expect_body), FOR_TYPE(CHECK_HTTP), "type: http"},
        {&c->http, "http", c->http == u->http, FOR_TYPE(CHECK_HTTP), "type: http"},
        {&c->canary_topic, "canary.topic", is_same(c->canary_topic, u->canary_topic), FOR_TYPE(CHECK_WEBSOCKET),
         "type: websocket"},
        {&c->canary_peer, "canary.peer", is_same(c->canary_peer, u->canary_peer), FOR_TYPE(CHECK_WEBSOCKET),
         "type: websocket"},
        {&c->speak, "speak", c->speak == u->speak, FOR_TYPE(CHECK_WEBSOCKET), "type: websocket"},
        {&c->expiry_degraded_ms, "expiry.degraded", c->expiry_degraded_ms == u->expiry_degraded_ms, tls, tls_text},
        {&c->expiry_down_ms, "expiry.down", c->expiry_down_ms == u->expiry_down_ms, tls, tls_text},
        {&c->redis_user, "redis.user", is_same(c->redis_user, u->redis_user), FOR_TYPE(CHECK_REDIS), "type: redis"},
        {&c->redis_password, "redis.password", is_same(c->redis_password, u->redis_password), FOR_TYPE(CHECK_REDIS),
         "type: redis"},
        {&c->dns_name, "dns.name", is_same(c->dns_name, u->dns_name), FOR_TYPE(CHECK_DNS), "type: dns"},
        {&c->dns_record, "dns.record", c->dns_record == u->dns_record, FOR_TYPE(CHECK_DNS), "type: dns"},
        {&c->dns_expect, "dns.expect", c->dns_expect == u->dns_expect, FOR_TYPE(CHECK_DNS), "type: dns"},
        {&c->command, "command", is_same_command(c, u), FOR_TYPE(CHECK_COMMAND), "type: command"},
    };
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (!uses[i].is_usual && (uses[i].types & FOR_TYPE(c->type)) == 0 && build_is_given(b, uses[i].member))
            build_complain(b, c, uses[i].member, uses[i].key, "has no use in a check of this type, expected %s with it",
                           uses[i].expected);
}

/* What a type cannot do without. */
static void check_needs(struct build *b, const struct conf_check *c)
{
    if (c->type == CHECK_DNS && c->dns_name[0] == '\0' && !build_is_broken(b, &c->dns_name))
        build_complain(b, c, &c->type, "dns.name", "is missing, expected the name to ask for");
    if (c->type == CHECK_COMMAND && !build_is_broken(b, &c->command) &&
        (c->command_count == 0 || c->command[0][0] != '/'))
        build_complain(b, c, c->command_count == 0 ? (const void *)&c->type : &c->command, "command",
                       c->command_count == 0 ? "is missing, expected a program by its full path"
                                             : "does not begin with the full path of a program, expected one");
    if (c->redis_user[0] != '\0' && c->redis_password[0] == '\0' && !build_is_broken(b, &c->redis_password))
        build_complain(b, c, &c->redis_user, "redis.user", "is given without redis.password, expected both");
}

/* Of one server: what its url has to do with it. */
static void check_url(struct build *b, const struct conf_server *s, bool is_target)
{
    const struct conf_check *c = &s->check;

    if (s->url.scheme != SCHEME_NONE && s->url.scheme != SCHEME_TCP && !s->url.is_tls && c->type == CHECK_TLS)
        build_complain(b, is_target ? (const void *)c : s, is_target ? &c->url : &s->url, "url",
                       "%s has no TLS to check, expected wss:// or https:// with type: tls", s->url.text);
}

/* A canary is one of a pair, so of a pool's servers each has its own. */
static void check_canary(struct build *b, const struct conf_server *s)
{
    const struct conf_check *c = &s->check;
    const struct conf_server *peer = conf_find_server(b->conf, c->canary_peer);
    const bool has_topic = c->canary_topic[0] != '\0', has_peer = c->canary_peer[0] != '\0';

    if (c->type != CHECK_WEBSOCKET || build_is_broken(b, &c->canary_topic) || build_is_broken(b, &c->canary_peer))
        return;
    if (has_topic != has_peer)
        build_complain(b, c, has_topic ? &c->canary_topic : &c->canary_peer, "canary",
                       "is half of one, expected canary.topic and canary.peer");
    else if (has_topic && c->speak != SPEAK_PHOENIX && !build_is_broken(b, &c->speak))
        build_complain(b, c, &c->canary_topic, "canary.topic", "has no use with this speak, expected speak: phoenix");
    else if (has_peer && peer == NULL)
        check_slot(b, c, &c->canary_peer, "canary.peer");
    else if (has_peer && peer == s)
        build_complain(b, c, &c->canary_peer, "canary.peer", "is the server itself, expected another one");
    else if (has_peer && peer->check.type != CHECK_WEBSOCKET)
        build_complain(b, c, &c->canary_peer, "canary.peer", "%s is not checked by WebSocket, expected one that is",
                       check_slot_text(c->canary_peer));
}

void check_probe(struct build *b, const struct conf_server *s, const struct conf_check *c,
                 const struct conf_check *usual)
{
    const bool is_target = s != NULL && usual == NULL;
    if (b->kind.expansion->is_off)
        return; /* sealed: judged before, and everything is written there */
    if (!build_is_broken(b, &c->type))
        check_uses(b, c, usual != NULL ? usual : &standard);
    if (s != NULL && !build_is_broken(b, &c->type))
        check_needs(b, c); /* a pool's check may be short of what each of its servers has */
    check_at_most(b, c, &c->timeout_ms, "timeout", &c->interval_ms, "interval");
    check_at_most(b, c, &c->interval_undecided_ms, "interval_undecided", &c->interval_ms, "interval");
    if (s != NULL) {
        check_url(b, s, is_target);
        check_canary(b, s);
    }
    if (!is_target && c->url.scheme != SCHEME_NONE && build_is_given(b, &c->url))
        build_complain(b, c, &c->url, "url",
                       "has no use in the check of a server, which has a url of its own, expected it in "
                       "that of a target");
}
