/* What was purged. A record per tag, URL and prefix holds the newest hard and the newest soft purge of it; one more,
 * `all`, is about every entry, and takes in what is forgotten: a purge that is known no longer by its text becomes one
 * of everything that is as old.
 *
 * The hard part is that a purge is heard twice, directly and from the log, in either order, and that entries come from
 * two places. An entry of this process (position.local > 0) began after it had heard so many purges directly, and had
 * read the log so far: it is purged by what came later by either way, and what was heard directly before it began does
 * not purge it again when the log brings it. An entry of another process knows the log alone: what was heard directly
 * purges it until the log has that very purge, whose place there then decides. */
#include "cache/purges.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/http/text.h"

#define PURGES_MAGIC 0x9ee7a1b5u
#define RECORD_MAGIC 0x9eec04d3u

/* How many purges can be under way to and from the log and still be known as the same. */
#define RECENT_IDS 512u
/* A query with more parameters than this is taken as it is written. */
#define PARAMETERS_MAX 64u

static const char *const kind_texts[] = {"all", "tag", "url", "prefix"};
_Static_assert(sizeof kind_texts / sizeof kind_texts[0] == PURGE_KIND_COUNT, "a text for each kind");

struct place {
    uint64_t ms, seq;
};

/* The newest purge of something. */
struct mark {
    struct place log;     /* newest in the log */
    struct place unheard; /* newest in the log that had not been heard directly before */
    uint64_t local;       /* newest heard directly; 0: none */
    uint64_t awaited_id;  /* the last one heard directly, while the log does not have it yet */
    bool is_awaited;
};

struct marks {
    struct mark hard, soft;
};

struct record {
    uint32_t magic;
    enum cache_purge_kind kind;
    struct list by_age;  /* in purges.by_age */
    struct list by_kind; /* a prefix: in purges.prefixes */
    struct marks marks;
    size_t len;
    char text[];
};

/* The last so many ids. */
struct recent {
    uint32_t next;
    uint64_t ids[RECENT_IDS];
};

struct cache_purges {
    uint32_t magic;
    struct place reach;
    uint64_t local;
    uint64_t count;
    struct marks all;
    struct map *tags, *urls; /* struct record, by text */
    struct list prefixes;
    uint32_t prefix_count;
    struct list by_age; /* all records; the one whose newest purge is the oldest first */
    uint32_t record_count;
    struct recent heard, logged;
};

const char *cache_purge_kind_text(enum cache_purge_kind k)
{
    ASSERT((unsigned)k < PURGE_KIND_COUNT);
    return kind_texts[k];
}

/* ---- what a purge may say ---- */

static const char *check_url(const char *text, bool is_prefix)
{
    const char *slash = strchr(text, '/');
    const size_t host_len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (strstr(text, "://") != NULL && strstr(text, "://") < text + host_len + 1)
        return "written with a scheme";
    if (slash == NULL && !is_prefix)
        return "a url without a path";
    if (host_len > 0 && !http_is_authority((struct http_view){text, host_len}))
        return "no host before the path";
    for (const char *c = text; *c != '\0'; c++) {
        if ((uint8_t)*c <= ' ' || (uint8_t)*c >= 0x7f || *c == '#')
            return "character not allowed in a url";
    }
    return NULL;
}

static const char *check_tag(const char *text)
{
    if (strlen(text) > CACHE_TAG_BYTES_MAX)
        return "tag too long";
    for (const char *c = text; *c != '\0'; c++) {
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            return "control character in a tag";
    }
    return text[0] == ' ' || text[strlen(text) - 1] == ' ' ? "tag with a space at its end" : NULL;
}

const char *cache_purge_check(const struct cache_purge *p)
{
    if (p->kind >= PURGE_KIND_COUNT)
        return "unknown kind";
    if (p->is_soft > 1)
        return "neither soft nor hard";
    if (memchr(p->text, '\0', sizeof p->text) == NULL)
        return "text too long";
    if (p->kind == PURGE_ALL)
        return p->text[0] != '\0' ? "all needs no text" : NULL;
    if (p->text[0] == '\0')
        return "text missing";
    return p->kind == PURGE_TAG ? check_tag(p->text) : check_url(p->text, p->kind == PURGE_PREFIX);
}

/* ---- texts ---- */

static int compare_views(struct http_view a, struct http_view b)
{
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Writes the query with its parameters in order, so that it is the same text whoever wrote it. Returns its length,
 * which is the same as before. */
static size_t write_query(char *to, struct http_view query)
{
    struct http_view parts[PARAMETERS_MAX];
    size_t count = 0, at = 0;

    for (struct http_view rest = query;;) {
        const char *end = rest.len > 0 ? memchr(rest.data, '&', rest.len) : NULL;
        struct http_view part = {rest.data, end != NULL ? (size_t)(end - rest.data) : rest.len};
        size_t i = count++;
        for (; i > 0 && compare_views(parts[i - 1], part) > 0; i--)
            parts[i] = parts[i - 1];
        parts[i] = part;
        if (end == NULL)
            break;
        rest = (struct http_view){end + 1, rest.len - part.len - 1};
        if (count == PARAMETERS_MAX) {
            memcpy(to, query.data, query.len);
            return query.len;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            to[at++] = '&';
        if (parts[i].len > 0)
            memcpy(to + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    return at;
}

/* Host, path and, if there is one, query as records have them; 0 when that is longer than a purge can be. */
static size_t write_url(char to[CACHE_PURGE_TEXT_BYTES], struct http_view host, struct http_view path,
                        struct http_view query)
{
    const size_t query_bytes = query.data != NULL ? query.len + 1 : 0;
    size_t at = 0;

    if (host.len >= CACHE_PURGE_TEXT_BYTES || path.len >= CACHE_PURGE_TEXT_BYTES ||
        query_bytes >= CACHE_PURGE_TEXT_BYTES || host.len + path.len + query_bytes >= CACHE_PURGE_TEXT_BYTES)
        return 0;
    while (at < host.len) {
        to[at] = text_lower(host.data[at]);
        at++;
    }
    if (path.len > 0)
        memcpy(to + at, path.data, path.len);
    at += path.len;
    if (query.data != NULL) {
        to[at++] = '?';
        at += write_query(to + at, query);
    }
    return at;
}

/* The text of a purge as its record has it. */
static size_t write_record_text(char to[CACHE_PURGE_TEXT_BYTES], const struct cache_purge *what)
{
    const char *text = what->text, *slash = strchr(text, '/'), *mark = strchr(text, '?');
    const size_t len = strlen(text), host_len = slash != NULL ? (size_t)(slash - text) : len;

    if (what->kind == PURGE_TAG) {
        memcpy(to, text, len);
        return len;
    }
    const struct http_view host = {text, host_len};
    if (what->kind == PURGE_PREFIX || mark == NULL)
        return write_url(to, host, (struct http_view){text + host_len, len - host_len}, (struct http_view){NULL, 0});
    const size_t path_len = (size_t)(mark - text) - host_len;
    return write_url(to, host, (struct http_view){text + host_len, path_len},
                     (struct http_view){mark + 1, len - host_len - path_len - 1});
}

/* ---- records ---- */

static bool is_after(struct place a, struct place b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}

static void raise_place(struct place *to, struct place p)
{
    if (is_after(p, *to))
        *to = p;
}

/* What `from` knows in `to` as well, but what is awaited: it is known by its text alone. */
static void merge(struct mark *to, const struct mark *from)
{
    raise_place(&to->log, from->log);
    raise_place(&to->unheard, from->unheard);
    if (from->local > to->local)
        to->local = from->local;
}

static struct map *map_of(struct cache_purges *p, enum cache_purge_kind k)
{
    return k == PURGE_TAG ? p->tags : k == PURGE_URL ? p->urls : NULL;
}

static void drop(struct cache_purges *p, struct record *r)
{
    struct map *m = map_of(p, r->kind);

    if (m != NULL)
        map_remove(m, r->text, r->len);
    else
        p->prefix_count--;
    list_unlink(&r->by_kind);
    list_unlink(&r->by_age);
    p->record_count--;
    OBJ_FREE(&r, RECORD_MAGIC);
}

static void drop_all(struct cache_purges *p)
{
    LIST_EACH (l, &p->by_age)
        drop(p, LIST_ENTRY(l, struct record, by_age));
}

static void forget(struct cache_purges *p, struct record *r)
{
    merge(&p->all.hard, &r->marks.hard);
    merge(&p->all.soft, &r->marks.soft);
    drop(p, r);
}

static void make_room(struct cache_purges *p, enum cache_purge_kind k)
{
    if (p->record_count == CACHE_PURGES_MAX)
        forget(p, LIST_ENTRY(p->by_age.next, struct record, by_age));
    if (k == PURGE_PREFIX && p->prefix_count == CACHE_PURGE_PREFIXES_MAX)
        forget(p, LIST_ENTRY(p->prefixes.next, struct record, by_kind));
}

static struct record *find(struct cache_purges *p, enum cache_purge_kind k, const char *text, size_t len)
{
    if (k != PURGE_PREFIX)
        return map_get(map_of(p, k), text, len);
    LIST_EACH (l, &p->prefixes) {
        struct record *r = LIST_ENTRY(l, struct record, by_kind);
        if (r->len == len && memcmp(r->text, text, len) == 0)
            return r;
    }
    return NULL;
}

/* The marks of what the purge is about, made if there are none, and from now on the youngest. */
static struct marks *marks_of(struct cache_purges *p, const struct cache_purge *what)
{
    char text[CACHE_PURGE_TEXT_BYTES];

    if (what->kind == PURGE_ALL)
        return &p->all;
    const enum cache_purge_kind kind = (enum cache_purge_kind)what->kind;
    const size_t len = write_record_text(text, what);
    struct record *r = find(p, kind, text, len);
    if (r == NULL) {
        make_room(p, kind);
        r = mem_alloc(sizeof *r + len);
        r->magic = RECORD_MAGIC;
        r->kind = kind;
        r->len = len;
        memcpy(r->text, text, len);
        list_init(&r->by_age);
        list_init(&r->by_kind);
        if (kind == PURGE_PREFIX)
            p->prefix_count++;
        else
            map_put(map_of(p, kind), text, len, r);
        p->record_count++;
    }
    list_unlink(&r->by_age);
    list_append(&p->by_age, &r->by_age);
    if (kind == PURGE_PREFIX) {
        list_unlink(&r->by_kind);
        list_append(&p->prefixes, &r->by_kind);
    }
    return &r->marks;
}

/* ---- life ---- */

struct cache_purges *cache_purges_create(void)
{
    struct cache_purges *p;

    OBJ_NEW(p, PURGES_MAGIC);
    p->local = 1;
    p->count = 1;
    p->tags = map_create();
    p->urls = map_create();
    list_init(&p->prefixes);
    list_init(&p->by_age);
    return p;
}

void cache_purges_destroy(struct cache_purges **pp)
{
    struct cache_purges *p = *pp;

    CHECK_OBJ(p, PURGES_MAGIC);
    drop_all(p);
    map_destroy(&p->tags);
    map_destroy(&p->urls);
    OBJ_FREE(pp, PURGES_MAGIC);
}

struct cache_position cache_purges_position(const struct cache_purges *p)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    return (struct cache_position){.ms = p->reach.ms, .seq = p->reach.seq, .local = p->local};
}

uint64_t cache_purges_count(const struct cache_purges *p)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    return p->count;
}

/* ---- purges come ---- */

static bool is_recent(const struct recent *r, uint64_t id)
{
    for (uint32_t i = 0; id != 0 && i < RECENT_IDS; i++) {
        if (r->ids[i] == id)
            return true;
    }
    return false;
}

static void note_recent(struct recent *r, uint64_t id)
{
    if (id != 0)
        r->ids[r->next++ % RECENT_IDS] = id;
}

void cache_purges_add(struct cache_purges *p, const struct cache_purge *what)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    ASSERT(cache_purge_check(what) == NULL);
    if (is_recent(&p->heard, what->id) || is_recent(&p->logged, what->id))
        return;
    note_recent(&p->heard, what->id);
    struct marks *marks = marks_of(p, what);
    struct mark *m = what->is_soft ? &marks->soft : &marks->hard;
    m->local = ++p->local;
    if (what->id != 0) {
        m->awaited_id = what->id;
        m->is_awaited = true;
    }
    p->count++;
}

void cache_purges_add_at(struct cache_purges *p, const struct cache_purge *what, uint64_t ms, uint64_t seq)
{
    const struct place at = {ms, seq};

    CHECK_OBJ(p, PURGES_MAGIC);
    ASSERT(cache_purge_check(what) == NULL);
    const bool is_heard = is_recent(&p->heard, what->id);
    if (!is_recent(&p->logged, what->id))
        note_recent(&p->logged, what->id);
    if (what->kind == PURGE_ALL && !what->is_soft && is_after(at, p->reach))
        drop_all(p); /* whatever they are about is purged by this */
    struct marks *marks = marks_of(p, what);
    struct mark *m = what->is_soft ? &marks->soft : &marks->hard;
    if (m->awaited_id == what->id || m->awaited_id == 0 || what->id == 0)
        m->is_awaited = false;
    raise_place(&m->log, at);
    if (is_heard)
        return;
    raise_place(&m->unheard, at);
    p->count++;
}

void cache_purges_reach(struct cache_purges *p, uint64_t ms, uint64_t seq)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    raise_place(&p->reach, (struct place){ms, seq});
}

void cache_purges_lost(struct cache_purges *p, uint64_t ms, uint64_t seq)
{
    CHECK_OBJ(p, PURGES_MAGIC);
    drop_all(p);
    p->reach = (struct place){ms, seq}; /* which may be before what it was */
    p->all = (struct marks){.hard = {.log = p->reach, .unheard = p->reach, .local = ++p->local}};
    p->count++;
}

/* ---- entries are judged ---- */

/* An entry being judged. */
struct judging {
    struct place log;
    uint64_t local; /* 0: of another process */
    enum cache_purged verdict;
};

static bool is_hit(const struct judging *j, const struct mark *m)
{
    if (j->local == 0)
        return m->is_awaited || is_after(m->log, j->log);
    return m->local > j->local || is_after(m->unheard, j->log);
}

static void judge_by(struct judging *j, const struct marks *m)
{
    if (m == NULL)
        return;
    if (is_hit(j, &m->hard))
        j->verdict = CACHE_PURGED_HARD;
    else if (j->verdict == CACHE_NOT_PURGED && is_hit(j, &m->soft))
        j->verdict = CACHE_PURGED_SOFT;
}

static void judge_by_record(struct judging *j, const struct map *m, const char *text, size_t len)
{
    const struct record *r = len > 0 ? map_get(m, text, len) : NULL;
    judge_by(j, r != NULL ? &r->marks : NULL);
}

/* A host with a port is also the one without. */
static struct http_view without_port(struct http_view host)
{
    for (size_t i = host.len; i > 0 && host.data[i - 1] != ']'; i--) {
        if (host.data[i - 1] == ':')
            return (struct http_view){host.data, i - 1};
    }
    return host;
}

static void judge_by_urls(struct judging *j, const struct cache_purges *p, const struct cache_entry *e)
{
    const struct http_view bare = without_port(e->host);
    const struct http_view hosts[] = {{NULL, 0}, bare, e->host};
    const size_t count = e->host.len == 0 ? 1 : bare.len == e->host.len ? 2 : 3;
    char text[CACHE_PURGE_TEXT_BYTES];

    if (map_count(p->urls) == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        judge_by_record(j, p->urls, text, write_url(text, hosts[i], e->path, (struct http_view){NULL, 0}));
        if (e->query.data != NULL)
            judge_by_record(j, p->urls, text, write_url(text, hosts[i], e->path, e->query));
    }
}

/* Takes what both begin with off `text`. False when they differ before one of them ends. */
static bool take_common(struct http_view *text, struct http_view part, bool is_nocase)
{
    const size_t len = text->len < part.len ? text->len : part.len;
    for (size_t i = 0; i < len; i++) {
        if (text->data[i] != (is_nocase ? text_lower(part.data[i]) : part.data[i]))
            return false;
    }
    text->data += len;
    text->len -= len;
    return true;
}

static bool begins_with(const struct record *r, struct http_view host, const struct cache_entry *e)
{
    struct http_view left = {r->text, r->len};
    if (!take_common(&left, host, true) || !take_common(&left, e->path, false))
        return false;
    if (left.len > 0 && e->query.data != NULL)
        return take_common(&left, (struct http_view){"?", 1}, false) && take_common(&left, e->query, false) &&
               left.len == 0;
    return left.len == 0;
}

static void judge_by_prefixes(struct judging *j, const struct cache_purges *p, const struct cache_entry *e)
{
    LIST_EACH (l, &p->prefixes) {
        const struct record *r = LIST_ENTRY(l, struct record, by_kind);
        const bool is_everywhere = r->text[0] == '/';
        if (is_everywhere ? begins_with(r, (struct http_view){NULL, 0}, e)
                          : begins_with(r, e->host, e) || begins_with(r, without_port(e->host), e))
            judge_by(j, &r->marks);
    }
}

enum cache_purged cache_purges_judge(const struct cache_purges *p, const struct cache_entry *e)
{
    struct judging j = {
        .log = {e->position.ms, e->position.seq}, .local = e->position.local, .verdict = CACHE_NOT_PURGED};

    CHECK_OBJ(p, PURGES_MAGIC);
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    judge_by(&j, &p->all);
    for (uint32_t i = 0; i < e->tag_count && map_count(p->tags) > 0; i++)
        judge_by_record(&j, p->tags, e->tags[i].data, e->tags[i].len);
    if (j.verdict != CACHE_PURGED_HARD)
        judge_by_urls(&j, p, e);
    if (j.verdict != CACHE_PURGED_HARD)
        judge_by_prefixes(&j, p, e);
    return j.verdict;
}
