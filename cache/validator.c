/* Conditions. The hard part is that one stored answer is several representations: what was compressed here has a tag
 * of its own, or a client could put two halves of different codings together. The ending is the coding's name, "x"
 * becoming "x-gzip". Dates cannot be told apart like that, so they never vouch for a range of what was coded here.
 *
 * RFC 9111 section 4.3.2 has caches leave If-Match and If-Unmodified-Since to the origin; they are judged all the same,
 * because who asks for the rest of a download by them had better get nothing than another version's bytes. */
#include "cache/validator.h"

#include <string.h>

#include "gateway/http/date.h"
#include "gateway/http/text.h"

static struct http_view ending_of(const struct cache_entry *e, enum cache_coding c)
{
    return http_view_of(c == e->coding ? NULL : cache_coding_text(c));
}

struct http_view validator_etag(struct http_texts *t, const struct cache_entry *e, enum cache_coding c)
{
    const struct http_view ending = ending_of(e, c);
    if (ending.len == 0 || e->etag.data == NULL)
        return e->etag;
    const struct http_view pieces[] = {{e->etag.data, e->etag.len - 1}, {"-", 1}, ending, {"\"", 1}};
    return http_texts_join(t, pieces, sizeof pieces / sizeof pieces[0]);
}

/* ---- tags ---- */

static bool is_weak(struct http_view tag)
{
    return tag.len >= 2 && tag.data[0] == 'W' && tag.data[1] == '/';
}

static struct http_view opaque_of(struct http_view tag)
{
    const size_t skip = is_weak(tag) ? 2 : 0;
    return (struct http_view){tag.data + skip, tag.len - skip};
}

bool validator_next_tag(struct http_view *list, struct http_view *tag)
{
    while (list->len > 0 && (*list->data == ',' || text_is_space(*list->data))) {
        list->data++;
        list->len--;
    }
    if (list->len == 0)
        return false;
    const size_t skip = is_weak(*list) ? 2 : 0;
    const bool is_quoted = list->len > skip && list->data[skip] == '"';
    const char *from = is_quoted ? list->data + skip + 1 : list->data;
    const char *end = memchr(from, is_quoted ? '"' : ',', (size_t)(list->data + list->len - from));
    size_t len = list->len;
    if (end != NULL)
        len = (size_t)(end - list->data) + (is_quoted ? 1 : 0);
    *tag = text_trim((struct http_view){list->data, len});
    list->data += len;
    list->len -= len;
    return true;
}

/* Whether a client's tag names the entry in that coding; both must be strong for the strong comparison. */
static bool names(struct http_view tag, const struct cache_entry *e, enum cache_coding c, bool is_strong)
{
    if (e->etag.data == NULL || (is_strong && (is_weak(tag) || is_weak(e->etag))))
        return false;
    const struct http_view own = opaque_of(e->etag), ending = ending_of(e, c);
    const struct http_view said = opaque_of(tag);
    if (ending.len == 0)
        return said.len == own.len && memcmp(said.data, own.data, own.len) == 0;
    const size_t stem = own.len - 1; /* without the quote at its end */
    return said.len == own.len + 1 + ending.len && memcmp(said.data, own.data, stem) == 0 && said.data[stem] == '-' &&
           memcmp(said.data + stem + 1, ending.data, ending.len) == 0 && said.data[said.len - 1] == '"';
}

static bool is_listed(const struct http_head *request, const char *field, const struct cache_entry *e,
                      enum cache_coding c, bool is_strong)
{
    for (uint32_t i = 0; i < request->field_count; i++) {
        struct http_view list = request->fields[i].value, tag;
        if (!http_view_is_nocase(request->fields[i].name, field))
            continue;
        while (validator_next_tag(&list, &tag)) {
            if (http_view_is(tag, "*") || names(tag, e, c, is_strong))
                return true;
        }
    }
    return false;
}

/* ---- dates ---- */

static int64_t date_of(const struct cache_entry *e)
{
    for (uint32_t i = 0; i < e->field_count; i++) {
        if (http_view_is_nocase(e->fields[i].name, "date"))
            return date_parse(e->fields[i].value, 0);
    }
    return -1;
}

/* Two digits of a year are read as of the entry's time. */
static int64_t client_date(struct http_view text, int64_t entry_date_ms)
{
    return text.data != NULL ? date_parse(text, entry_date_ms > 0 ? entry_date_ms : 0) : -1;
}

static int64_t modified_of(const struct cache_entry *e, int64_t date_ms)
{
    if (e->last_modified_wall_ms >= 0 || e->last_modified.data == NULL)
        return e->last_modified_wall_ms;
    return date_parse(e->last_modified, date_ms > 0 ? date_ms : 0);
}

/* RFC 9111 section 4.3.2: an answer without Last-Modified was not modified since its Date. */
static bool is_unmodified_since(const struct cache_entry *e, struct http_view since)
{
    const int64_t date_ms = date_of(e), since_ms = client_date(since, date_ms);
    const int64_t modified_ms = modified_of(e, date_ms);
    const int64_t known_ms = modified_ms >= 0 ? modified_ms : date_ms;
    return since_ms >= 0 && known_ms >= 0 && known_ms <= since_ms;
}

static bool is_modified_since(const struct cache_entry *e, struct http_view since)
{
    const int64_t date_ms = date_of(e), since_ms = client_date(since, date_ms);
    const int64_t modified_ms = modified_of(e, date_ms);
    return since_ms >= 0 && modified_ms >= 0 && modified_ms > since_ms;
}

/* ---- conditions ---- */

bool validator_is_named(const struct validator_conditions *q, const struct cache_entry *e, enum cache_coding c)
{
    return (q->has_match && is_listed(q->request, "if-match", e, c, true)) ||
           (q->has_none_match && is_listed(q->request, "if-none-match", e, c, false)) ||
           (q->if_range.data != NULL && names(q->if_range, e, c, true));
}

uint16_t validator_judge(const struct validator_conditions *q, const struct cache_entry *e, enum cache_coding c)
{
    if (q->has_match) {
        if (!is_listed(q->request, "if-match", e, c, true))
            return 412;
    } else if (q->if_unmodified_since.data != NULL && is_modified_since(e, q->if_unmodified_since)) {
        return 412;
    }
    if (q->has_none_match)
        return is_listed(q->request, "if-none-match", e, c, false) ? 304 : 0;
    return q->if_modified_since.data != NULL && is_unmodified_since(e, q->if_modified_since) ? 304 : 0;
}

bool validator_allows_range(struct http_view if_range, const struct cache_entry *e, enum cache_coding c)
{
    if (if_range.data == NULL)
        return true;
    if (is_weak(if_range) || (if_range.len > 0 && if_range.data[0] == '"'))
        return names(if_range, e, c, true);
    /* Section 8.8.2.2: strong only if the second is over in which it was modified. */
    const int64_t date_ms = date_of(e), modified_ms = modified_of(e, date_ms);
    return c == e->coding && modified_ms >= 0 && date_ms - modified_ms >= 1000 &&
           client_date(if_range, date_ms) == modified_ms;
}
