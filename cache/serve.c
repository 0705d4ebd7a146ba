/* Answers made of entries. What is asked of it most is a plain hit: one pass over the request's fields finds that there
 * is no condition and no range, one over the entry's copies them; only Age is written. */
#include "cache/serve.h"

#include <string.h>

#include "base/assert.h"
#include "cache/accept.h"
#include "cache/range.h"
#include "cache/validator.h"
#include "gateway/http/text.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

#define AGE_MAX_S 2147483648u /* RFC 9111 section 1.2.2 */

/* In the order of preference; identity, or what the entry came in, comes last. */
static const enum cache_coding made_here[] = {CODING_BR, CODING_ZSTD, CODING_GZIP};

/* ---- what is asked ---- */

struct asked {
    struct validator_conditions conditions;
    struct http_view range; /* data NULL: none */
    bool has_conditions;    /* that name an entity tag */
};

/* Of several fields none counts: RFC 9110 lets no list be made of them. */
static void take_single(struct http_view *to, struct http_view value, bool *is_repeated)
{
    *is_repeated = *is_repeated || to->data != NULL;
    *to = value;
}

static void take_field(struct asked *a, const struct http_field *f, bool repeated[4])
{
    struct validator_conditions *q = &a->conditions;
    const char first = text_lower(f->name.len > 0 ? f->name.data[0] : '\0');
    if (first == 'r' && http_view_is_nocase(f->name, "range"))
        take_single(&a->range, f->value, &repeated[0]);
    if (first != 'i')
        return;
    if (http_view_is_nocase(f->name, "if-none-match"))
        q->has_none_match = true;
    else if (http_view_is_nocase(f->name, "if-match"))
        q->has_match = true;
    else if (http_view_is_nocase(f->name, "if-range"))
        take_single(&q->if_range, f->value, &repeated[1]);
    else if (http_view_is_nocase(f->name, "if-modified-since"))
        take_single(&q->if_modified_since, f->value, &repeated[2]);
    else if (http_view_is_nocase(f->name, "if-unmodified-since"))
        take_single(&q->if_unmodified_since, f->value, &repeated[3]);
}

static void ask(struct asked *a, const struct http_head *request, const struct cache_entry *e)
{
    bool repeated[4] = {false};
    const bool is_get = http_view_is(request->method, "GET");
    *a = (struct asked){.conditions.request = request};
    if ((!is_get && !http_view_is(request->method, "HEAD")) || e->status / 100 != 2)
        return;
    for (uint32_t i = 0; i < request->field_count; i++)
        take_field(a, &request->fields[i], repeated);
    struct validator_conditions *q = &a->conditions;
    const struct http_view none = {NULL, 0};
    if (!is_get || e->status != 200 || repeated[0] || repeated[1])
        a->range = none;
    if (a->range.data == NULL)
        q->if_range = none;
    if (repeated[2])
        q->if_modified_since = none;
    if (repeated[3])
        q->if_unmodified_since = none;
    a->has_conditions = q->has_match || q->has_none_match || q->if_range.data != NULL;
}

/* ---- the coding ---- */

/* The bits of what an entry can be had in beside its own. */
static uint32_t choices_of(const struct cache_entry *e, uint32_t codings)
{
    uint32_t choices = 0;
    if (e->coding != CODING_IDENTITY || e->body.len == 0)
        return 0;
    for (size_t i = 0; i < COUNT(made_here); i++) {
        if (!e->is_coded_in_vain[made_here[i]])
            choices |= codings & 1u << made_here[i];
    }
    return choices;
}

static enum cache_coding best_of(const struct cache_entry *e, const struct cache_accept *accept, uint32_t choices)
{
    uint32_t best = 0;
    enum cache_coding c = e->coding;
    for (size_t i = 0; i < COUNT(made_here); i++) {
        const enum cache_coding next = made_here[i];
        if ((choices & 1u << next) != 0 && accept->weight[next] > best) {
            best = accept->weight[next];
            c = next;
        }
    }
    return accept->weight[e->coding] > best ? e->coding : c;
}

static enum cache_coding coding_for(const struct asked *a, const struct cache_entry *e, uint32_t choices)
{
    struct cache_accept accept;
    if (choices == 0)
        return e->coding;
    cache_accept_of(&accept, a->conditions.request);
    const enum cache_coding best = best_of(e, &accept, choices);
    if (!a->has_conditions || validator_is_named(&a->conditions, e, best))
        return best;
    for (size_t i = 0; i < COUNT(made_here); i++) {
        const enum cache_coding c = made_here[i];
        if ((choices & 1u << c) != 0 && accept.weight[c] > 0 && validator_is_named(&a->conditions, e, c))
            return c;
    }
    return accept.weight[e->coding] > 0 && validator_is_named(&a->conditions, e, e->coding) ? e->coding : best;
}

/* ---- the choice ---- */

static const struct slice *body_in(const struct cache_entry *e, enum cache_coding c)
{
    return c == e->coding ? &e->body : &e->coded[c];
}

void cache_serve_choose(struct cache_serving *out, const struct cache_entry *e, const struct http_head *request,
                        uint32_t codings)
{
    struct asked a;
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    ask(&a, request, e);
    *out = (struct cache_serving){.status = e->status, .coding = coding_for(&a, e, choices_of(e, codings))};
    const uint16_t verdict = validator_judge(&a.conditions, e, out->coding);
    if (verdict != 0) {
        out->status = verdict;
        return;
    }
    const struct slice *body = body_in(e, out->coding);
    if (out->coding != e->coding && body->data == NULL) {
        out->needs_coding = true;
        return;
    }
    out->byte_count = body->len;
    if (a.range.data != NULL && validator_allows_range(a.conditions.if_range, e, out->coding)) {
        const enum cache_range r = cache_range_of(a.range, body->len, &out->from_byte, &out->byte_count);
        out->status = r == CACHE_RANGE_ONE ? 206 : r == CACHE_RANGE_BEYOND ? 416 : out->status;
    }
    if (out->status == 416)
        out->byte_count = 0;
    out->has_body = out->byte_count > 0 && !http_view_is(request->method, "HEAD");
}

/* ---- the head ---- */

/* Said anew, or wrong of a body in another coding. */
static const char *const of_the_coding[] = {"etag",   "content-encoding", "content-md5",
                                            "digest", "content-digest",   "repr-digest"};
/* Wrong of a part. */
static const char *const of_the_whole[] = {"content-md5", "content-digest"};
/* RFC 9110 section 15.4.5. */
static const char *const of_304[] = {"cache-control", "content-location", "date", "etag", "expires", "vary"};
/* What is about the resource, not about the body that is not sent. */
static const char *const of_refusals[] = {"date", "etag", "vary"};

/* Without them a page's script is not even told the status. */
static bool is_cors(struct http_view name)
{
    static const char prefix[] = "access-control-";
    const size_t len = sizeof prefix - 1;
    return name.len > len && http_view_is_nocase((struct http_view){name.data, len}, prefix);
}

static bool is_said(const struct cache_entry *e, const struct cache_serving *s, struct http_view name)
{
    if (s->coding != e->coding && http_view_is_any(name, of_the_coding, COUNT(of_the_coding)))
        return false;
    switch (s->status) {
    case 206:
        return !http_view_is_any(name, of_the_whole, COUNT(of_the_whole));
    case 304:
        return http_view_is_any(name, of_304, COUNT(of_304)) || is_cors(name) ||
               (e->etag.data == NULL && http_view_is_nocase(name, "last-modified"));
    case 412:
    case 416:
        return http_view_is_any(name, of_refusals, COUNT(of_refusals)) || is_cors(name);
    default:
        return true;
    }
}

struct making {
    struct http_head *to;
    struct http_texts *texts;
    bool failed;
};

static void add(struct making *m, const char *name, struct http_view value)
{
    m->failed = value.data == NULL || !http_head_add(m->to, http_view_of(name), value) || m->failed;
}

/* True when Vary names Accept-Encoding. */
static bool add_stored(struct making *m, const struct cache_entry *e, const struct cache_serving *s)
{
    const bool is_plain = s->coding == e->coding && s->status == e->status;
    bool is_varying = false;
    for (uint32_t i = 0; i < e->field_count; i++) {
        const struct http_field *f = &e->fields[i];
        if (!is_plain && !is_said(e, s, f->name))
            continue;
        if (http_view_is_nocase(f->name, "vary"))
            is_varying = is_varying || http_list_has(f->value, http_view_of("accept-encoding"));
        m->failed = !http_head_add(m->to, f->name, f->value) || m->failed;
    }
    return is_varying;
}

static void add_age(struct making *m, const struct cache_entry *e, int64_t now_ms)
{
    char digits[DECIMAL_BYTES];
    const uint64_t age_s = (uint64_t)cache_entry_age_ms(e, now_ms) / 1000;
    const size_t len = decimal_text(age_s < AGE_MAX_S ? age_s : AGE_MAX_S, digits);
    add(m, "Age", http_texts_add(m->texts, digits, len));
}

static void add_content_range(struct making *m, const struct cache_serving *s, size_t body_bytes)
{
    if (s->status == 206)
        add(m, "Content-Range",
            http_texts_printf(m->texts, "bytes %zu-%zu/%zu", s->from_byte, s->from_byte + s->byte_count - 1,
                              body_bytes));
    if (s->status == 416)
        add(m, "Content-Range", http_texts_printf(m->texts, "bytes */%zu", body_bytes));
}

bool cache_serve_head(struct http_head *to, struct http_texts *t, const struct cache_entry *e,
                      const struct cache_serving *s, uint32_t codings, int64_t now_ms)
{
    struct making m = {.to = to, .texts = t};
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    ASSERT(!s->needs_coding);
    const bool is_refusal = s->status == 412 || s->status == 416;
    const bool has_content = s->status == e->status || s->status == 206;
    const bool has_ranges = e->status == 200 && s->status != 304;
    http_head_clear(to);
    to->status = s->status;
    to->major_version = 1;
    to->minor_version = 1;
    if (s->status != 304 && s->status != 204)
        to->content_length = is_refusal ? 0 : (int64_t)s->byte_count;
    const bool is_varying = add_stored(&m, e, s);
    if (s->coding != e->coding) {
        if (e->etag.data != NULL)
            add(&m, "ETag", validator_etag(t, e, s->coding));
        if (has_content)
            add(&m, "Content-Encoding", http_view_of(cache_coding_text(s->coding)));
    }
    if (!is_varying && choices_of(e, codings) != 0)
        add(&m, "Vary", http_view_of("Accept-Encoding"));
    if (has_ranges)
        add(&m, "Accept-Ranges", http_view_of("bytes"));
    add_content_range(&m, s, body_in(e, s->coding)->len);
    if (!is_refusal)
        add_age(&m, e, now_ms);
    return !m.failed && !t->failed;
}

/* ---- tags on their way to the origin ---- */

/* How much of a tag's end is a coding's; 0: none. */
static size_t ending_len(struct http_view tag)
{
    for (size_t i = 0; i < COUNT(made_here); i++) {
        const struct http_view coding = http_view_of(cache_coding_text(made_here[i]));
        const size_t len = coding.len + 1;
        if (tag.len < len + 2 || tag.data[tag.len - 1] != '"')
            continue;
        const char *at = tag.data + tag.len - 1 - len;
        if (at[0] == '-' && memcmp(at + 1, coding.data, coding.len) == 0)
            return len;
    }
    return 0;
}

/* Puts the tag without its ending there; how much that is. */
static size_t write_stem(char *to, struct http_view tag, size_t ending_bytes)
{
    const size_t len = tag.len - ending_bytes;
    memcpy(to, tag.data, len - 1);
    to[len - 1] = '"';
    return len;
}

struct http_view cache_serve_origin_etags(struct http_texts *t, struct http_view list)
{
    struct http_view rest = list, tag;
    size_t len = list.len;
    while (validator_next_tag(&rest, &tag))
        len += ending_len(tag) > 0 ? 2 + tag.len - ending_len(tag) : 0;
    if (len == list.len)
        return list;
    char *room = http_texts_room(t, len);
    if (room == NULL)
        return (struct http_view){NULL, 0};
    memcpy(room, list.data, list.len);
    char *to = room + list.len;
    for (rest = list; validator_next_tag(&rest, &tag);) {
        const size_t ending_bytes = ending_len(tag);
        if (ending_bytes == 0)
            continue;
        *to++ = ',';
        *to++ = ' ';
        to += write_stem(to, tag, ending_bytes);
    }
    return (struct http_view){room, len};
}
