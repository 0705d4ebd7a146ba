/* What a server is asked; see the header. */
#include "health/checker/question.h"

#include <stdio.h>
#include <string.h>

/* 0: none of its own, the port is always said. */
static const uint16_t default_ports[] = {
    [SCHEME_NONE] = 0, [SCHEME_WS] = 80, [SCHEME_WSS] = 443, [SCHEME_HTTP] = 80, [SCHEME_HTTPS] = 443, [SCHEME_TCP] = 0,
};

uint16_t question_port(const struct conf_server *s)
{
    return s->check.port != 0 ? s->check.port : s->url.port;
}

const char *question_host_header(const struct conf_server *s, char out[QUESTION_HOST_BYTES])
{
    uint16_t port = question_port(s);
    bool is_ipv6 = strchr(s->url.host, ':') != NULL;
    char suffix[8] = "";

    if (s->check.host[0] != '\0') {
        snprintf(out, QUESTION_HOST_BYTES, "%s", s->check.host);
        return out;
    }
    if (port != default_ports[s->url.scheme])
        snprintf(suffix, sizeof suffix, ":%u", (unsigned)port);
    snprintf(out, QUESTION_HOST_BYTES, is_ipv6 ? "[%s]%s" : "%s%s", s->url.host, suffix);
    return out;
}

const char *question_server_name(const struct conf_server *s)
{
    return s->tls.server_name[0] != '\0' ? s->tls.server_name : s->url.host;
}

struct tls_client_opts question_tls(const struct conf_server *s)
{
    return (struct tls_client_opts){
        .ca_pem = s->tls.ca.text,
        .cert_pem = s->tls.cert.text,
        .key_pem = s->tls.key.text,
        .insecure = !s->tls.verify,
    };
}

bool question_needs_host(const struct conf_server *s)
{
    return s->check.type == CHECK_HTTP || s->check.type == CHECK_WEBSOCKET;
}

enum conf_over question_over(const struct conf_server *s)
{
    if (s->check.type != CHECK_HTTP || (s->check.http == OVER_AUTO && !s->url.is_tls))
        return OVER_H1;
    return s->check.http;
}

bool question_is_watched(const struct conf_server *s)
{
    return s->check.watch && s->check.type != CHECK_NONE && s->check.type != CHECK_DNS &&
           s->check.type != CHECK_COMMAND;
}

bool question_has_canary(const struct conf_server *s)
{
    const struct conf_check *c = &s->check;
    return c->type == CHECK_WEBSOCKET && c->speak == SPEAK_PHOENIX && c->canary_topic != NULL &&
           c->canary_topic[0] != '\0';
}

static bool same_text(const char *a, const char *b)
{
    return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_tls(const struct conf_server *a, const struct conf_server *b)
{
    return a->url.is_tls == b->url.is_tls && a->tls.verify == b->tls.verify &&
           same_text(a->tls.server_name, b->tls.server_name) && same_text(a->tls.ca.text, b->tls.ca.text) &&
           same_text(a->tls.cert.text, b->tls.cert.text) && same_text(a->tls.key.text, b->tls.key.text);
}

static bool same_expectations(const struct conf_check *a, const struct conf_check *b)
{
    bool is_same = conf_statuses_are_same(&a->expect_statuses, &b->expect_statuses) &&
                   same_text(a->expect_body, b->expect_body) && a->expect_header_count == b->expect_header_count;

    for (size_t i = 0; is_same && i < a->expect_header_count; i++)
        is_same = same_text(a->expect_headers[i].name, b->expect_headers[i].name) &&
                  same_text(a->expect_headers[i].value, b->expect_headers[i].value);
    return is_same && a->expiry_degraded_ms == b->expiry_degraded_ms && a->expiry_down_ms == b->expiry_down_ms;
}

static bool same_command(const struct conf_check *a, const struct conf_check *b)
{
    bool is_same = a->command_count == b->command_count;

    for (size_t i = 0; is_same && i < a->command_count; i++)
        is_same = same_text(a->command[i], b->command[i]);
    return is_same;
}

bool question_is_same(const struct conf_server *a, const struct conf_server *b)
{
    const struct conf_check *x = &a->check, *y = &b->check;

    return x->type == y->type && same_text(x->path, y->path) && same_text(x->host, y->host) &&
           question_port(a) == question_port(b) && same_expectations(x, y) && x->speak == y->speak &&
           x->http == y->http && same_text(x->canary_topic, y->canary_topic) &&
           same_text(x->canary_peer, y->canary_peer) && same_text(x->redis_user, y->redis_user) &&
           same_text(x->redis_password, y->redis_password) && same_text(x->dns_name, y->dns_name) &&
           x->dns_record == y->dns_record && x->dns_expect == y->dns_expect && same_command(x, y) &&
           a->url.scheme == b->url.scheme && same_text(a->url.host, b->url.host) && same_tls(a, b);
}
