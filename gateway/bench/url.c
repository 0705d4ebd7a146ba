/* A URL is taken apart once, at the start. What would not survive in a request line is refused here, so that a typing
 * error is told and not sent. */
#include "gateway/bench/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *prefix;
    bool is_tls, speaks_http;
    uint16_t port;
} schemes[] = {
    {"ws://", false, false, 80},
    {"wss://", true, false, 443},
    {"http://", false, true, 80},
    {"https://", true, true, 443},
};
#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

static bool bad(char *error, const char *what, const char *text)
{
    (void)snprintf(error, URL_ERROR_BYTES, "%s: %.80s", what, text);
    return false;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

/* The port behind a colon; `text` is the rest of the authority. */
static bool parse_port(struct url *u, const char *text, size_t len)
{
    char digits[6] = "";
    char *end;
    if (len == 0)
        return true;
    if (text[0] != ':' || len < 2 || len > sizeof digits)
        return false;
    memcpy(digits, text + 1, len - 1);
    const unsigned long port = strtoul(digits, &end, 10);
    if (*end != '\0' || digits[0] < '0' || digits[0] > '9' || port == 0 || port > UINT16_MAX)
        return false;
    u->port = (uint16_t)port;
    return true;
}

static bool parse_authority(struct url *u, const char *text, size_t len, uint16_t own_port)
{
    const bool is_v6 = len > 0 && text[0] == '[';
    const char *end = memchr(text, is_v6 ? ']' : ':', len);
    const char *host = text + is_v6;
    const size_t host_len = end != NULL ? (size_t)(end - host) : len;
    if ((is_v6 && end == NULL) || host_len == 0 || host_len >= URL_HOST_BYTES || memchr(text, '@', len) != NULL)
        return false;
    memcpy(u->host, host, host_len);
    u->host[host_len] = '\0';
    const char *rest = host + host_len + is_v6;
    if (!parse_port(u, rest, (size_t)(text + len - rest)))
        return false;
    char port[8] = "";
    if (u->port != own_port)
        (void)snprintf(port, sizeof port, ":%u", u->port);
    (void)snprintf(u->authority, sizeof u->authority, is_v6 ? "[%s]%s" : "%s%s", u->host, port);
    return true;
}

bool url_parse(struct url *u, const char *text, char *error)
{
    *u = (struct url){0};
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        const size_t prefix_len = strlen(schemes[i].prefix);
        if (strncmp(text, schemes[i].prefix, prefix_len) != 0)
            continue;
        u->is_tls = schemes[i].is_tls;
        u->speaks_http = schemes[i].speaks_http;
        u->port = schemes[i].port;
        const char *authority = text + prefix_len;
        const size_t authority_len = strcspn(authority, "/?#");
        if (!is_printable(text))
            return bad(error, "a URL has no blanks and no letters beyond ASCII", text);
        if (!parse_authority(u, authority, authority_len, schemes[i].port))
            return bad(error, "the URL's host or port is no good", text);
        const char *target = authority + authority_len;
        char rooted[URL_TARGET_BYTES + 1];
        (void)snprintf(rooted, sizeof rooted, "%s%s", *target == '/' ? "" : "/", target);
        u->has_path = rooted[1] != '\0' && rooted[1] != '?';
        if (strlen(target) >= URL_TARGET_BYTES - 1 || !url_set_target(u, rooted))
            return bad(error, "the URL's path is too long or has a fragment", text);
        return true;
    }
    return bad(error, "not a ws://, wss://, http:// or https:// URL", text);
}

bool url_set_target(struct url *u, const char *target)
{
    if (target[0] != '/' || strlen(target) >= sizeof u->target || !is_printable(target) || strchr(target, '#') != NULL)
        return false;
    (void)snprintf(u->target, sizeof u->target, "%s", target);
    return true;
}

bool url_has_param(const struct url *u, const char *key)
{
    const size_t len = strlen(key);
    for (const char *at = strchr(u->target, '?'); at != NULL; at = strchr(at, '&')) {
        at++;
        if (strncmp(at, key, len) == 0 && (at[len] == '=' || at[len] == '&' || at[len] == '\0'))
            return true;
    }
    return false;
}

/* Unreserved characters (RFC 3986 section 2.3) stay. Returns what is behind, NULL when there is no room. */
static char *encode(char *to, const char *end, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (; *text != '\0'; text++) {
        if (end - to < 4)
            return NULL;
        if (strchr(plain, *text) != NULL)
            *to++ = *text;
        else
            to += snprintf(to, 4, "%%%02X", (unsigned char)*text);
    }
    return to;
}

bool url_add_param(struct url *u, const char *key, const char *value)
{
    char *const old_end = u->target + strlen(u->target);
    const char *end = u->target + sizeof u->target;
    char *to = old_end;
    if (end - to < 3)
        return false;
    *to++ = strchr(u->target, '?') == NULL ? '?' : '&';
    to = encode(to, end, key);
    if (to != NULL && end - to > 2) {
        *to++ = '=';
        to = encode(to, end, value);
    }
    if (to == NULL || to >= end) {
        *old_end = '\0';
        return false;
    }
    *to = '\0';
    return true;
}
