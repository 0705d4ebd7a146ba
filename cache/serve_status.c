/* Cache-Status (RFC 9211): a member of a structured field list (RFC 8941), put together of pieces, because every
 * answer of a cached route has one. */
#include <string.h>

#include "base/buf.h"
#include "cache/serve.h"
#include "gateway/http/text.h"

/* A structured field's integer has fifteen digits. */
#define INTEGER_MAX  999999999999999
#define PIECES_MAX   16u
#define SIGNED_BYTES (DECIMAL_BYTES + 1)

static const char *const fwd_texts[] = {"",     "bypass",  "method", "uri-miss", "vary-miss",
                                        "miss", "request", "stale",  "partial"};
_Static_assert(sizeof fwd_texts / sizeof fwd_texts[0] == CACHE_FWD_COUNT, "a text for each reason");

struct pieces {
    uint32_t count;
    struct http_view piece[PIECES_MAX];
};

static void add(struct pieces *p, struct http_view v)
{
    p->piece[p->count++] = v;
}

static void add_text(struct pieces *p, const char *text)
{
    add(p, http_view_of(text));
}

static void add_number(struct pieces *p, const char *name, int64_t n, char digits[SIGNED_BYTES])
{
    const int64_t bounded = n > INTEGER_MAX ? INTEGER_MAX : n < -INTEGER_MAX ? -INTEGER_MAX : n;
    digits[0] = '-';
    const size_t len = decimal_text((uint64_t)(bounded < 0 ? -bounded : bounded), digits + 1);
    add_text(p, name);
    add(p, (struct http_view){bounded < 0 ? digits : digits + 1, bounded < 0 ? len + 1 : len});
}

/* sf-token: begins with a letter or "*"; ":" and "/" are allowed behind that. */
static bool is_token(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++) {
        const char c = v.data[i];
        const bool is_fine = i == 0 ? text_is_alnum(c) && !text_is_digit(c) : text_is_tchar(c) || c == ':' || c == '/';
        if (!is_fine && !(i == 0 && c == '*'))
            return false;
    }
    return v.len > 0;
}

/* As a token, else as a string; what a string cannot hold becomes "?". */
static struct http_view item_of(struct http_texts *t, const char *text)
{
    const struct http_view v = http_view_of(text);
    if (is_token(v))
        return v;
    char *room = http_texts_room(t, 2 * v.len + 2);
    if (room == NULL)
        return (struct http_view){NULL, 0};
    size_t len = 0;
    room[len++] = '"';
    for (size_t i = 0; i < v.len; i++) {
        const char c = v.data[i];
        if (c == '"' || c == '\\')
            room[len++] = '\\';
        room[len++] = (char)(c < ' ' || c > '~' ? '?' : c);
    }
    room[len++] = '"';
    return (struct http_view){room, len};
}

struct http_view cache_status_text(struct http_texts *t, const char *node, const struct cache_told *told)
{
    char status[SIGNED_BYTES], ttl[SIGNED_BYTES];
    struct pieces p = {0};
    add(&p, item_of(t, node));
    if (told->is_hit) {
        add_text(&p, "; hit");
    } else if (told->fwd != CACHE_FWD_NONE) {
        add_text(&p, "; fwd=");
        add_text(&p, fwd_texts[told->fwd]);
        if (told->fwd_status != 0)
            add_number(&p, "; fwd-status=", told->fwd_status, status);
    }
    if (told->has_ttl)
        add_number(&p, "; ttl=", told->ttl_s, ttl);
    if (told->is_stored && !told->is_hit)
        add_text(&p, "; stored");
    if (told->is_collapsed && !told->is_hit)
        add_text(&p, "; collapsed");
    if (told->detail != NULL) {
        add_text(&p, "; detail=");
        add(&p, item_of(t, told->detail));
    }
    return http_texts_join(t, p.piece, p.count);
}
