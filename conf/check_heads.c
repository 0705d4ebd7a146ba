/* What becomes of heads on their way through (edits, rewrites, maintenance, traces): rules over several keys. An edit
 * must not be able to make a message mean something else than what it is framed as, so what frames it, or belongs to
 * the connection, cannot be named. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/value.h"

#define USUAL_CONTENT_TYPE "text/html; charset=utf-8" /* the default: says nothing */

static const char *const untouchable[] = {
    "connection", "keep-alive", "proxy-connection", "te",   "trailer",        "transfer-encoding",
    "upgrade",    "expect",     "content-length",   "host", "http2-settings",
};

static bool is_untouchable(const char *name)
{
    for (size_t i = 0; i < sizeof untouchable / sizeof untouchable[0]; i++)
        if (strcasecmp(name, untouchable[i]) == 0)
            return true;
    return strncasecmp(name, "sec-websocket-", strlen("sec-websocket-")) == 0;
}

static void check_name(struct build *b, const struct conf_edits *e, const void *member, const char *key,
                       const char *name)
{
    if (value_token(name) != NULL)
        build_complain(b, e, member, key, "\"%s\" %s, expected the name of a header", name, value_token(name));
    else if (strcasecmp(name, "host") == 0)
        build_complain(b, e, member, key, "\"%s\" is not for editing, expected host_header instead", name);
    else if (is_untouchable(name))
        build_complain(b, e, member, key, "\"%s\" is the gateway's own business, expected another header", name);
}

/* RFC 9110 section 5.5: within one line, and without white space around it. */
static bool is_field_value(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return len == 0 || (strchr(" \t", text[0]) == NULL && strchr(" \t", text[len - 1]) == NULL);
}

static void check_pairs(struct build *b, const struct conf_edits *e, const void *member, const char *key,
                        const struct conf_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_name(b, e, member, key, pairs[i].name);
        if (!is_field_value(pairs[i].value))
            build_complain(b, e, member, key, "the value of \"%s\" cannot stand in a header, expected one line of text",
                           pairs[i].name);
    }
}

static void check_edits(struct build *b, const struct conf_edits *e)
{
    for (size_t i = 0; i < e->remove_count; i++)
        check_name(b, e, &e->remove, "remove", e->remove[i]);
    check_pairs(b, e, &e->set, "set", e->set, e->set_count);
    check_pairs(b, e, &e->add, "add", e->add, e->add_count);
}

/* What does not match would stay on silently, for all requests or for some. */
static void check_rewrite(struct build *b, const struct conf_route *r)
{
    size_t len = strlen(r->strip_prefix);
    if (len == 0 || build_is_broken(b, &r->path))
        return;
    bool is_prefix = strncmp(r->path, r->strip_prefix, len) == 0;
    bool is_border = r->strip_prefix[len - 1] == '/' || r->path[len] == '/' || r->path[len] == '\0';
    if (!is_prefix || !is_border)
        build_complain(b, r, &r->strip_prefix, "rewrite.strip_prefix",
                       "\"%s\" is not what the route's path (%s) begins with, expected that", r->strip_prefix, r->path);
}

static void check_maintenance(struct build *b, const struct conf_maintenance *m)
{
    if (!is_field_value(m->content_type) || strchr(m->content_type, '/') == NULL)
        build_complain(b, m, &m->content_type, "content_type",
                       "\"%s\" is no media type, expected one such as text/html; charset=utf-8", m->content_type);
    else if (strcmp(m->content_type, USUAL_CONTENT_TYPE) != 0 && m->body[0] == '\0' && !build_is_broken(b, &m->body))
        build_complain(b, m, &m->content_type, "content_type", "has no use by itself, expected body with it");
    if (m->status == 204 || m->status == 205 || m->status == 304)
        build_complain(b, m, &m->status, "status", "%u has no body, expected another status", m->status);
}

void check_heads(struct build *b)
{
    const struct conf *c = b->conf;
    const char *subject = c->headers.client_subject;
    if (subject[0] != '\0' && (value_token(subject) != NULL || is_untouchable(subject)))
        build_complain(b, c, &c->headers.client_subject_text, "headers.client_subject",
                       "\"%s\" cannot be used, expected the name of a header of its own", subject);
    if (c->trace.sample_percent != 100 && c->trace.mode != TRACE_START && !build_is_broken(b, &c->trace.mode))
        build_complain(b, c, &c->trace.sample_percent, "trace.sample",
                       "has no use with this mode, expected mode: start with it");
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];
        check_edits(b, &r->request_edits);
        check_edits(b, &r->answer_edits);
        check_rewrite(b, r);
        check_maintenance(b, &r->maintenance);
    }
}
