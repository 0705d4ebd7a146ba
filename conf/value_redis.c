/* The URL of a Redis. Its parts go into AUTH and SELECT commands and socket paths; a password in it must come out
 * whole, whatever its bytes, and must never be shown: messages about such a URL do not quote it. */
#include <string.h>

#include "conf/node.h"
#include "conf/value.h"

#define URL_MAX_BYTES    1500u
#define SOCKET_MAX_BYTES 107u /* of a sockaddr_un, without its NUL */
#define CREDENTIAL_BYTES 1024u
#define DATABASE_MAX     65535u

/* Longer ones first. */
static const struct {
    const char *text;
    enum conf_redis_scheme scheme;
} schemes[] = {
    {"redis://", REDIS_TCP},     {"rediss://", REDIS_TLS}, {"redis+unix://", REDIS_UNIX},
    {"redis+unix:", REDIS_UNIX}, {"unix://", REDIS_UNIX},  {"unix:", REDIS_UNIX},
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void value_percent_decode(char *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%') {
            *out++ = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            *out++ = text[i];
        }
    }
    *out = '\0';
}

/* A user or password: what it decodes to must be text that a file could hold as well. */
static const char *check_credential(const char *text, size_t len)
{
    char plain[CREDENTIAL_BYTES + 1];
    const char *unclean = NULL;
    if (len > CREDENTIAL_BYTES)
        return "has a user or password that is too long";
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return "has a character that must be written as %XX";
        if (text[i] == '%' && (i + 2 >= len || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0))
            return "has a % without two hexadecimal digits";
        if (text[i] == '%' && text[i + 1] == '0' && text[i + 2] == '0')
            return "has a %00";
    }
    value_percent_decode(plain, text, len);
    return text_first_bad(plain, strlen(plain), &unclean) != strlen(plain)
               ? "has a user or password that is not UTF-8 text"
               : NULL;
}

static const char *read_credentials(const char *text, size_t len, struct value_redis_url *out)
{
    const char *colon = memchr(text, ':', len);
    const char *why = NULL;
    out->user_len = colon != NULL ? (size_t)(colon - text) : len;
    out->user = out->user_len > 0 ? text : NULL;
    if (colon != NULL) {
        out->password_len = len - out->user_len - 1;
        out->password = out->password_len > 0 ? colon + 1 : NULL;
        why = check_credential(colon + 1, out->password_len);
    }
    return why != NULL ? why : check_credential(text, out->user_len);
}

static const char *read_database(const char *text, struct value_redis_url *out)
{
    uint64_t number = 0;
    if (value_uint(text, &number) != NULL || number > DATABASE_MAX)
        return "has a database that is not a number from 0 to 65535";
    out->database = (uint32_t)number;
    return NULL;
}

static const char *read_socket(const char *text, struct value_redis_url *out)
{
    const char *query = strchr(text, '?');
    out->host = text;
    out->host_len = query != NULL ? (size_t)(query - text) : strlen(text);
    if (text[0] != '/' || out->host_len < 2)
        return "has no absolute path of a socket";
    if (out->host_len > SOCKET_MAX_BYTES)
        return "has a path that is too long for a socket";
    if (value_file_path(text) != NULL)
        return value_file_path(text);
    if (query == NULL)
        return NULL;
    return strncmp(query, "?db=", 4) == 0 ? read_database(query + 4, out) : "has a query other than ?db=number";
}

/* The last @ ends the credentials: nothing behind it may have one. */
static const char *read_host(const char *text, struct value_redis_url *out)
{
    size_t len = strcspn(text, "/?#");
    const char *at = memrchr(text, '@', len);
    const char *why = NULL;
    if (strchr(text + len, '@') != NULL)
        return "has a password with a / ? or # that must be written as %XX";
    if (at != NULL) {
        why = read_credentials(text, (size_t)(at - text), out);
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    if (why == NULL)
        why = value_host_port(text, len, &out->host, &out->host_len, &out->port);
    text += len;
    if (why != NULL || text[0] == '\0' || strcmp(text, "/") == 0)
        return why;
    if (text[0] == '?' || strchr(text, '?') != NULL)
        return "has a query";
    return text[0] == '#' ? "has a fragment" : read_database(text + 1, out);
}

const char *value_redis_url(const char *text, struct value_redis_url *out)
{
    *out = (struct value_redis_url){0};
    if (strlen(text) > URL_MAX_BYTES)
        return "is too long";
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t len = strlen(schemes[i].text);
        if (strncmp(text, schemes[i].text, len) != 0)
            continue;
        out->scheme = schemes[i].scheme;
        return out->scheme == REDIS_UNIX ? read_socket(text + len, out) : read_host(text + len, out);
    }
    return strstr(text, "://") != NULL ? "has an unknown scheme" : "has no scheme";
}

void value_redis_url_masked(struct strbuf *b, const char *text)
{
    struct value_redis_url u;
    if (value_redis_url(text, &u) != NULL || u.password == NULL) {
        strbuf_puts(b, text);
        return;
    }
    strbuf_add(b, text, (size_t)(u.password - text));
    strbuf_puts(b, "***");
    strbuf_puts(b, u.password + u.password_len);
}
