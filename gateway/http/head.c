/* Message heads, as text in views: looking up, comparing, copying; and what all versions of HTTP understand the same.
 */
#include "gateway/http/head.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/http/text.h"

/* Decimal digits of a Content-Length that cannot overflow an int64_t. */
#define LENGTH_DIGITS 18u
/* The longest name there is (RFC 1035 section 3.1), with a dot at its end and a port. */
#define AUTHORITY_BYTES 260u

bool http_list_next(struct http_view *list, struct http_view *element)
{
    while (list->len > 0) {
        const char *comma = memchr(list->data, ',', list->len);
        const size_t len = comma != NULL ? (size_t)(comma - list->data) : list->len;
        const size_t skip = comma != NULL ? len + 1 : len;
        *element = text_trim((struct http_view){.data = list->data, .len = len});
        list->data += skip;
        list->len -= skip;
        if (element->len > 0)
            return true;
    }
    return false;
}

/* ---- lookups ---- */

const struct http_field *http_search(const struct http_head *h, struct http_view name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (http_view_equal_nocase(h->fields[i].name, name))
            return &h->fields[i];
    }
    return NULL;
}

uint32_t http_search_all(const struct http_head *h, struct http_view name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (http_view_equal_nocase(h->fields[i].name, name))
            count++;
    }
    return count;
}

bool http_list_has(struct http_view list, struct http_view element)
{
    struct http_view next;
    while (http_list_next(&list, &next)) {
        if (http_view_equal_nocase(next, element))
            return true;
    }
    return false;
}

bool http_search_token(const struct http_head *h, struct http_view name, struct http_view token)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (http_view_equal_nocase(h->fields[i].name, name) && http_list_has(h->fields[i].value, token))
            return true;
    }
    return false;
}

bool http_connection_names(const struct http_field *fields, uint32_t count, struct http_view name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (http_view_is_nocase(fields[i].name, "connection") && http_list_has(fields[i].value, name))
            return true;
    }
    return false;
}

/* RFC 3986 section 2.3. */
static bool is_unreserved(char c)
{
    return text_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* host[:port] as RFC 9110 section 4.2 has it for http, without what no host name or address contains. */
bool http_is_authority(struct http_view v)
{
    size_t i = 0;
    if (v.len > AUTHORITY_BYTES)
        return false;
    if (v.len > 0 && v.data[0] == '[') {
        for (i = 1; i < v.len && v.data[i] != ']'; i++) {
            if (!text_is_digit(v.data[i]) && !(text_lower(v.data[i]) >= 'a' && text_lower(v.data[i]) <= 'f') &&
                v.data[i] != ':' && v.data[i] != '.')
                return false;
        }
        if (i < 3 || i == v.len)
            return false;
        i++;
    } else {
        while (i < v.len && is_unreserved(v.data[i]))
            i++;
        if (i == 0)
            return false;
    }
    if (i == v.len)
        return true;
    if (v.data[i] != ':' || v.len - i > 6)
        return false;
    for (i++; i < v.len; i++) {
        if (!text_is_digit(v.data[i]))
            return false;
    }
    return true;
}

/* ---- what a target and the fields say ---- */

/* What goes before the path of an absolute target: 0 when it is none. */
static size_t scheme_len(struct http_view target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t len = strlen(schemes[i]);
        if (target.len >= len && http_view_is_nocase((struct http_view){target.data, len}, schemes[i]))
            return len;
    }
    return 0;
}

static void split_query(struct http_head *h, struct http_view rest)
{
    const char *mark = rest.len > 0 ? memchr(rest.data, '?', rest.len) : NULL;
    h->path = rest;
    h->query = (struct http_view){NULL, 0};
    if (mark != NULL) {
        h->path.len = (size_t)(mark - rest.data);
        h->query = (struct http_view){.data = mark + 1, .len = rest.len - h->path.len - 1};
    }
}

const char *http_head_set_target(struct http_head *h)
{
    struct http_view rest = h->target;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.data[i] == '#' || rest.data[i] == ' ' || rest.data[i] == '\t' || (uint8_t)rest.data[i] >= 0x7f)
            return "character not allowed in the target";
    }
    if (rest.len > 0 && rest.data[0] == '/') {
        split_query(h, rest);
        return NULL;
    }
    const bool is_options = http_view_is(h->method, "OPTIONS");
    if (http_view_is(rest, "*") && is_options) {
        h->path = rest;
        return NULL;
    }
    const size_t scheme = scheme_len(rest);
    if (scheme == 0)
        return "target of no known form";
    rest.data += scheme;
    rest.len -= scheme;
    h->authority = (struct http_view){.data = rest.data, .len = 0};
    while (h->authority.len < rest.len && strchr("/?", rest.data[h->authority.len]) == NULL)
        h->authority.len++;
    if (!http_is_authority(h->authority))
        return "target with a bad authority";
    rest.data += h->authority.len;
    rest.len -= h->authority.len;
    split_query(h, rest);
    if (h->path.len == 0) { /* RFC 9112 section 3.2.4 for OPTIONS, RFC 9110 section 4.2.3 for the others */
        const char *path = is_options && h->query.data == NULL ? "*" : "/";
        h->path = (struct http_view){.data = path, .len = 1};
    }
    return NULL;
}

const char *http_head_set_length(struct http_head *h)
{
    const uint32_t count = http_count(h, "content-length");
    if (count == 0)
        return NULL;
    const struct http_view v = http_value(h, "content-length");
    if (count > 1)
        return "several content lengths";
    if (v.len == 0 || v.len > LENGTH_DIGITS)
        return "bad content length";
    int64_t length = 0;
    for (size_t i = 0; i < v.len; i++) {
        if (!text_is_digit(v.data[i]))
            return "bad content length";
        length = length * 10 + (v.data[i] - '0');
    }
    h->content_length = length;
    return NULL;
}

/* ---- making one ---- */

void http_head_clear(struct http_head *h)
{
    memset(h, 0, offsetof(struct http_head, fields));
    h->content_length = -1;
}

void http_head_borrow(struct http_head *to, const struct http_head *from)
{
    memcpy(to, from, offsetof(struct http_head, fields) + from->field_count * sizeof from->fields[0]);
}

bool http_head_add(struct http_head *h, struct http_view name, struct http_view value)
{
    if (h->field_count == HTTP_ROOM_FIELDS)
        return false;
    h->fields[h->field_count++] = (struct http_field){.name = name, .value = value};
    h->names |= http_name_mark(name);
    return true;
}

/* The views of a head besides its fields. */
static const size_t views[] = {offsetof(struct http_head, method),    offsetof(struct http_head, target),
                               offsetof(struct http_head, path),      offsetof(struct http_head, query),
                               offsetof(struct http_head, authority), offsetof(struct http_head, protocol),
                               offsetof(struct http_head, reason)};
#define VIEW_COUNT (sizeof views / sizeof views[0])

static struct http_view *view_at(struct http_head *h, size_t i)
{
    return (struct http_view *)(void *)((char *)h + views[i]);
}

/* Where a copy's text comes from and goes to. */
struct moving {
    struct http_view text; /* goes in one piece, to `to` */
    char *to;
    char *rest; /* the next byte for what does not lie in there */
};

static inline bool is_inside(const struct moving *m, struct http_view v)
{
    return v.len <= m->text.len && (uintptr_t)v.data - (uintptr_t)m->text.data <= m->text.len - v.len;
}

static inline size_t outside_bytes(const struct moving *m, struct http_view v)
{
    return is_inside(m, v) ? 0 : v.len;
}

static inline void move(struct moving *m, struct http_view *v)
{
    if (v->data == NULL)
        return;
    if (is_inside(m, *v)) {
        v->data = m->to + (v->data - m->text.data);
        return;
    }
    memcpy(m->rest, v->data, v->len);
    v->data = m->rest;
    m->rest += v->len;
}

struct slice http_head_copy(struct http_head *to, const struct http_head *from)
{
    struct moving m = {.text = from->text};
    http_head_borrow(to, from);
    to->written = (struct http_view){NULL, 0};
    to->written_count = 0;
    size_t bytes = m.text.len;
    for (size_t i = 0; i < VIEW_COUNT; i++)
        bytes += outside_bytes(&m, *view_at(to, i));
    for (uint32_t i = 0; i < to->field_count; i++)
        bytes += outside_bytes(&m, to->fields[i].name) + outside_bytes(&m, to->fields[i].value);

    struct slice room = {.owner = block_create(bytes), .len = bytes};
    room.data = room.owner->data;
    m.to = (char *)room.owner->data;
    m.rest = m.to + m.text.len;
    if (m.text.len > 0)
        memcpy(m.to, m.text.data, m.text.len);
    for (size_t i = 0; i < VIEW_COUNT; i++)
        move(&m, view_at(to, i));
    for (uint32_t i = 0; i < to->field_count; i++) {
        move(&m, &to->fields[i].name);
        move(&m, &to->fields[i].value);
    }
    to->text = (struct http_view){.data = m.text.data != NULL ? m.to : NULL, .len = m.text.len};
    return room;
}
