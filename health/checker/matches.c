/* Statuses, fields, and a text in a body that comes in pieces; see the header. Of the body only the last bytes are
 * kept, one fewer than the text has: it may begin in one piece and end in another. */
#include "health/checker/matches.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"

#define MATCHES_MAGIC 0x3a7c8e51u

struct matches {
    uint32_t magic;
    struct conf_statuses statuses;
    size_t field_count;
    struct {
        char *name, *text;
    } field[CONF_EXPECT_HEADERS_MAX];
    char *body;
    size_t body_len;
    size_t seen_bytes;
    char *window; /* the end of what was seen, and room for as much again */
    size_t window_len;
};

static char *lowered(const char *text)
{
    char *copy = mem_strdup(text);

    for (char *c = copy; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

struct matches *matches_create(const struct conf_check *c)
{
    struct matches *m;

    OBJ_NEW(m, MATCHES_MAGIC);
    m->statuses = c->expect_statuses;
    m->field_count = c->expect_header_count;
    ASSERT(m->field_count <= CONF_EXPECT_HEADERS_MAX);
    for (size_t i = 0; i < m->field_count; i++) {
        m->field[i].name = lowered(c->expect_headers[i].name);
        m->field[i].text = mem_strdup(c->expect_headers[i].value);
    }
    m->body = mem_strdup(c->expect_body != NULL ? c->expect_body : "");
    m->body_len = strlen(m->body);
    m->window = mem_alloc(2 * m->body_len + 1);
    return m;
}

void matches_destroy(struct matches **mp)
{
    struct matches *m = *mp;

    CHECK_OBJ(m, MATCHES_MAGIC);
    for (size_t i = 0; i < m->field_count; i++) {
        mem_free(m->field[i].name);
        mem_free(m->field[i].text);
    }
    mem_free(m->body);
    mem_free(m->window);
    OBJ_FREE(mp, MATCHES_MAGIC);
}

bool matches_status(const struct matches *m, unsigned status)
{
    CHECK_OBJ(m, MATCHES_MAGIC);
    return conf_statuses_have(&m->statuses, status);
}

size_t matches_field_count(const struct matches *m)
{
    CHECK_OBJ(m, MATCHES_MAGIC);
    return m->field_count;
}

const char *matches_field_name(const struct matches *m, size_t i)
{
    CHECK_OBJ(m, MATCHES_MAGIC);
    return m->field[i].name;
}

bool matches_field(const struct matches *m, size_t i, const char *value)
{
    CHECK_OBJ(m, MATCHES_MAGIC);
    const char *text = m->field[i].text;

    return value != NULL && (strcmp(text, "*") == 0 || strstr(value, text) != NULL);
}

bool matches_wants_body(const struct matches *m)
{
    CHECK_OBJ(m, MATCHES_MAGIC);
    return m->body_len > 0;
}

/* Keeps the end of the window, in case the text begins in it. */
static void slide(struct matches *m)
{
    size_t keep = m->body_len - 1;

    if (m->window_len <= keep)
        return;
    memmove(m->window, m->window + m->window_len - keep, keep);
    m->window_len = keep;
}

enum match matches_body(struct matches *m, const char *piece, size_t len)
{
    CHECK_OBJ(m, MATCHES_MAGIC);
    size_t rest = MATCHES_BODY_BYTES - m->seen_bytes;
    bool is_last = len >= rest;

    len = is_last ? rest : len;
    m->seen_bytes += len;
    while (len > 0) {
        size_t part = len < m->body_len ? len : m->body_len;

        memcpy(m->window + m->window_len, piece, part);
        m->window_len += part;
        piece += part;
        len -= part;
        if (memmem(m->window, m->window_len, m->body, m->body_len) != NULL)
            return MATCH_GOOD;
        slide(m);
    }
    return is_last ? MATCH_BAD : MATCH_OPEN;
}
