/* What is asked of RFC 9111 in the order in which it asks: may it be stored (section 3), how old is it (4.2.3), how
 * long is it fresh (4.2.1, 4.2.2), what of it may be used when (4.2.4). Checks, windows and uses are tables.
 *
 * The hard part is who is believed. Wall clocks are those of others: an origin's Date counts against an answer only as
 * far as its lifetime is the origin's own as well, never in its favour, and a lifetime cannot outgrow
 * CACHE_LIFE_MS_MAX, whatever year its Expires comes from. */
#include "cache/freshness.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/http/date.h"
#include "gateway/http/text.h"

#define HEURISTIC_DIVISOR 10 /* section 4.2.2: a tenth of what has passed since it was changed last */
#define HEURISTIC_MS_MAX  (INT64_C(24) * 3600 * 1000)
/* What has a validator is kept beyond its windows for as long as they last, within these: a route with windows of
 * seconds is asked again within minutes, and beyond an hour the next answer has likely changed. */
#define KEEP_MS_MIN  (INT64_C(10) * 60 * 1000)
#define KEEP_MS_MAX  (INT64_C(60) * 60 * 1000)
#define DATE_STEP_MS 1000 /* a Date tells whole seconds */
#define AGE_S_MAX    (INT64_C(1) << 31)

struct asking {
    const struct conf_cache_route *route;
    const struct http_head *request;
    const struct http_head *answer;
    bool is_scoped;
    int64_t wall_ms;
    int64_t date_ms; /* of the answer; without a Date that can be read, when it came (RFC 9110 section 6.6.1) */
    struct cache_control control; /* of the answer */
    struct cache_control wish;    /* of the request */
};

static int64_t bounded_ms(int64_t ms)
{
    return ms < 0 ? 0 : ms < CACHE_LIFE_MS_MAX ? ms : CACHE_LIFE_MS_MAX;
}

static bool is_ignored(const struct asking *a, enum conf_cache_ignore what)
{
    return (a->route->ignore & 1u << what) != 0;
}

/* ---- what may be stored ---- */

static const struct status {
    uint16_t code;
    bool is_heuristic; /* RFC 9110 section 15.1 */
} statuses[] = {
    {200, true}, {203, true}, {204, true}, {300, true}, {301, true}, {302, false}, {307, false},
    {308, true}, {404, true}, {405, true}, {410, true}, {414, true}, {501, true},
};

static const struct status *status_of(const struct asking *a)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].code == a->answer->status)
            return &statuses[i];
    }
    return NULL;
}

static bool is_off(const struct asking *a)
{
    return a->route->policy == CACHE_OFF;
}

static bool is_status_unfit(const struct asking *a)
{
    return status_of(a) == NULL;
}

static bool is_unwished(const struct asking *a)
{
    return a->wish.no_store && !is_ignored(a, CACHE_IGNORE_REQUEST);
}

static bool is_no_store(const struct asking *a)
{
    return a->control.no_store && !is_ignored(a, CACHE_IGNORE_NO_STORE);
}

static bool is_private(const struct asking *a)
{
    return a->control.is_private && !is_ignored(a, CACHE_IGNORE_PRIVATE);
}

static bool sets_cookie(const struct asking *a)
{
    return http_find(a->answer, "set-cookie") != NULL && !is_ignored(a, CACHE_IGNORE_SET_COOKIE);
}

/* Section 3.5. A must-revalidate that the route does not heed allows nothing either. */
static bool is_for_one_alone(const struct asking *a)
{
    const struct cache_control *c = &a->control;
    if (a->is_scoped || is_ignored(a, CACHE_IGNORE_AUTHORIZATION) || http_find(a->request, "authorization") == NULL)
        return false;
    return !c->is_public && c->s_maxage_s < 0 && (!c->must_revalidate || is_ignored(a, CACHE_IGNORE_MUST_REVALIDATE));
}

/* What goes on for as long as somebody listens is never complete. */
static bool is_endless(const struct asking *a)
{
    static const char *const types[] = {"text/event-stream", "multipart/x-mixed-replace"};
    struct http_view v = http_value(a->answer, "content-type");
    const char *parameters = v.len > 0 ? memchr(v.data, ';', v.len) : NULL;
    if (parameters != NULL)
        v.len = (size_t)(parameters - v.data);
    v = text_trim(v);
    return http_view_is_nocase(v, types[0]) || http_view_is_nocase(v, types[1]);
}

static const struct prohibition {
    const char *why;
    bool (*holds)(const struct asking *a);
} prohibitions[] = {
    {"off", is_off},
    {"status", is_status_unfit},
    {"request-no-store", is_unwished},
    {"no-store", is_no_store},
    {"private", is_private},
    {"set-cookie", sets_cookie},
    {"authorization", is_for_one_alone},
    {"content-type", is_endless},
};

/* ---- how old it is ---- */

/* Of a list the first member counts, and what is no number is not there (section 5.1). */
static int64_t age_field_ms(const struct http_head *answer)
{
    struct http_view list = http_value(answer, "age"), first = {.data = NULL, .len = 0};
    int64_t age_s = 0;
    (void)http_list_next(&list, &first);
    for (size_t i = 0; i < first.len; i++) {
        if (!text_is_digit(first.data[i]))
            return 0;
        age_s = age_s * 10 + (first.data[i] - '0');
        age_s = age_s < AGE_S_MAX ? age_s : AGE_S_MAX;
    }
    return age_s * 1000;
}

/* Section 4.2.3. The apparent age is for caches on the way that do not tell Age, and only as good as two clocks are
 * alike: where the route has a lifetime of its own, a wrong clock at the origin must not turn the cache off. It is the
 * least that a Date proves, or answers for a second would be half over when they come. */
static int64_t initial_age_ms(const struct asking *a, int64_t delay_ms)
{
    const int64_t corrected_ms = age_field_ms(a->answer) + delay_ms;
    const int64_t apparent_ms = a->wall_ms - a->date_ms - (DATE_STEP_MS - 1);
    return a->route->fresh_ms < 0 && apparent_ms > corrected_ms ? apparent_ms : corrected_ms;
}

/* ---- how long it serves ---- */

/* Of several the least, and what is no date is in the past (section 5.3). -1: there is none. */
static int64_t expires_after_ms(const struct asking *a)
{
    int64_t least_ms = -1;
    for (uint32_t i = 0; i < a->answer->field_count; i++) {
        const struct http_field *f = &a->answer->fields[i];
        if (!http_view_is_nocase(f->name, "expires"))
            continue;
        const int64_t at_ms = date_parse(f->value, a->wall_ms);
        const int64_t after_ms = at_ms > a->date_ms ? at_ms - a->date_ms : 0;
        least_ms = least_ms >= 0 && least_ms < after_ms ? least_ms : after_ms;
    }
    return least_ms;
}

static int64_t heuristic_ms(const struct asking *a)
{
    const int64_t changed_ms = date_parse(http_value(a->answer, "last-modified"), a->wall_ms);
    if (!a->route->heuristic || changed_ms < 0 || !(status_of(a)->is_heuristic || a->control.is_public))
        return -1;
    const int64_t ms = a->date_ms > changed_ms ? (a->date_ms - changed_ms) / HEURISTIC_DIVISOR : 0;
    return ms < HEURISTIC_MS_MAX ? ms : HEURISTIC_MS_MAX;
}

/* Section 4.2.1, after what the route says. -1: nobody says anything. */
static int64_t fresh_ms(const struct asking *a)
{
    if (a->route->fresh_ms >= 0)
        return a->route->fresh_ms;
    if (a->control.s_maxage_s >= 0)
        return a->control.s_maxage_s * 1000;
    if (a->control.max_age_s >= 0)
        return a->control.max_age_s * 1000;
    const int64_t expires_ms = expires_after_ms(a);
    return expires_ms >= 0 ? expires_ms : heuristic_ms(a);
}

static bool is_validated_always(const struct asking *a)
{
    return a->control.no_cache && !is_ignored(a, CACHE_IGNORE_NO_CACHE);
}

/* Never stale (section 4.2.4). An s-maxage says it too (section 5.2.2.10), unless the route's lifetime stands in its
 * place and it says nothing at all. */
static bool is_validated_when_stale(const struct asking *a)
{
    const struct cache_control *c = &a->control;
    const bool is_told = c->must_revalidate || c->proxy_revalidate || (c->s_maxage_s >= 0 && a->route->fresh_ms < 0);
    return is_told && !is_ignored(a, CACHE_IGNORE_MUST_REVALIDATE);
}

static int64_t window_ms(int64_t route_ms, int64_t origin_s)
{
    return bounded_ms(route_ms >= 0 ? route_ms : origin_s >= 0 ? origin_s * 1000 : 0);
}

static void set_windows(const struct asking *a, struct cache_life *l)
{
    l->stale_ms = window_ms(a->route->stale_ms, a->control.stale_while_revalidate_s);
    l->error_ms = window_ms(a->route->error_ms, a->control.stale_if_error_s);
    l->down_ms = window_ms(a->route->down_ms, -1);
    if (a->route->policy != CACHE_STALE_WHILE_REVALIDATE) {
        l->error_ms = l->error_ms > l->stale_ms ? l->error_ms : l->stale_ms;
        l->stale_ms = 0;
    }
}

static bool has_route_windows(const struct asking *a)
{
    return a->route->stale_ms > 0 || a->route->error_ms > 0 || a->route->down_ms > 0;
}

/* Time after freshness in which somebody may get it without the origin's word. */
static int64_t widest_ms(const struct cache_life *l)
{
    int64_t ms = l->stale_ms > l->error_ms ? l->stale_ms : l->error_ms;
    return ms > l->down_ms ? ms : l->down_ms;
}

static bool has_validator(const struct asking *a)
{
    return http_value(a->answer, "etag").len > 0 || date_parse(http_value(a->answer, "last-modified"), a->wall_ms) >= 0;
}

static void set_keep(struct cache_life *l)
{
    const int64_t windows_ms = widest_ms(l);
    int64_t beyond_ms = l->fresh_ms + windows_ms;
    beyond_ms = beyond_ms > KEEP_MS_MIN ? beyond_ms : KEEP_MS_MIN;
    beyond_ms = beyond_ms < KEEP_MS_MAX ? beyond_ms : KEEP_MS_MAX;
    l->keep_ms = bounded_ms(windows_ms + beyond_ms);
}

/* NULL, or why there is no life in it. */
static const char *set_life(const struct asking *a, struct cache_life *l)
{
    const bool is_always = is_validated_always(a), has_one = has_validator(a);
    const int64_t told_ms = fresh_ms(a);

    if (told_ms < 0 && !status_of(a)->is_heuristic && !has_route_windows(a))
        return "no-lifetime";
    if (!is_always)
        l->fresh_ms = bounded_ms(told_ms);
    if (!is_always && !is_validated_when_stale(a) && (told_ms >= 0 || has_route_windows(a)))
        set_windows(a, l);
    if (has_one)
        set_keep(l);
    if (cache_life_whole_ms(l) > 0)
        return NULL;
    return is_always ? "no-cache" : told_ms < 0 ? "no-lifetime" : "stale";
}

void cache_may_store(const struct conf_cache_route *r, const struct http_head *request, const struct http_head *answer,
                     bool is_scoped, int64_t wall_ms, int64_t delay_ms, struct cache_storing *out)
{
    struct asking a = {.route = r, .request = request, .answer = answer, .is_scoped = is_scoped, .wall_ms = wall_ms};
    ASSERT(delay_ms >= 0);
    memset(out, 0, sizeof *out);
    a.date_ms = date_parse(http_value(answer, "date"), wall_ms);
    if (a.date_ms < 0)
        a.date_ms = wall_ms;
    cache_control_of_answer(answer->fields, answer->field_count, &a.control);
    cache_control_of_request(request, &a.wish);

    for (size_t i = 0; out->why == NULL && i < sizeof prohibitions / sizeof prohibitions[0]; i++)
        out->why = prohibitions[i].holds(&a) ? prohibitions[i].why : NULL;
    if (out->why == NULL)
        out->why = set_life(&a, &out->life);
    if (out->why != NULL)
        return;
    out->age_ms = initial_age_ms(&a, delay_ms);
    if (out->age_ms >= cache_life_whole_ms(&out->life))
        out->why = "stale";
    out->may_store = out->why == NULL;
}

/* Date and Age are those of the message that came now: without them it is as good as new. */
static bool is_replaced(const struct http_head *by, struct http_view name)
{
    if (http_view_is_nocase(name, "date") || http_view_is_nocase(name, "age"))
        return true;
    for (uint32_t i = 0; i < by->field_count; i++) {
        if (http_view_equal_nocase(by->fields[i].name, name))
            return true;
    }
    return false;
}

void cache_may_store_again(const struct conf_cache_route *r, const struct http_head *request,
                           const struct cache_entry *stored, const struct http_head *not_modified, bool is_scoped,
                           int64_t wall_ms, int64_t delay_ms, struct cache_storing *out)
{
    struct http_head merged;
    CHECK_OBJ(stored, CACHE_ENTRY_MAGIC);
    http_head_clear(&merged);
    merged.status = stored->status;
    bool has_room = true;
    for (uint32_t i = 0; i < not_modified->field_count; i++)
        has_room = has_room && http_head_add(&merged, not_modified->fields[i].name, not_modified->fields[i].value);
    for (uint32_t i = 0; i < stored->field_count; i++) {
        if (!is_replaced(not_modified, stored->fields[i].name))
            has_room = has_room && http_head_add(&merged, stored->fields[i].name, stored->fields[i].value);
    }
    if (!has_room) {
        *out = (struct cache_storing){.why = "too-many-fields"};
        return;
    }
    cache_may_store(r, request, &merged, is_scoped, wall_ms, delay_ms, out);
}

struct cache_life cache_negative_life(const struct conf_cache_route *r)
{
    return (struct cache_life){.fresh_ms = bounded_ms(r->negative_ms)};
}

/* ---- what may be done with it ---- */

/* Where an entry's age lies: the first of its windows that has it. */
enum window { WINDOW_FRESH = 0, WINDOW_STALE, WINDOW_ERROR, WINDOW_DOWN, WINDOW_KEEP, WINDOW_GONE, WINDOW_COUNT };

/* By window, from fresh to gone. */
static const enum cache_use uses[][WINDOW_COUNT] = {
    [CACHE_OFF] = {CACHE_USE_NOT, CACHE_USE_NOT, CACHE_USE_NOT, CACHE_USE_NOT, CACHE_USE_NOT, CACHE_USE_NOT},
    [CACHE_STALE_WHILE_REVALIDATE] = {CACHE_USE_FRESH, CACHE_USE_REFRESH, CACHE_USE_IF_ERROR, CACHE_USE_IF_DOWN,
                                      CACHE_USE_VALIDATE, CACHE_USE_NOT},
    [CACHE_NETWORK_FIRST] = {CACHE_USE_IF_ERROR, CACHE_USE_IF_ERROR, CACHE_USE_IF_ERROR, CACHE_USE_IF_DOWN,
                             CACHE_USE_VALIDATE, CACHE_USE_NOT},
    [CACHE_FIRST] = {CACHE_USE_FRESH, CACHE_USE_IF_ERROR, CACHE_USE_IF_ERROR, CACHE_USE_IF_DOWN, CACHE_USE_VALIDATE,
                     CACHE_USE_NOT},
};
_Static_assert(sizeof uses / sizeof uses[0] == CACHE_FIRST + 1, "a row for each policy");

static bool is_served_unasked(enum cache_use use)
{
    return use == CACHE_USE_FRESH || use == CACHE_USE_REFRESH;
}

/* `past_ms` since it went stale, negative while it is fresh. */
static enum window window_of(const struct cache_life *l, int64_t past_ms)
{
    const int64_t ends_ms[] = {[WINDOW_FRESH] = 0,
                               [WINDOW_STALE] = l->stale_ms,
                               [WINDOW_ERROR] = l->error_ms,
                               [WINDOW_DOWN] = l->down_ms,
                               [WINDOW_KEEP] = l->keep_ms};
    enum window w = WINDOW_FRESH;
    while (w < WINDOW_GONE && past_ms >= ends_ms[w])
        w++;
    return w;
}

static bool is_open(enum window w)
{
    return w > WINDOW_FRESH && w <= WINDOW_DOWN;
}

/* Whether a client wants the origin's word on something that would be served without it (section 5.2.1). */
static bool wants_validation(const struct cache_control *wish, const struct cache_life *l, int64_t age_ms,
                             int64_t past_ms, bool is_immutable)
{
    const bool is_fresh = past_ms < 0;
    if (wish->no_cache)
        return true;
    if (wish->max_age_s >= 0 && !(is_fresh && is_immutable) &&
        (age_ms > wish->max_age_s * 1000 || (!is_fresh && !wish->has_max_stale)))
        return true;
    if (wish->min_fresh_s >= 0 && age_ms + wish->min_fresh_s * 1000 > l->fresh_ms)
        return true;
    return !is_fresh && wish->has_max_stale && wish->max_stale_s >= 0 && past_ms > wish->max_stale_s * 1000;
}

/* Where nothing can be asked. */
static enum cache_use judge_alone(enum cache_use use, enum window w, const struct cache_moment *m)
{
    if (use == CACHE_USE_NOT || w <= WINDOW_ERROR)
        return use == CACHE_USE_NOT ? use : CACHE_USE_FRESH;
    return w == WINDOW_DOWN && m->is_origin_down ? CACHE_USE_FRESH : use;
}

enum cache_use cache_judge(const struct cache_life *l, int64_t age_ms, const struct cache_moment *m)
{
    ASSERT(m->policy <= CACHE_FIRST);
    const struct cache_control *wish = m->request;
    const int64_t past_ms = m->is_purged && age_ms < l->fresh_ms ? 0 : age_ms - l->fresh_ms;
    enum window w = window_of(l, past_ms);

    if (wish != NULL && w == WINDOW_DOWN && past_ms < wish->stale_if_error_s * 1000)
        w = WINDOW_ERROR;
    enum cache_use use = uses[m->policy][w];
    if (m->is_origin_down || m->has_failed)
        return judge_alone(use, w, m);
    if (wish == NULL)
        return use;
    /* A purge says that it is wrong, and no client knows better. */
    if (is_open(w) && wish->has_max_stale && !m->is_purged && is_served_unasked(uses[m->policy][WINDOW_FRESH]))
        use = CACHE_USE_REFRESH;
    if (is_served_unasked(use) && wants_validation(wish, l, age_ms, past_ms, m->is_immutable))
        use = CACHE_USE_VALIDATE;
    return use;
}
