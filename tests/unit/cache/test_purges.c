/* What purges an entry, as tables: which text is about it; and which order of events - heard directly, read in the log,
 * a fetch begun here or elsewhere - makes it purged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/purges.h"

static struct cache_purge purge_of(enum cache_purge_kind kind, bool is_soft, const char *text, uint64_t id)
{
    struct cache_purge p = {.id = id, .kind = kind, .is_soft = is_soft};
    snprintf(p.text, sizeof p.text, "%s", text);
    return p;
}

static struct cache_entry *entry_of(const char *host, const char *path, const char *query, const char *tag,
                                    struct cache_position position)
{
    const struct http_view tags[] = {http_view_of("role:anon"), http_view_of(tag)};
    return cache_entry_create(&(struct cache_draft){
        .status = 200,
        .tags = tags,
        .tag_count = 2,
        .key = http_view_of("key"),
        .host = http_view_of(host),
        .path = http_view_of(path),
        .query = http_view_of(query),
        .position = position,
    });
}

/* ---- which text is about an entry ---- */

static const struct {
    enum cache_purge_kind kind;
    const char *text;
    bool is_hit;
} texts[] = {
    /* The entry: GET app.example.com:8443 /rest/v1/cars?a=1&b=2, tags role:anon and table:cars. */
    {PURGE_ALL, "", true},
    {PURGE_TAG, "table:cars", true},
    {PURGE_TAG, "role:anon", true},
    {PURGE_TAG, "table:car", false},
    {PURGE_TAG, "table:cars2", false},
    {PURGE_TAG, "Table:cars", false},
    {PURGE_URL, "app.example.com:8443/rest/v1/cars", true},
    {PURGE_URL, "app.example.com/rest/v1/cars", true},
    {PURGE_URL, "APP.Example.com/rest/v1/cars", true},
    {PURGE_URL, "app.example.com:80/rest/v1/cars", false},
    {PURGE_URL, "/rest/v1/cars", true},
    {PURGE_URL, "/rest/v1/Cars", false},
    {PURGE_URL, "/rest/v1/car", false},
    {PURGE_URL, "/rest/v1/cars/", false},
    {PURGE_URL, "www.example.com/rest/v1/cars", false},
    {PURGE_URL, "/rest/v1/cars?a=1&b=2", true},
    {PURGE_URL, "/rest/v1/cars?b=2&a=1", true},
    {PURGE_URL, "app.example.com/rest/v1/cars?b=2&a=1", true},
    {PURGE_URL, "/rest/v1/cars?a=1", false},
    {PURGE_URL, "/rest/v1/cars?", false},
    {PURGE_URL, "/rest/v1/cars?a=1&b=2&", false},
    {PURGE_PREFIX, "/", true},
    {PURGE_PREFIX, "/rest/v1/ca", true},
    {PURGE_PREFIX, "/rest/v1/cars?a=1", true},
    {PURGE_PREFIX, "/rest/v1/cars?a=1&b=2", true},
    {PURGE_PREFIX, "/rest/v1/cars?a=1&b=22", false},
    {PURGE_PREFIX, "/rest/v1/cars/", false},
    {PURGE_PREFIX, "/rest/v2", false},
    {PURGE_PREFIX, "app.example.com", true},
    {PURGE_PREFIX, "app.EXAMPLE.com/rest", true},
    {PURGE_PREFIX, "app.example.com:8443/rest", true},
    {PURGE_PREFIX, "app.example.com:80/rest", false},
    {PURGE_PREFIX, "app.example.com/REST", false},
    {PURGE_PREFIX, "example.com/rest", false},
};

static void a_purge_is_about_what_its_text_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cache_purges *p = cache_purges_create();
        struct cache_entry *e =
            entry_of("app.example.com:8443", "/rest/v1/cars", "a=1&b=2", "table:cars", cache_purges_position(p));
        const struct cache_purge what = purge_of(texts[i].kind, false, texts[i].text, 0);

        assert_null(cache_purge_check(&what));
        assert_int_equal(cache_purges_judge(p, e), CACHE_NOT_PURGED);
        cache_purges_add(p, &what);
        if ((cache_purges_judge(p, e) == CACHE_PURGED_HARD) != texts[i].is_hit)
            fail_msg("%s \"%s\" should %s", cache_purge_kind_text(texts[i].kind), texts[i].text,
                     texts[i].is_hit ? "purge it" : "be about something else");
        cache_entry_unref(&e);
        cache_purges_destroy(&p);
    }
}

static void an_empty_query_is_one(void **state)
{
    struct cache_purges *p = cache_purges_create();
    struct cache_entry *with = entry_of("a", "/x", "", "t", cache_purges_position(p));
    struct cache_entry *without = entry_of("a", "/x", NULL, "t", cache_purges_position(p));
    const struct cache_purge what = purge_of(PURGE_URL, false, "a/x?", 0);

    (void)state;
    cache_purges_add(p, &what);
    assert_int_equal(cache_purges_judge(p, with), CACHE_PURGED_HARD);
    assert_int_equal(cache_purges_judge(p, without), CACHE_NOT_PURGED);
    cache_entry_unref(&with);
    cache_entry_unref(&without);
    cache_purges_destroy(&p);
}

/* A query of many parameters is compared as it stands, and one longer than any purge is compared with none. */
static void long_urls_are_judged_as_well(void **state)
{
    char path[3000], query[400], text[CACHE_PURGE_TEXT_BYTES];
    struct cache_purges *p = cache_purges_create();

    (void)state;
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    for (size_t i = 0; i < sizeof query; i++)
        query[i] = i % 2 == 0 ? (char)('a' + i % 26) : '&';
    query[sizeof query - 1] = '\0';
    snprintf(text, sizeof text, "/x?%s", query);
    const struct cache_purge many = purge_of(PURGE_URL, false, text, 0);
    const struct cache_purge begin = purge_of(PURGE_PREFIX, true, "/ppp", 0);
    struct cache_entry *a = entry_of("a", path, query, "t", cache_purges_position(p));
    struct cache_entry *b = entry_of("a", "/x", query, "t", cache_purges_position(p));

    cache_purges_add(p, &many);
    assert_int_equal(cache_purges_judge(p, a), CACHE_NOT_PURGED);
    assert_int_equal(cache_purges_judge(p, b), CACHE_PURGED_HARD);
    cache_purges_add(p, &begin);
    assert_int_equal(cache_purges_judge(p, a), CACHE_PURGED_SOFT);
    cache_entry_unref(&a);
    cache_entry_unref(&b);
    cache_purges_destroy(&p);
}

/* ---- which order of events purges ---- */

enum event {
    END = 0,
    HEARD,      /* directly */
    HEARD_SOFT, /* directly */
    LOGGED,     /* read in the log, there at `ms` */
    LOGGED_SOFT,
    REACHED, /* the log was read to `ms` */
    LOST,    /* not known before `ms` */
    BEGUN,   /* the entry's fetch, by this process */
    STORED   /* the entry, by another process that had read the log to `ms` */
};
struct step {
    enum event event;
    uint64_t ms;
    uint64_t id;
};

static const struct {
    const char *what;
    struct step steps[7];
    enum cache_purged is;
} orders[] = {
    {"nothing happened", {{BEGUN, 0, 0}}, CACHE_NOT_PURGED},
    {"heard after the fetch began", {{BEGUN, 0, 0}, {HEARD, 0, 7}}, CACHE_PURGED_HARD},
    {"heard before the fetch began", {{HEARD, 0, 7}, {BEGUN, 0, 0}}, CACHE_NOT_PURGED},
    {"softly", {{BEGUN, 0, 0}, {HEARD_SOFT, 0, 7}}, CACHE_PURGED_SOFT},
    {"softly, before", {{HEARD_SOFT, 0, 7}, {BEGUN, 0, 0}}, CACHE_NOT_PURGED},
    {"hard wins over a later soft one", {{BEGUN, 0, 0}, {HEARD, 0, 7}, {HEARD_SOFT, 0, 8}}, CACHE_PURGED_HARD},
    {"hard wins over an earlier soft one", {{BEGUN, 0, 0}, {HEARD_SOFT, 0, 7}, {HEARD, 0, 8}}, CACHE_PURGED_HARD},
    {"soft after, hard before", {{HEARD, 0, 7}, {BEGUN, 0, 0}, {HEARD_SOFT, 0, 8}}, CACHE_PURGED_SOFT},
    {"the log tells of another's purge", {{BEGUN, 0, 0}, {LOGGED, 50, 7}}, CACHE_PURGED_HARD},
    {"the log told before", {{LOGGED, 50, 7}, {REACHED, 50, 0}, {BEGUN, 0, 0}}, CACHE_NOT_PURGED},
    {"the log tells late of what it has long had",
     {{REACHED, 60, 0}, {BEGUN, 0, 0}, {LOGGED, 50, 7}},
     CACHE_NOT_PURGED},
    {"the log brings what was heard directly before the fetch",
     {{HEARD, 0, 7}, {BEGUN, 0, 0}, {LOGGED, 50, 7}},
     CACHE_NOT_PURGED},
    {"the log brings a second one beside it",
     {{HEARD, 0, 7}, {BEGUN, 0, 0}, {LOGGED, 50, 7}, {LOGGED, 51, 8}},
     CACHE_PURGED_HARD},
    {"the log was faster than the direct way",
     {{LOGGED, 50, 7}, {REACHED, 50, 0}, {BEGUN, 0, 0}, {HEARD, 0, 7}},
     CACHE_NOT_PURGED},
    {"heard twice", {{HEARD, 0, 7}, {BEGUN, 0, 0}, {HEARD, 0, 7}}, CACHE_NOT_PURGED},
    {"without ids they are two", {{HEARD, 0, 0}, {BEGUN, 0, 0}, {HEARD, 0, 0}}, CACHE_PURGED_HARD},

    {"stored elsewhere, knowing of it", {{LOGGED, 50, 7}, {STORED, 50, 0}}, CACHE_NOT_PURGED},
    {"stored elsewhere, not knowing of it", {{LOGGED, 50, 7}, {STORED, 49, 0}}, CACHE_PURGED_HARD},
    {"stored elsewhere, not knowing of a soft one", {{LOGGED_SOFT, 50, 7}, {STORED, 49, 0}}, CACHE_PURGED_SOFT},
    {"stored elsewhere, the log has our purge not yet", {{HEARD, 0, 7}, {STORED, 99, 0}}, CACHE_PURGED_HARD},
    {"stored elsewhere, the log has got our purge",
     {{HEARD, 0, 7}, {LOGGED, 50, 7}, {STORED, 50, 0}},
     CACHE_NOT_PURGED},
    {"stored elsewhere before the log got our purge",
     {{HEARD, 0, 7}, {LOGGED, 50, 7}, {STORED, 49, 0}},
     CACHE_PURGED_HARD},
    {"stored elsewhere, the log has got another's purge instead",
     {{HEARD, 0, 7}, {LOGGED, 50, 8}, {STORED, 50, 0}},
     CACHE_PURGED_HARD},
    {"stored elsewhere, the log was faster than the direct way",
     {{LOGGED, 50, 7}, {HEARD, 0, 7}, {STORED, 50, 0}},
     CACHE_NOT_PURGED},
    {"stored elsewhere, the earlier of two has arrived",
     {{HEARD, 0, 7}, {HEARD, 0, 8}, {LOGGED, 50, 7}, {STORED, 50, 0}},
     CACHE_PURGED_HARD},

    {"the log was lost after the fetch began", {{REACHED, 90, 0}, {BEGUN, 0, 0}, {LOST, 40, 0}}, CACHE_PURGED_HARD},
    {"the log was lost before the fetch began", {{LOST, 40, 0}, {BEGUN, 0, 0}}, CACHE_NOT_PURGED},
    {"the new log is younger than the old one",
     {{REACHED, 90, 0}, {LOGGED, 80, 7}, {LOST, 40, 0}, {BEGUN, 0, 0}, {LOGGED, 41, 8}},
     CACHE_PURGED_HARD},
    {"purges of the old log are forgotten", {{LOGGED, 80, 7}, {LOST, 40, 0}, {BEGUN, 0, 0}}, CACHE_NOT_PURGED},
    {"stored elsewhere before what is known", {{LOST, 40, 0}, {STORED, 39, 0}}, CACHE_PURGED_HARD},
    {"stored elsewhere within what is known", {{LOST, 40, 0}, {STORED, 40, 0}}, CACHE_NOT_PURGED},
};

static struct cache_entry *play(struct cache_purges *p, const struct step *steps, enum cache_purge_kind kind,
                                const char *text)
{
    struct cache_entry *e = NULL;

    for (const struct step *s = steps; s->event != END; s++) {
        const bool is_soft = s->event == HEARD_SOFT || s->event == LOGGED_SOFT;
        const struct cache_purge what = purge_of(kind, is_soft, text, s->id);
        const struct cache_position elsewhere = {.ms = s->ms};

        if (s->event == HEARD || s->event == HEARD_SOFT)
            cache_purges_add(p, &what);
        else if (s->event == LOGGED || s->event == LOGGED_SOFT)
            cache_purges_add_at(p, &what, s->ms, 0);
        else if (s->event == REACHED)
            cache_purges_reach(p, s->ms, 0);
        else if (s->event == LOST)
            cache_purges_lost(p, s->ms, 0);
        else
            e = entry_of("a", "/x", NULL, "t", s->event == STORED ? elsewhere : cache_purges_position(p));
    }
    return e;
}

static void the_order_of_events_decides(void **state)
{
    static const char *const text_of[PURGE_KIND_COUNT] = {"", "t", "a/x", "a/"};

    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        for (unsigned kind = 0; kind < PURGE_KIND_COUNT; kind++) {
            struct cache_purges *p = cache_purges_create();
            struct cache_entry *e = play(p, orders[i].steps, (enum cache_purge_kind)kind, text_of[kind]);
            const enum cache_purged is = cache_purges_judge(p, e);

            if (is != orders[i].is)
                fail_msg("%s, by %s: %d", orders[i].what, cache_purge_kind_text((enum cache_purge_kind)kind), (int)is);
            cache_entry_unref(&e);
            cache_purges_destroy(&p);
        }
    }
}

/* Whoever remembers a verdict with the count looks again whenever it could have become worse. */
static void the_count_tells_when_to_look_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct cache_purges *p = cache_purges_create();
        const struct step *s = orders[i].steps;
        struct cache_entry *e = NULL;
        enum cache_purged remembered = CACHE_NOT_PURGED;
        uint64_t count = 0;

        for (; s->event != END; s++) {
            const struct step one[2] = {*s, {END, 0, 0}};
            struct cache_entry *made = play(p, one, PURGE_TAG, "t");
            e = made != NULL ? made : e;
            if (e == NULL)
                continue;
            const enum cache_purged is = cache_purges_judge(p, e);
            if (count == cache_purges_count(p))
                assert_true(is <= remembered);
            remembered = is;
            count = cache_purges_count(p);
        }
        cache_entry_unref(&e);
        cache_purges_destroy(&p);
    }
}

/* ---- bounds ---- */

/* What is forgotten purges everything of its age, never nothing; what is younger stays as exact as it was. */
static void what_is_forgotten_purges_everything_as_old(void **state)
{
    static const struct {
        enum cache_purge_kind kind;
        uint32_t max;
        bool is_soft;
    } rows[] = {
        {PURGE_TAG, CACHE_PURGES_MAX, false},
        {PURGE_URL, CACHE_PURGES_MAX, true},
        {PURGE_PREFIX, CACHE_PURGE_PREFIXES_MAX, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cache_purges *p = cache_purges_create();
        struct cache_entry *old = entry_of("a", "/x", NULL, "t", cache_purges_position(p));
        struct cache_entry *elsewhere = entry_of("a", "/x", NULL, "t", (struct cache_position){.ms = 999});
        struct cache_entry *young = NULL;
        const enum cache_purged purged = rows[i].is_soft ? CACHE_PURGED_SOFT : CACHE_PURGED_HARD;

        for (uint32_t n = 0; n < rows[i].max; n++) {
            char text[32];
            snprintf(text, sizeof text, "b/%u/", n);
            const struct cache_purge what = purge_of(rows[i].kind, rows[i].is_soft, text, n + 1);
            cache_purges_add_at(p, &what, 1000 + n, 0);
            cache_purges_reach(p, 1000 + n, 0);
            if (n == 0)
                young = entry_of("a", "/x", NULL, "t", cache_purges_position(p));
        }
        assert_int_equal(cache_purges_judge(p, old), CACHE_NOT_PURGED);
        const struct cache_purge last = purge_of(rows[i].kind, rows[i].is_soft, "b/last/", 99999);
        cache_purges_add(p, &last);
        assert_int_equal(cache_purges_judge(p, old), purged);
        assert_int_equal(cache_purges_judge(p, elsewhere), purged);
        assert_int_equal(cache_purges_judge(p, young), CACHE_NOT_PURGED);
        cache_entry_unref(&old);
        cache_entry_unref(&elsewhere);
        cache_entry_unref(&young);
        cache_purges_destroy(&p);
    }
}

/* A tag that is purged all the time takes one place, and is not the next to be forgotten. */
static void one_text_takes_one_place(void **state)
{
    struct cache_purges *p = cache_purges_create();
    const struct cache_purge often = purge_of(PURGE_TAG, false, "often", 0);
    struct cache_entry *e = NULL;

    (void)state;
    cache_purges_add(p, &often);
    for (uint32_t n = 0; n < CACHE_PURGES_MAX; n++) {
        char text[32];
        snprintf(text, sizeof text, "other%u", n);
        const struct cache_purge other = purge_of(PURGE_TAG, false, text, 0);
        cache_purges_add(p, &other);
        cache_purges_add(p, &often);
        if (n == 0)
            e = entry_of("a", "/x", NULL, "t", cache_purges_position(p));
    }
    assert_int_equal(cache_purges_judge(p, e), CACHE_NOT_PURGED);
    cache_entry_unref(&e);
    cache_purges_destroy(&p);
}

static void a_purge_of_all_ends_what_was_known(void **state)
{
    struct cache_purges *p = cache_purges_create();
    const struct cache_purge given_up = purge_of(PURGE_TAG, false, "t", 7);
    const struct cache_purge all = purge_of(PURGE_ALL, false, "", 8);
    struct cache_entry *e = entry_of("a", "/x", NULL, "t", (struct cache_position){.ms = 50});

    (void)state;
    cache_purges_add(p, &given_up);
    cache_purges_add_at(p, &all, 50, 0);
    assert_int_equal(cache_purges_judge(p, e), CACHE_NOT_PURGED);
    cache_entry_unref(&e);
    cache_purges_destroy(&p);
}

/* What stands for purges that were lost on their way here; the log has those under their own ids. */
static void a_purge_without_an_id_is_not_waited_for_in_the_log(void **state)
{
    struct cache_purges *p = cache_purges_create();
    const struct cache_purge lost = purge_of(PURGE_ALL, false, "", 0);
    const struct cache_purge own = purge_of(PURGE_ALL, false, "", 7);
    struct cache_entry *ours = entry_of("a", "/x", NULL, "t", cache_purges_position(p));
    struct cache_entry *theirs = entry_of("a", "/x", NULL, "t", (struct cache_position){.ms = 50});

    (void)state;
    cache_purges_add(p, &lost);
    assert_int_equal(cache_purges_judge(p, ours), CACHE_PURGED_HARD);
    assert_int_equal(cache_purges_judge(p, theirs), CACHE_NOT_PURGED);
    cache_purges_add(p, &own);
    cache_purges_add(p, &lost);
    assert_int_equal(cache_purges_judge(p, theirs), CACHE_PURGED_HARD);
    cache_purges_add_at(p, &own, 40, 0);
    assert_int_equal(cache_purges_judge(p, theirs), CACHE_NOT_PURGED);
    cache_entry_unref(&ours);
    cache_entry_unref(&theirs);
    cache_purges_destroy(&p);
}

/* ---- what is a purge ---- */

static void nonsense_is_told_from_purges(void **state)
{
    static const struct {
        enum cache_purge_kind kind;
        const char *text;
        bool is_good;
    } rows[] = {
        {PURGE_ALL, "", true},
        {PURGE_ALL, "x", false},
        {PURGE_TAG, "table:cars", true},
        {PURGE_TAG, "two words", true},
        {PURGE_TAG, "", false},
        {PURGE_TAG, " x", false},
        {PURGE_TAG, "x ", false},
        {PURGE_TAG, "a\nb", false},
        {PURGE_URL, "/", true},
        {PURGE_URL, "example.com/", true},
        {PURGE_URL, "[::1]:80/x", true},
        {PURGE_URL, "example.com/go?to=http://other/", true},
        {PURGE_URL, "/go?to=http://other/", true},
        {PURGE_URL, "", false},
        {PURGE_URL, "example.com", false},
        {PURGE_URL, "https://example.com/", false},
        {PURGE_URL, "exa mple.com/", false},
        {PURGE_URL, "/a b", false},
        {PURGE_URL, "/a#b", false},
        {PURGE_URL, "/\xc3\xa4", false},
        {PURGE_PREFIX, "example.com", true},
        {PURGE_PREFIX, "/rest/", true},
        {PURGE_PREFIX, "", false},
        {PURGE_PREFIX, "http://example.com", false},
        {PURGE_PREFIX, "?x", false},
        {PURGE_KIND_COUNT, "x", false},
    };
    char long_tag[CACHE_TAG_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct cache_purge p = purge_of(rows[i].kind, false, rows[i].text, 0);
        if ((cache_purge_check(&p) == NULL) != rows[i].is_good)
            fail_msg("kind %d \"%s\"", (int)rows[i].kind, rows[i].text);
    }
    memset(long_tag, 't', sizeof long_tag);
    long_tag[sizeof long_tag - 1] = '\0';
    struct cache_purge p = purge_of(PURGE_TAG, false, long_tag, 0);
    assert_non_null(cache_purge_check(&p));
    p.text[CACHE_TAG_BYTES_MAX] = '\0';
    assert_null(cache_purge_check(&p));
    memset(p.text, 't', sizeof p.text);
    assert_non_null(cache_purge_check(&p));
    p = purge_of(PURGE_TAG, false, "x", 0);
    p.is_soft = 2;
    assert_non_null(cache_purge_check(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_purge_is_about_what_its_text_names),
        cmocka_unit_test(an_empty_query_is_one),
        cmocka_unit_test(long_urls_are_judged_as_well),
        cmocka_unit_test(the_order_of_events_decides),
        cmocka_unit_test(the_count_tells_when_to_look_again),
        cmocka_unit_test(what_is_forgotten_purges_everything_as_old),
        cmocka_unit_test(one_text_takes_one_place),
        cmocka_unit_test(a_purge_of_all_ends_what_was_known),
        cmocka_unit_test(a_purge_without_an_id_is_not_waited_for_in_the_log),
        cmocka_unit_test(nonsense_is_told_from_purges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
