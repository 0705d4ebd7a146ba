/* Paths, hosts and queries. Everything that decodes goes through one function, unit_next, so that all of routing has
 * the same opinion of an escape. */
#include "gateway/http/target.h"

#include <string.h>

/* What a decoded "/" is told as: it is not a segment border. */
#define ESCAPED_SLASH 256
/* "%" without two hexadecimal digits behind it. */
#define BROKEN_ESCAPE 257

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one character, escaped or not, off `v` (not empty): 0-255, or one of the two above. */
static int unit_next(struct http_view *v)
{
    const char c = v->data[0];
    size_t taken = 1;
    int unit = (uint8_t)c;

    if (c == '%') {
        const int high = v->len > 1 ? hex_value(v->data[1]) : -1;
        const int low = v->len > 2 ? hex_value(v->data[2]) : -1;
        unit = BROKEN_ESCAPE;
        if (high >= 0 && low >= 0) {
            taken = 3;
            unit = high << 4 | low;
            if (unit == '/')
                unit = ESCAPED_SLASH;
        }
    }
    v->data += taken;
    v->len -= taken;
    return unit;
}

bool target_path_is_safe(struct http_view path)
{
    size_t dot_count = 0;      /* of the current segment's name */
    bool has_other = false;    /* the name has something else than dots */
    bool is_name_over = false; /* behind a ";" */

    while (path.len > 0) {
        const int c = unit_next(&path);
        if (c == BROKEN_ESCAPE || c < 0x20 || c == 0x7f)
            return false;
        const bool is_border = c == '/' || c == '\\' || c == ESCAPED_SLASH;
        if (is_border || c == ';') {
            if (!is_name_over && !has_other && (dot_count == 1 || dot_count == 2))
                return false;
            is_name_over = !is_border;
            has_other = false;
            dot_count = 0;
        } else if (c == '.') {
            dot_count++;
        } else {
            has_other = true;
        }
    }
    return is_name_over || has_other || (dot_count != 1 && dot_count != 2);
}

bool target_path_is_simple(struct http_view path)
{
    const char *const end = path.data + path.len;
    if (path.len == 0 || path.data[0] != '/')
        return false;
    for (const char *at = path.data; at < end; at++) {
        const uint8_t c = (uint8_t)*at;
        if (c == '/' && at + 1 < end && (at[1] == '/' || at[1] == '.'))
            return false;
        if (c == '%' || c == ';' || c == '\\' || c <= ' ' || c >= 0x7f)
            return false;
    }
    return true;
}

ptrdiff_t target_prefix_bytes(struct http_view path, const char *prefix)
{
    struct http_view rest = {.data = prefix, .len = strlen(prefix)};
    const bool is_open = rest.len == 0 || rest.data[rest.len - 1] == '/';
    const size_t whole = path.len;

    while (rest.len > 0) {
        if (path.len == 0 || unit_next(&path) != unit_next(&rest))
            return -1;
    }
    return is_open || path.len == 0 || path.data[0] == '/' ? (ptrdiff_t)(whole - path.len) : -1;
}

bool target_matches_prefix(struct http_view path, const char *prefix)
{
    return target_prefix_bytes(path, prefix) >= 0;
}

/* ---- as servers may read it ---- */

#define PATH_END (-1)

static bool is_any_slash(int unit)
{
    return unit == '/' || unit == '\\' || unit == ESCAPED_SLASH;
}

bool target_path_is_plain(struct http_view path)
{
    bool is_behind_slash = false;
    while (path.len > 0) {
        const int unit = unit_next(&path);
        if (unit == ';' || (is_any_slash(unit) && (unit != '/' || is_behind_slash)))
            return false;
        is_behind_slash = unit == '/';
    }
    return true;
}

static void skip_parameters(struct http_view *v)
{
    for (struct http_view next = *v; v->len > 0 && !is_any_slash(unit_next(&next));)
        *v = next;
}

/* The next character that counts; *is_behind_slash is the reader's memory. */
static int lax_next(struct http_view *v, bool *is_behind_slash)
{
    while (v->len > 0) {
        int unit = unit_next(v);
        if (unit == ';') {
            skip_parameters(v);
            continue;
        }
        unit = is_any_slash(unit) ? '/' : unit;
        if (unit == '/' && *is_behind_slash)
            continue;
        *is_behind_slash = unit == '/';
        return unit;
    }
    return PATH_END;
}

bool target_may_match_prefix(struct http_view path, const char *prefix)
{
    struct http_view rest = {.data = prefix, .len = strlen(prefix)};
    bool is_open = false, is_behind_slash = false;
    int wanted;

    while ((wanted = lax_next(&rest, &is_open)) != PATH_END) {
        if (lax_next(&path, &is_behind_slash) != wanted)
            return false;
    }
    if (is_open)
        return true;
    const int next = lax_next(&path, &is_behind_slash);
    return next == '/' || next == PATH_END;
}

/* The host of host[:port], without a dot at its end. */
static struct http_view host_of(struct http_view authority)
{
    const bool is_literal = authority.len > 0 && authority.data[0] == '[';
    const char *end = authority.len > 0 ? memchr(authority.data, is_literal ? ']' : ':', authority.len) : NULL;
    if (end != NULL)
        authority.len = (size_t)(end - authority.data) + (is_literal ? 1 : 0);
    if (authority.len > 0 && authority.data[authority.len - 1] == '.')
        authority.len--;
    return authority;
}

bool target_matches_host(struct http_view authority, const char *pattern)
{
    struct http_view host = host_of(authority);
    if (pattern[0] == '\0')
        return true;
    if (strncmp(pattern, "*.", 2) == 0) {
        pattern++;
        const size_t len = strlen(pattern);
        if (host.len <= len)
            return false;
        host.data += host.len - len;
        host.len = len;
    }
    return host.len > 0 && http_view_equal_nocase(host, (struct http_view){.data = pattern, .len = strlen(pattern)});
}

/* The same for a query: "+" is a space, and what is escaped is only a character. */
int target_query_unit(struct http_view *v)
{
    const bool is_plus = v->data[0] == '+';
    const int unit = unit_next(v);
    if (is_plus)
        return ' ';
    return unit == ESCAPED_SLASH ? '/' : unit == BROKEN_ESCAPE ? '%' : unit;
}

bool target_query_next(struct http_view *query, struct http_view *name, struct http_view *value)
{
    if (query->len == 0)
        return false;
    const char *border = memchr(query->data, '&', query->len);
    const size_t len = border != NULL ? (size_t)(border - query->data) : query->len;
    const char *equals = len > 0 ? memchr(query->data, '=', len) : NULL;
    const size_t name_len = equals != NULL ? (size_t)(equals - query->data) : len;

    *name = (struct http_view){.data = query->data, .len = name_len};
    *value = (struct http_view){.data = query->data + len, .len = 0};
    if (equals != NULL)
        *value = (struct http_view){.data = equals + 1, .len = len - name_len - 1};
    query->data += border != NULL ? len + 1 : len;
    query->len -= border != NULL ? len + 1 : len;
    return true;
}

static bool is_name(struct http_view encoded, const char *name)
{
    size_t at = 0;
    for (; encoded.len > 0 && name[at] != '\0'; at++) {
        if (target_query_unit(&encoded) != (uint8_t)name[at])
            return false;
    }
    return encoded.len == 0 && name[at] == '\0';
}

ptrdiff_t target_query_value(struct http_view query, const char *name, char *out, size_t cap_bytes)
{
    struct http_view key, value;
    while (target_query_next(&query, &key, &value)) {
        if (!is_name(key, name))
            continue;
        size_t len = 0;
        for (; value.len > 0; len++) {
            const int c = target_query_unit(&value);
            if (len < cap_bytes)
                out[len] = (char)c;
        }
        return (ptrdiff_t)len;
    }
    return -1;
}
