/* What anybody may say about storing an answer. Three bytes choose the route, one the status; then lines of fields, the
 * request's, an empty line, the answer's. Laws: numbers stay within their bounds and lives are never negative; what is
 * said does not depend on the order in which it is said; whatever came before, a no-store prohibits and a no-cache
 * leaves no time without the origin's word; getting older never makes an entry good for more. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "cache/freshness.h"
#include "gateway/http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define WALL_MS     (INT64_C(1767225600) * 1000)
#define NUMBER_MAX  (INT64_C(1) << 31)
#define DATE_MS_END (INT64_C(253402300800) * 1000) /* the year 10000 */

/* -1 in one of four: what the origin says. */
static int64_t time_of(unsigned bits)
{
    static const int64_t times_ms[] = {-1, 0, 5000, INT64_C(999) * 366 * 86400 * 1000};
    return times_ms[bits & 3u];
}

static void route_of(struct conf_cache_route *r, const uint8_t *data)
{
    memset(r, 0, sizeof *r);
    r->policy = (enum conf_cache_policy)(data[0] & 3u);
    r->heuristic = (data[0] & 4u) != 0;
    r->fresh_ms = time_of(data[0] >> 4u);
    r->stale_ms = time_of(data[0] >> 6u);
    r->ignore = data[1];
    r->error_ms = time_of(data[2]);
    r->down_ms = time_of(data[2] >> 2u);
    r->negative_ms = time_of(data[2] >> 4u);
}

/* Lines up to an empty one, or the end; how many bytes that took. A line without a colon is a name. */
static size_t read_fields(struct http_head *h, const char *text, size_t len)
{
    size_t at = 0;
    http_head_clear(h);
    while (at < len && text[at] != '\n') {
        const char *end = memchr(text + at, '\n', len - at);
        const size_t line = end != NULL ? (size_t)(end - text) - at : len - at;
        const char *colon = memchr(text + at, ':', line);
        const size_t name = colon != NULL ? (size_t)(colon - text) - at : line;
        const struct http_view value = {.data = text + at + name + (colon != NULL),
                                        .len = line - name - (colon != NULL)};
        if (h->field_count < HTTP_MAX_FIELDS)
            ASSERT(http_head_add(h, (struct http_view){text + at, name}, value));
        at += line + (end != NULL);
    }
    return at < len ? at + 1 : len;
}

static void check_numbers(const struct cache_control *c)
{
    const int64_t numbers[] = {
        c->max_age_s, c->s_maxage_s, c->max_stale_s, c->min_fresh_s, c->stale_while_revalidate_s, c->stale_if_error_s};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        ASSERT(numbers[i] >= -1 && numbers[i] <= NUMBER_MAX);
    ASSERT(c->max_stale_s < 0 || c->has_max_stale);
}

static void check_order(const struct http_head *h)
{
    struct http_head turned;
    struct cache_control c, again;
    http_head_clear(&turned);
    for (uint32_t i = h->field_count; i > 0; i--)
        ASSERT(http_head_add(&turned, h->fields[i - 1].name, h->fields[i - 1].value));
    memset(&c, 0, sizeof c);
    memset(&again, 0, sizeof again);
    cache_control_of_answer(h->fields, h->field_count, &c);
    cache_control_of_answer(turned.fields, turned.field_count, &again);
    check_numbers(&c);
    ASSERT(c.no_cache == again.no_cache && c.no_store == again.no_store && c.is_private == again.is_private);
    ASSERT(c.max_age_s == again.max_age_s && c.s_maxage_s == again.s_maxage_s && c.max_stale_s == again.max_stale_s);
    ASSERT(c.min_fresh_s == again.min_fresh_s && c.has_max_stale == again.has_max_stale);
}

static void check_dates(const struct http_head *h)
{
    char text[DATE_BYTES];
    for (uint32_t i = 0; i < h->field_count; i++) {
        const int64_t ms = date_parse(h->fields[i].value, WALL_MS);
        ASSERT(ms >= -1 && ms < DATE_MS_END);
        ASSERT(ms < 0 || date_parse(http_view_of(date_text(ms, text)), WALL_MS) == ms);
    }
}

static int64_t check_life(const struct cache_life *l)
{
    const int64_t parts_ms[] = {l->stale_ms, l->error_ms, l->down_ms, l->keep_ms};
    int64_t longest_ms = 0;
    ASSERT(l->fresh_ms >= 0 && l->fresh_ms <= CACHE_LIFE_MS_MAX);
    for (size_t i = 0; i < sizeof parts_ms / sizeof parts_ms[0]; i++) {
        ASSERT(parts_ms[i] >= 0 && parts_ms[i] <= CACHE_LIFE_MS_MAX);
        longest_ms = longest_ms > parts_ms[i] ? longest_ms : parts_ms[i];
    }
    return l->fresh_ms + longest_ms;
}

static bool is_served(enum cache_use use)
{
    return use == CACHE_USE_FRESH || use == CACHE_USE_REFRESH;
}

static void check_judged(const struct cache_life *l, enum conf_cache_policy policy, const struct cache_control *wish)
{
    const int64_t ages_ms[] = {0,
                               l->fresh_ms / 2,
                               l->fresh_ms,
                               l->fresh_ms + 1,
                               l->fresh_ms + l->stale_ms,
                               l->fresh_ms + l->error_ms,
                               l->fresh_ms + l->down_ms,
                               check_life(l)};
    for (size_t i = 0; i < sizeof ages_ms / sizeof ages_ms[0]; i++) {
        const int64_t age_ms = ages_ms[i];
        struct cache_moment m = {.policy = policy};
        const enum cache_use plain = cache_judge(l, age_ms, &m);
        ASSERT(is_served(plain) || !is_served(cache_judge(l, age_ms + 1, &m)));
        ASSERT(age_ms < check_life(l) || plain == CACHE_USE_NOT);
        ASSERT(plain != CACHE_USE_FRESH || age_ms < l->fresh_ms);
        m.request = wish;
        const enum cache_use wished = cache_judge(l, age_ms, &m);
        const bool has_window = l->stale_ms > 0 || l->error_ms > 0 || l->down_ms > 0;
        ASSERT(!is_served(wished) || age_ms < l->fresh_ms || has_window);
        ASSERT(!is_served(wished) || !wish->no_cache);
        m.has_failed = true;
        ASSERT(!is_served(plain) || cache_judge(l, age_ms, &m) == CACHE_USE_FRESH);
        m.is_purged = true;
        ASSERT(!is_served(cache_judge(l, age_ms, &m)) || has_window);
    }
}

/* One more directive at the end of all that was said. */
static void check_prohibited(const struct conf_cache_route *r, const struct http_head *request,
                             const struct http_head *answer, const char *directive, enum conf_cache_ignore by)
{
    struct http_head more = *answer;
    struct cache_storing s;
    ASSERT(http_head_add(&more, http_view_of("Cache-Control"), http_view_of(directive)));
    cache_may_store(r, request, &more, true, WALL_MS, 0, &s);
    if ((r->ignore & 1u << by) != 0 || !s.may_store)
        return;
    ASSERT(by == CACHE_IGNORE_NO_CACHE);
    ASSERT(s.life.fresh_ms == 0 && s.life.stale_ms == 0 && s.life.error_ms == 0 && s.life.down_ms == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint16_t statuses[] = {200, 204, 206, 301, 302, 404, 501, 503};
    struct conf_cache_route route;
    struct http_head request, answer;
    struct cache_storing s;
    struct cache_control wish;
    if (len < 4)
        return 0;
    route_of(&route, data);
    const int64_t delay_ms = data[3] >> 3u;
    const char *text = (const char *)data + 4;
    const size_t used = read_fields(&request, text, len - 4);
    (void)read_fields(&answer, text + used, len - 4 - used);
    answer.status = statuses[data[3] & 7u];

    cache_control_of_request(&request, &wish);
    check_numbers(&wish);
    check_order(&answer);
    check_dates(&answer);
    cache_may_store(&route, &request, &answer, (data[0] & 8u) != 0, WALL_MS, delay_ms, &s);
    ASSERT(s.may_store == (s.why == NULL));
    if (s.may_store) {
        ASSERT(s.age_ms >= delay_ms && s.age_ms < check_life(&s.life));
        ASSERT(answer.status != 206 && answer.status != 503 && route.policy != CACHE_OFF);
    }
    (void)check_life(&s.life);
    check_judged(&s.life, route.policy, &wish);
    check_prohibited(&route, &request, &answer, "no-store", CACHE_IGNORE_NO_STORE);
    check_prohibited(&route, &request, &answer, "private", CACHE_IGNORE_PRIVATE);
    check_prohibited(&route, &request, &answer, "no-cache", CACHE_IGNORE_NO_CACHE);
    return 0;
}
