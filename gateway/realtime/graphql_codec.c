/* Of messages, only the members of the outermost object are looked at. Of GraphQL documents (specification of October
 * 2021, section 2), only what stands outside of all brackets: `query`, `mutation`, `subscription`, `fragment`, and the
 * name behind it. */
#include "gateway/realtime/graphql_codec.h"

#include <string.h>

#include "base/mem.h"

#define DOCUMENT_BYTES (256u << 10) /* of a query text that is looked at */

static const struct {
    const char *name;
    bool needs_id, needs_payload;
} types[GRAPHQL_TYPE_COUNT] = {
    [GRAPHQL_OTHER] = {"", false, false},
    [GRAPHQL_CONNECTION_INIT] = {"connection_init", false, true},
    [GRAPHQL_CONNECTION_ACK] = {"connection_ack", false, false},
    [GRAPHQL_PING] = {"ping", false, true},
    [GRAPHQL_PONG] = {"pong", false, false},
    [GRAPHQL_SUBSCRIBE] = {"subscribe", true, true},
    [GRAPHQL_NEXT] = {"next", true, false},
    [GRAPHQL_ERROR] = {"error", true, false},
    [GRAPHQL_COMPLETE] = {"complete", true, false},
};

static enum graphql_type type_of(struct json_text value)
{
    for (unsigned t = GRAPHQL_OTHER + 1; t < GRAPHQL_TYPE_COUNT; t++)
        if (json_text_is(value, types[t].name))
            return (enum graphql_type)t;
    return GRAPHQL_OTHER;
}

static enum graphql_read read_as(enum json_read r)
{
    return r == JSON_MORE ? GRAPHQL_READ_MORE : GRAPHQL_READ_BAD;
}

enum graphql_read graphql_message_read(struct graphql_message *m, const uint8_t *bytes, size_t len, bool is_whole)
{
    struct json_scan scan = json_scan_of((const char *)bytes, len, is_whole);
    struct json_walk walk;
    struct json_string name;
    struct json_text value;
    bool has_type = false;
    enum json_read r = json_enter(&walk, &scan);

    *m = (struct graphql_message){0};
    if (r != JSON_OK)
        return read_as(r);
    if (!walk.is_object)
        return GRAPHQL_READ_BAD;
    while ((r = json_next_member(&walk, &name)) == JSON_OK) {
        if ((r = json_skip(&scan, &value)) != JSON_OK)
            return read_as(r);
        if (json_string_is(name, "type", 4)) {
            m->type = type_of(value);
            has_type = true;
        } else if (json_string_is(name, "id", 2)) {
            m->id = value;
        } else if (json_string_is(name, "payload", 7)) {
            m->payload = value;
        }
        if (has_type && m->type != GRAPHQL_OTHER && !types[m->type].needs_payload &&
            (m->id.data != NULL || !types[m->type].needs_id))
            return GRAPHQL_READ_OK;
    }
    char rest;
    if (r != JSON_END || json_peek(&scan, &rest) == JSON_OK)
        return read_as(r);
    const bool lacks_id = types[m->type].needs_id && (m->id.data == NULL || m->id.data[0] != '"');
    return has_type && !lacks_id ? GRAPHQL_READ_OK : GRAPHQL_READ_BAD;
}

/* ---- GraphQL documents ---- */

enum token_kind { TOKEN_END = 0, TOKEN_NAME, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_OTHER };

struct lexer {
    const char *at, *end;
    const char *text; /* of the token */
    size_t len;
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool starts_with(const struct lexer *x, const char *text, size_t len)
{
    return (size_t)(x->end - x->at) >= len && memcmp(x->at, text, len) == 0;
}

/* White space, commas, the byte order mark, and comments mean nothing (section 2.1). */
static void skip_ignored(struct lexer *x)
{
    while (x->at < x->end) {
        if (*x->at == '#') {
            while (x->at < x->end && *x->at != '\n' && *x->at != '\r')
                x->at++;
        } else if (starts_with(x, "\xef\xbb\xbf", 3)) {
            x->at += 3;
        } else if (*x->at == ' ' || *x->at == '\t' || *x->at == '\n' || *x->at == '\r' || *x->at == ',') {
            x->at++;
        } else {
            return;
        }
    }
}

/* A string, or a block string between three quotes, in which a backslash escapes only three quotes (section 2.9.4). */
static void skip_string(struct lexer *x)
{
    const bool is_block = starts_with(x, "\"\"\"", 3);
    x->at += is_block ? 3 : 1;
    while (x->at < x->end) {
        if (is_block && starts_with(x, "\\\"\"\"", 4)) {
            x->at += 4;
        } else if (is_block && starts_with(x, "\"\"\"", 3)) {
            x->at += 3;
            return;
        } else if (!is_block && *x->at == '\\' && x->end - x->at > 1) {
            x->at += 2;
        } else if (!is_block && *x->at == '"') {
            x->at++;
            return;
        } else {
            x->at++;
        }
    }
}

static enum token_kind next_token(struct lexer *x)
{
    skip_ignored(x);
    x->text = x->at;
    x->len = 1;
    if (x->at == x->end)
        return TOKEN_END;
    const char c = *x->at;
    if (c == '"') {
        skip_string(x);
        return TOKEN_OTHER;
    }
    if (!is_name_char(c)) {
        x->at++;
        return strchr("({[", c) != NULL && c != '\0'   ? TOKEN_OPEN
               : strchr(")}]", c) != NULL && c != '\0' ? TOKEN_CLOSE
                                                       : TOKEN_OTHER;
    }
    while (x->at < x->end && is_name_char(*x->at))
        x->at++;
    x->len = (size_t)(x->at - x->text);
    return TOKEN_NAME;
}

static bool token_is(const struct lexer *x, const char *text)
{
    return x->len == strlen(text) && memcmp(x->text, text, x->len) == 0;
}

/* One definition of a document. */
struct definition {
    enum graphql_kind kind; /* GRAPHQL_UNKNOWN: a fragment */
    const char *name;
    size_t name_len;
    bool goes_on; /* a directive says so */
};

static enum graphql_kind kind_of(const struct lexer *x)
{
    return token_is(x, "query")          ? GRAPHQL_QUERY
           : token_is(x, "mutation")     ? GRAPHQL_MUTATION
           : token_is(x, "subscription") ? GRAPHQL_SUBSCRIPTION
                                         : GRAPHQL_UNKNOWN;
}

/* Reads up to the end of the selection, which is the first brace that stands outside of all brackets. False when the
 * text is over, or not understood: then *is_bad. */
static bool next_definition(struct lexer *x, struct definition *d, bool *is_bad)
{
    enum token_kind t = next_token(x);
    bool is_first = true, was_at = false, is_selection = false;
    size_t depth = 0;

    *d = (struct definition){0};
    if (t == TOKEN_END)
        return false;
    *is_bad = true;
    if (t == TOKEN_NAME) {
        d->kind = kind_of(x);
        if (d->kind == GRAPHQL_UNKNOWN && !token_is(x, "fragment"))
            return false;
        t = next_token(x);
    } else if (t == TOKEN_OPEN && *x->text == '{') {
        d->kind = GRAPHQL_QUERY;
    } else {
        return false;
    }
    for (; t != TOKEN_END; t = next_token(x), is_first = false) {
        if (t == TOKEN_NAME && is_first) {
            d->name = x->text;
            d->name_len = x->len;
        }
        if (t == TOKEN_NAME && was_at)
            d->goes_on |= token_is(x, "live") || token_is(x, "defer") || token_is(x, "stream");
        was_at = t == TOKEN_OTHER && *x->text == '@';
        if (t == TOKEN_OPEN && depth++ == 0)
            is_selection = *x->text == '{';
        if (t == TOKEN_CLOSE && (depth == 0 || --depth == 0) && (depth != 0 || is_selection)) {
            *is_bad = false;
            return true;
        }
    }
    return false;
}

enum graphql_kind graphql_document_kind(const char *document, size_t len, const char *name, size_t name_len)
{
    struct lexer x = {.at = document, .end = document + len};
    struct definition d;
    enum graphql_kind kind = GRAPHQL_UNKNOWN;
    unsigned operation_count = 0;
    bool goes_on = false, is_bad = false;

    while (next_definition(&x, &d, &is_bad)) {
        goes_on |= d.goes_on; /* a fragment's directives are those of who uses it */
        if (d.kind == GRAPHQL_UNKNOWN)
            continue;
        const bool is_named = name_len > 0 && d.name_len == name_len && memcmp(d.name, name, name_len) == 0;
        operation_count += name_len == 0 || is_named ? 1 : 0;
        if (name_len == 0 || is_named)
            kind = d.kind;
    }
    if (is_bad || operation_count != 1)
        return GRAPHQL_UNKNOWN;
    return kind == GRAPHQL_QUERY && goes_on ? GRAPHQL_SUBSCRIPTION : kind;
}

enum graphql_kind graphql_payload_kind(struct json_text payload)
{
    struct json_string query, name = {.data = "", .len = 0};
    const struct json_text operation = json_find(payload, "operationName");

    if (!json_to_string(json_find(payload, "query"), &query) || query.len > DOCUMENT_BYTES)
        return GRAPHQL_UNKNOWN;
    if (operation.data != NULL && operation.data[0] == '"')
        (void)json_to_string(operation, &name);
    if (!query.has_escapes && !name.has_escapes)
        return graphql_document_kind(query.data, query.len, name.data, name.len);
    /* What is decoded is never longer than what is written. */
    char *text = mem_alloc_begun(query.len + name.len + 1, 0);
    const size_t query_bytes = json_decode(query, text, query.len);
    const size_t name_bytes = json_decode(name, text + query.len, name.len);
    enum graphql_kind kind = GRAPHQL_UNKNOWN;
    if (query_bytes <= query.len && name_bytes <= name.len)
        kind = graphql_document_kind(text, query_bytes, text + query.len, name_bytes);
    mem_free(text);
    return kind;
}

/* ---- writing ---- */

void graphql_write_error(struct strbuf *out, struct json_text id, const char *message)
{
    strbuf_puts(out, "{\"id\":");
    strbuf_add(out, id.data, id.len);
    strbuf_puts(out, ",\"type\":\"error\",\"payload\":[{\"message\":");
    strbuf_json_string(out, message, strlen(message));
    strbuf_puts(out, "}]}");
}

void graphql_write_complete(struct strbuf *out, struct json_text id)
{
    strbuf_puts(out, "{\"id\":");
    strbuf_add(out, id.data, id.len);
    strbuf_puts(out, ",\"type\":\"complete\"}");
}

void graphql_write_beat(struct strbuf *out, enum graphql_type type, struct json_text payload)
{
    strbuf_printf(out, "{\"type\":\"%s\"", types[type].name);
    if (payload.data != NULL) {
        strbuf_puts(out, ",\"payload\":");
        strbuf_add(out, payload.data, payload.len);
    }
    strbuf_puts(out, "}");
}
