/* What sounds like a credential. The list errs on the side of hiding: a masked page number costs a look at the server's
 * own log, a token in the open costs more. */
#include "gateway/http/access_mask.h"

#include <string.h>

#include "gateway/http/text.h"

#define NAME_BYTES 64u /* of a folded name that are looked at, from its end */

/* Names that end so: api_key, X-Amz-Signature, new[password], ... */
static const char *const endings[] = {
    "token", "apikey", "jwt", "secret", "password", "passwd", "signature", "credential", "credentials", "authorization",
};
/* Names that are this and nothing more. */
static const char *const wholes[] = {"key",     "auth",      "code", "sig", "sid",
                                     "session", "sessionid", "pass", "pwd", "ticket"};

static int hex_value(char c)
{
    if (text_is_digit(c))
        return c - '0';
    c = text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last NAME_BYTES letters and digits of the decoded name, in lower case. */
static size_t fold(struct http_view name, char out[NAME_BYTES + 1])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (c == '%' && name.len - i > 2 && hex_value(name.data[i + 1]) >= 0 && hex_value(name.data[i + 2]) >= 0) {
            c = (char)(hex_value(name.data[i + 1]) << 4 | hex_value(name.data[i + 2]));
            i += 2;
        }
        if (!text_is_alnum(c))
            continue;
        if (len == NAME_BYTES)
            memmove(out, out + 1, --len);
        out[len++] = text_lower(c);
    }
    out[len] = '\0';
    return len;
}

static bool is_credential(struct http_view name, const struct conf *c)
{
    char folded[NAME_BYTES + 1];
    const size_t len = fold(name, folded);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t end_len = strlen(endings[i]);
        if (len >= end_len && memcmp(folded + len - end_len, endings[i], end_len) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        if (strcmp(folded, wholes[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < c->log.token_query_count; i++) {
        if (http_view_is(name, c->log.token_queries[i])) /* by the letter, as tokens are looked for */
            return true;
    }
    return false;
}

static void put(struct strbuf *out, const char *data, size_t len)
{
    const size_t room = out->max_bytes - out->len;
    strbuf_add(out, data, len < room ? len : room);
}

/* One "name=value". */
static void put_pair(struct strbuf *out, struct http_view pair, const struct conf *c)
{
    const char *equals = memchr(pair.data, '=', pair.len);
    const size_t name_len = equals != NULL ? (size_t)(equals - pair.data) : pair.len;
    if (equals == NULL || !is_credential((struct http_view){.data = pair.data, .len = name_len}, c)) {
        put(out, pair.data, pair.len);
        return;
    }
    put(out, pair.data, name_len + 1);
    put(out, "***", 3);
}

/* Pairs between "&", ";", "?" and "#": whatever a server may take for the beginning of one. */
static void put_masked(struct strbuf *out, struct http_view v, const struct conf *c)
{
    size_t begin = 0;
    for (size_t i = 0; i <= v.len && out->len < out->max_bytes; i++) {
        if (i < v.len && (v.data[i] == '\0' || strchr("&;?#", v.data[i]) == NULL))
            continue;
        if (i > begin)
            put_pair(out, (struct http_view){.data = v.data + begin, .len = i - begin}, c);
        if (i < v.len)
            put(out, v.data + i, 1);
        begin = i + 1;
    }
}

static void put_query(struct strbuf *out, struct http_view v, const struct conf *c)
{
    switch (c->log.access_query) {
    case ACCESS_QUERY_MASKED:
        put_masked(out, v, c);
        break;
    case ACCESS_QUERY_WHOLE:
        put(out, v.data, v.len);
        break;
    case ACCESS_QUERY_NONE:
        break;
    }
}

void access_mask_query(struct strbuf *out, struct http_view query, const struct conf *c)
{
    strbuf_clear(out);
    if (query.len > 0)
        put_query(out, query, c);
}

void access_mask_url(struct strbuf *out, struct http_view url, const struct conf *c)
{
    size_t end = 0;
    strbuf_clear(out);
    while (end < url.len && url.data[end] != '?' && url.data[end] != '#')
        end++;
    if (end > 0)
        put(out, url.data, end);
    if (end < url.len)
        put_query(out, (struct http_view){.data = url.data + end, .len = url.len - end}, c);
}
