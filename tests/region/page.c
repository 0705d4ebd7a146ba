#include "tests/region/page.h"

#include <string.h>

#include "base/mem.h"
#include "tests/region/client.h"
#include "tests/region/posts.h"
#include "tests/region/region.h"
#include "tests/region/rest.h"
#include "tests/region/trouble.h"

static void page_root(struct client *c, const char *rest)
{
    char *text = mem_printf("region %s\n", c->region->name);

    (void)rest;
    client_answer(c, 200, NULL, text, strlen(text));
    mem_free(text);
}

static void page_health(struct client *c, const char *rest)
{
    int64_t status = knobs_number(&c->region->knobs, KNOB_HEALTH);

    (void)rest;
    if (status == 0)
        status = 200;
    client_answer_json(c, (int)status,
                       json_pack("{s:s, s:s}", "status", status < 400 ? "ok" : "down", "region", c->region->name));
}

static void page_echo(struct client *c, const char *rest)
{
    (void)rest;
    client_answer(c, 426, NULL, "a WebSocket lives here\n", 23);
}

/* Sets what the query names, all or nothing; clear=1 turns everything off first. */
static void set_knobs(struct client *c)
{
    struct knobs knobs = c->region->knobs;
    char name[64], value[KNOB_TEXT_BYTES + 1];
    const char *error;
    size_t cursor = 0;
    bool is_once = false;

    while (head_query_next(&c->head, &cursor, name, sizeof(name), value, sizeof(value))) {
        if (strcmp(name, "clear") == 0) {
            memset(&knobs, 0, sizeof(knobs));
        } else if (strcmp(name, "once") == 0) {
            is_once = true;
        } else if (!knobs_set(&knobs, name, value, &error)) {
            client_answer_json(c, 400, json_pack("{s:s, s:s}", "knob", name, "error", error));
            return;
        }
    }
    c->region->knobs = knobs;
    region_knobs_changed(c->region);
    if (is_once) {
        knobs_set(&c->region->knobs, "close", "", &error);
        knobs_set(&c->region->knobs, "frame", "", &error);
    }
}

static void page_knobs(struct client *c, const char *rest)
{
    (void)rest;
    if (strcmp(c->head.method, "POST") == 0)
        set_knobs(c);
    client_answer_json(c, 200, knobs_json(&c->region->knobs));
}

static void page_last_request(struct client *c, const char *rest)
{
    char match[256];

    (void)rest;
    head_query(&c->head, "match", match, sizeof(match));
    client_answer_json(c, 200, region_last_request(c->region, match));
}

static void page_stats(struct client *c, const char *rest)
{
    (void)rest;
    client_answer_json(c, 200, region_stats(c->region));
}

static void page_broadcast(struct client *c, const char *rest)
{
    (void)rest;
    posts_serve(c);
}

static void page_channels(struct client *c, const char *rest)
{
    char name[32], topic[256];
    size_t count;

    (void)rest;
    head_query(&c->head, "do", name, sizeof(name));
    head_query(&c->head, "topic", topic, sizeof(topic));
    if (strcmp(c->head.method, "POST") != 0)
        client_answer_json(c, 200, trouble_channels(c->region));
    else if (trouble_make(c->region, name, topic, &count))
        client_answer_json(c, 200, json_pack("{s:I}", "channels", (json_int_t)count));
    else
        client_answer_json(c, 400, json_pack("{s:s}", "error", "there is no such trouble"));
}

static void page_rest(struct client *c, const char *rest)
{
    if (rest[0] == '\0' || strchr(rest, '/') != NULL)
        client_answer(c, 404, NULL, "no such table\n", 14);
    else
        rest_serve(c, rest);
}

static const struct {
    const char *path;
    bool is_prefix;
    void (*serve)(struct client *, const char *rest); /* `rest`: of the path behind the prefix */
} pages[] = {
    {"/", false, page_root},        {"/health", false, page_health},      {"/echo", false, page_echo},
    {"/rest/v1/", true, page_rest}, {"/_knobs", false, page_knobs},       {"/_last_request", false, page_last_request},
    {"/_stats", false, page_stats}, {"/_channels", false, page_channels}, {"/api/broadcast", false, page_broadcast},
};

void page_serve(struct client *c)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        size_t len = strlen(pages[i].path);

        if (pages[i].is_prefix ? strncmp(c->head.path, pages[i].path, len) == 0
                               : strcmp(c->head.path, pages[i].path) == 0) {
            pages[i].serve(c, c->head.path + len);
            return;
        }
    }
    client_answer(c, 404, NULL, "nothing here\n", 13);
}
