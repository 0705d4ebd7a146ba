/* How a row of the table of freshness is read and tried. Included by its test alone.
 *
 * Heads are written as fields with newlines between; "@-60" in one stands for the date of 60 seconds before the answer
 * came, "@0" for that moment. A route is words: its policy, times in seconds, "ignore:what"; "scoped" and "delay=" say
 * how the request came and how long it took. `when` is how many seconds after the answer came, and what else holds
 * then: purged, down (no origin is up), failed (the origin was asked, and did not answer). */
#ifndef TESTS_UNIT_CACHE_FRESHNESS_ROWS_H
#define TESTS_UNIT_CACHE_FRESHNESS_ROWS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "cache/freshness.h"
#include "gateway/http/date.h"

#define WALL_MS    (INT64_C(1767225600) * 1000) /* Thu, 01 Jan 2026 00:00:00 GMT */
#define TEXT_BYTES 1024u

static const struct {
    const char *name;
    size_t at;
} times[] = {
    {"fresh", offsetof(struct conf_cache_route, fresh_ms)},
    {"stale", offsetof(struct conf_cache_route, stale_ms)},
    {"error", offsetof(struct conf_cache_route, error_ms)},
    {"down", offsetof(struct conf_cache_route, down_ms)},
    {"negative", offsetof(struct conf_cache_route, negative_ms)},
};

static const struct {
    const char *name;
    enum conf_cache_ignore what;
} ignores[] = {
    {"no-store", CACHE_IGNORE_NO_STORE},     {"private", CACHE_IGNORE_PRIVATE},
    {"no-cache", CACHE_IGNORE_NO_CACHE},     {"must-revalidate", CACHE_IGNORE_MUST_REVALIDATE},
    {"set-cookie", CACHE_IGNORE_SET_COOKIE}, {"authorization", CACHE_IGNORE_AUTHORIZATION},
    {"request", CACHE_IGNORE_REQUEST},
};

static const char *const policies[] = {[CACHE_OFF] = "off",
                                       [CACHE_STALE_WHILE_REVALIDATE] = "swr",
                                       [CACHE_NETWORK_FIRST] = "network-first",
                                       [CACHE_FIRST] = "cache-first"};

struct place {
    struct conf_cache_route route;
    bool is_scoped;
    int64_t delay_ms;
};

static bool take_route_word(struct place *p, const char *word, const char *rest)
{
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(word, policies[i]) == 0) {
            p->route.policy = (enum conf_cache_policy)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const size_t len = strlen(times[i].name);
        if (strncmp(word, times[i].name, len) == 0 && word[len] == '=') {
            *(int64_t *)(void *)((char *)&p->route + times[i].at) = atoll(word + len + 1) * 1000;
            return true;
        }
    }
    for (size_t i = 0; strcmp(word, "ignore") == 0 && i < sizeof ignores / sizeof ignores[0]; i++) {
        if (strcmp(rest, ignores[i].name) == 0)
            p->route.ignore |= 1u << ignores[i].what;
    }
    p->route.heuristic = p->route.heuristic || strcmp(word, "heuristic") == 0;
    p->is_scoped = p->is_scoped || strcmp(word, "scoped") == 0;
    if (strncmp(word, "delay=", 6) == 0)
        p->delay_ms = atoll(word + 6) * 1000;
    return strcmp(word, "ignore") == 0 || strcmp(word, "heuristic") == 0 || strcmp(word, "scoped") == 0 ||
           strncmp(word, "delay=", 6) == 0;
}

static struct place place_of(const char *text)
{
    struct place p = {.route = {.fresh_ms = -1, .stale_ms = -1, .error_ms = -1, .down_ms = -1, .negative_ms = -1}};
    char words[TEXT_BYTES], *save = NULL;
    snprintf(words, sizeof words, "%s", text);
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        char *colon = strchr(w, ':');
        if (colon != NULL)
            *colon = '\0';
        if (!take_route_word(&p, w, colon != NULL ? colon + 1 : ""))
            fail_msg("unknown word \"%s\" in \"%s\"", w, text);
    }
    return p;
}

/* Fields into `h`, whose text is kept in `room`. */
static void fields_of(struct http_head *h, char room[TEXT_BYTES], const char *text)
{
    size_t len = 0;
    for (const char *c = text; *c != '\0' && len + DATE_BYTES < TEXT_BYTES; c++) {
        char *end = NULL;
        const int64_t s = *c == '@' ? strtoll(c + 1, &end, 10) : 0;
        if (*c != '@' || end == c + 1) {
            room[len++] = *c;
            continue;
        }
        len += strlen(date_text(WALL_MS + s * 1000, room + len));
        c = end - 1;
    }
    room[len] = '\0';
    for (char *line = room, *next = room; next != NULL && *line != '\0'; line = next != NULL ? next + 1 : line) {
        next = strchr(line, '\n');
        const size_t line_len = next != NULL ? (size_t)(next - line) : strlen(line);
        const char *colon = memchr(line, ':', line_len);
        assert_non_null(colon);
        const size_t name_len = (size_t)(colon - line), skip = name_len + (colon[1] == ' ' ? 2 : 1);
        assert_true(
            http_head_add(h, (struct http_view){line, name_len}, (struct http_view){line + skip, line_len - skip}));
    }
}

/* "STATUS fields". */
static void answer_of(struct http_head *h, char room[TEXT_BYTES], const char *text)
{
    http_head_clear(h);
    h->status = (uint16_t)atoi(text);
    fields_of(h, room, strlen(text) > 4 ? text + 4 : "");
}

struct row {
    const char *route;
    const char *request;
    const char *answer;
    const char *when; /* NULL: only whether it is stored */
    const char *expected;
};

static const char *judged(const struct row *row, const struct place *p, const struct cache_storing *s,
                          const struct http_head *request, const struct http_head *answer)
{
    static const char *const texts[] = {
        [CACHE_USE_NOT] = "gone",        [CACHE_USE_FRESH] = "fresh",       [CACHE_USE_REFRESH] = "refresh",
        [CACHE_USE_IF_DOWN] = "if-down", [CACHE_USE_IF_ERROR] = "if-error", [CACHE_USE_VALIDATE] = "validate",
    };
    struct cache_control wish, control;
    cache_control_of_request(request, &wish);
    cache_control_of_answer(answer->fields, answer->field_count, &control);
    const bool is_heeded = (p->route.ignore & 1u << CACHE_IGNORE_REQUEST) == 0;
    const struct cache_moment m = {.policy = p->route.policy,
                                   .is_purged = strstr(row->when, "purged") != NULL,
                                   .is_immutable = control.is_immutable,
                                   .is_origin_down = strstr(row->when, "down") != NULL,
                                   .has_failed = strstr(row->when, "failed") != NULL,
                                   .request = is_heeded ? &wish : NULL};
    return texts[cache_judge(&s->life, s->age_ms + (int64_t)(atof(row->when) * 1000), &m)];
}

static void check(const struct row *row)
{
    const struct place p = place_of(row->route);
    struct http_head request, answer;
    struct cache_storing s;
    char rooms[2][TEXT_BYTES], text[TEXT_BYTES];

    http_head_clear(&request);
    fields_of(&request, rooms[0], row->request);
    answer_of(&answer, rooms[1], row->answer);
    cache_may_store(&p.route, &request, &answer, p.is_scoped, WALL_MS, p.delay_ms, &s);
    assert_true(s.may_store == (s.why == NULL));
    if (!s.may_store)
        snprintf(text, sizeof text, "not: %s", s.why);
    else
        snprintf(text, sizeof text, "%s", row->when != NULL ? judged(row, &p, &s, &request, &answer) : "stored");
    if (strcmp(text, row->expected) != 0)
        fail_msg("\n  route    %s\n  request  %s\n  answer   %s\n  when     %s\n  gives    %s\n  expected %s",
                 row->route, row->request, row->answer, row->when != NULL ? row->when : "", text, row->expected);
}

static void check_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&rows[i]);
}

#endif
