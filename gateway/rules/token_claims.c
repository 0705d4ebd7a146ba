/* Claims as jansson holds them. Text that is not there as such (numbers, lists) is made when it is first asked for and
 * kept, because header fields look at it for as long as the request lives. */
#include "gateway/rules/token_claims.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define CLAIMS_MAGIC      0x70c1a135u
#define PATH_PART_BYTES   256u
#define TEXT_MAX_BYTES    4096u
#define SECONDS_MAX       253402300799.0 /* the end of the year 9999 */
#define EXPIRY_UNKNOWN_MS 0

struct made_text { /* made for one path */
    struct made_text *next;
    char *path;
    char *text; /* NULL: there is none */
};

struct token_claims {
    uint32_t magic;
    uint32_t refs;
    json_t *json;
    int64_t expires_ms, not_before_ms, issued_ms;
    struct made_text *made;
};

/* False when it is there and no time. An end at the very beginning (0) is none: the token would never end. */
static bool read_time(const json_t *json, const char *name, bool is_end, int64_t *ms)
{
    const json_t *value = json_object_get(json, name);
    *ms = EXPIRY_UNKNOWN_MS;
    if (value == NULL)
        return true;
    const double seconds = json_number_value(value); /* a NumericDate may have a fraction */
    if (!json_is_number(value) || !(seconds >= 0.0) || seconds > SECONDS_MAX)
        return false;
    *ms = (int64_t)(seconds * 1000.0);
    return *ms > 0 || !is_end;
}

struct token_claims *token_claims_parse(const void *text, size_t len)
{
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    int64_t expires_ms = 0, not_before_ms = 0, issued_ms = 0;
    if (!json_is_object(json) || !read_time(json, "exp", true, &expires_ms) ||
        !read_time(json, "nbf", false, &not_before_ms) || !read_time(json, "iat", false, &issued_ms)) {
        json_decref(json);
        return NULL;
    }
    struct token_claims *c;
    OBJ_NEW(c, CLAIMS_MAGIC);
    c->refs = 1;
    c->json = json;
    c->expires_ms = expires_ms;
    c->not_before_ms = not_before_ms;
    c->issued_ms = issued_ms;
    return c;
}

struct token_claims *token_claims_ref(struct token_claims *c)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    c->refs++;
    return c;
}

void token_claims_unref(struct token_claims **cp)
{
    struct token_claims *c = *cp;
    CHECK_OBJ(c, CLAIMS_MAGIC);
    *cp = NULL;
    if (--c->refs > 0)
        return;
    for (struct made_text *m = c->made, *next; m != NULL; m = next) {
        next = m->next;
        mem_free(m->path);
        mem_free(m->text);
        mem_free(m);
    }
    json_decref(c->json);
    OBJ_FREE(&c, CLAIMS_MAGIC);
}

int64_t token_claims_expires_ms(const struct token_claims *c)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    return c->expires_ms;
}

int64_t token_claims_not_before_ms(const struct token_claims *c)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    return c->not_before_ms;
}

int64_t token_claims_issued_ms(const struct token_claims *c)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    return c->issued_ms;
}

static struct http_view string_view(const json_t *value)
{
    if (!json_is_string(value))
        return (struct http_view){0};
    return (struct http_view){json_string_value(value), json_string_length(value)};
}

struct http_view token_claims_subject(const struct token_claims *c)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    return string_view(json_object_get(c->json, "sub"));
}

struct http_view token_claims_id(const struct token_claims *c)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    return string_view(json_object_get(c->json, "jti"));
}

bool token_claims_integer(const struct token_claims *c, const char *name, int64_t *value)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    const json_t *number = json_object_get(c->json, name);
    *value = json_integer_value(number);
    return json_is_integer(number);
}

/* At each object the whole rest of the path is tried as a name first: "https://example.com/role" is a claim of its own.
 */
static const json_t *find(const json_t *at, const char *path)
{
    while (json_is_object(at)) {
        const json_t *whole = json_object_get(at, path);
        const char *dot = strchr(path, '.');
        char part[PATH_PART_BYTES];
        if (whole != NULL)
            return whole;
        if (dot == NULL || (size_t)(dot - path) >= sizeof part)
            return NULL;
        memcpy(part, path, (size_t)(dot - path));
        part[dot - path] = '\0';
        at = json_object_get(at, part);
        path = dot + 1;
    }
    return NULL;
}

/* A single value. False for what is none. */
static bool put_scalar(struct strbuf *b, const json_t *value)
{
    char *number;
    switch (json_typeof(value)) {
    case JSON_STRING:
        strbuf_add(b, json_string_value(value), json_string_length(value));
        return true;
    case JSON_INTEGER:
    case JSON_REAL:
        number = json_dumps(value, JSON_ENCODE_ANY);
        ASSERT(number != NULL);
        strbuf_puts(b, number);
        free(number); /* jansson's */
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        strbuf_puts(b, json_is_true(value) ? "true" : "false");
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL:
        return false;
    }
    return false;
}

/* NULL when there is no text that means just this: objects, lists of lists, an element with a comma in it. */
static char *make_text(const json_t *value)
{
    struct strbuf b;
    strbuf_init(&b, TEXT_MAX_BYTES);
    strbuf_puts(&b, "");
    bool is_text = true;
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && is_text; i++) {
            const json_t *element = json_array_get(value, i);
            is_text = !json_is_string(element) || strchr(json_string_value(element), ',') == NULL;
            strbuf_puts(&b, i > 0 ? "," : "");
            is_text = is_text && put_scalar(&b, element);
        }
    } else {
        is_text = value != NULL && put_scalar(&b, value);
    }
    char *text = is_text && !b.failed ? mem_strndup(b.len > 0 ? b.data : "", b.len) : NULL;
    strbuf_fini(&b);
    return text;
}

struct http_view token_claims_text(struct token_claims *c, const char *path)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    const json_t *value = find(c->json, path);
    if (value == NULL || json_is_string(value))
        return string_view(value);
    for (const struct made_text *m = c->made; m != NULL; m = m->next)
        if (strcmp(m->path, path) == 0)
            return http_view_of(m->text);
    struct made_text *m = mem_alloc(sizeof *m); /* paths come from the configuration: there are few */
    m->path = mem_strdup(path);
    m->text = make_text(value);
    m->next = c->made;
    c->made = m;
    return http_view_of(m->text);
}

static bool equals(const json_t *value, const char *text)
{
    struct strbuf b;
    strbuf_init(&b, TEXT_MAX_BYTES);
    const bool is_scalar = put_scalar(&b, value);
    const bool is_equal =
        is_scalar && !b.failed && strlen(text) == b.len && (b.len == 0 || memcmp(b.data, text, b.len) == 0);
    strbuf_fini(&b);
    return is_equal;
}

bool token_claims_has(const struct token_claims *c, const char *path, const char *text)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    const json_t *value = find(c->json, path);
    if (value == NULL)
        return false;
    if (!json_is_array(value))
        return equals(value, text);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (equals(json_array_get(value, i), text))
            return true;
    return false;
}

bool token_claims_has_any(const struct token_claims *c, const char *path)
{
    CHECK_OBJ(c, CLAIMS_MAGIC);
    const json_t *value = find(c->json, path);
    return value != NULL && !json_is_null(value);
}
