/* Parsing is strict where a mistake of the sender must show (a tests' gateway is the sender) and knows no more than
 * the program needs: no obsolete folding, no bare line feeds, no space before a colon. */
#include "tests/region/head.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

size_t head_length(const char *bytes, size_t len)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);

    return end == NULL ? 0 : (size_t)(end - bytes) + 4;
}

/* Cuts the line at `*at` off by a NUL and moves on; NULL at the empty line that ends the head. */
static char *next_line(char **at)
{
    char *line = *at;
    char *end = strstr(line, "\r\n");

    if (end == NULL || end == line)
        return NULL;
    *end = '\0';
    *at = end + 2;
    return line;
}

static enum err parse_request_line(struct head *h, char *line)
{
    char *target = strchr(line, ' ');
    char *version = target == NULL ? NULL : strchr(target + 1, ' ');

    if (version == NULL || (strcmp(version + 1, "HTTP/1.1") != 0 && strcmp(version + 1, "HTTP/1.0") != 0))
        return ERR_INVALID;
    *target = '\0';
    *version = '\0';
    if (target[1] != '/')
        return ERR_INVALID;
    h->method = line;
    h->target = target + 1;
    return ERR_NONE;
}

static enum err parse_field(struct head *h, char *line)
{
    char *colon = strchr(line, ':');
    char *end;

    if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
        return ERR_INVALID;
    if (h->field_count == HEAD_FIELDS_MAX)
        return ERR_LIMIT;
    *colon = '\0';
    colon++;
    colon += strspn(colon, " \t");
    end = colon + strlen(colon);
    while (end > colon && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    h->field[h->field_count++] = (struct head_field){.name = line, .value = colon};
    return ERR_NONE;
}

/* The path is a second copy behind the text, so that the target stays whole. */
static void split_target(struct head *h, char *room)
{
    char *mark;

    strcpy(room, h->target);
    h->path = room;
    mark = strchr(room, '?');
    h->query = "";
    if (mark != NULL) {
        *mark = '\0';
        h->query = mark + 1;
    }
}

enum err head_parse(struct head *h, const char *bytes, size_t len)
{
    enum err e = ERR_INVALID;
    char *at, *line;

    memset(h, 0, sizeof(*h));
    if (len > HEAD_BYTES_MAX)
        return ERR_LIMIT;
    if (memchr(bytes, '\0', len) != NULL)
        return ERR_INVALID;
    h->text = mem_alloc(2 * len + 2);
    memcpy(h->text, bytes, len);
    at = h->text;
    line = next_line(&at);
    if (line != NULL)
        e = parse_request_line(h, line);
    while (e == ERR_NONE && (line = next_line(&at)) != NULL)
        e = parse_field(h, line);
    if (e != ERR_NONE) {
        head_fini(h);
        return e;
    }
    split_target(h, h->text + len + 1);
    return ERR_NONE;
}

void head_fini(struct head *h)
{
    mem_free(h->text);
    memset(h, 0, sizeof(*h));
}

const char *head_field(const struct head *h, const char *name)
{
    for (size_t i = 0; i < h->field_count; i++)
        if (strcasecmp(h->field[i].name, name) == 0)
            return h->field[i].value;
    return NULL;
}

bool head_asks_websocket(const struct head *h)
{
    const char *upgrade = head_field(h, "upgrade");

    return upgrade != NULL && strcasecmp(upgrade, "websocket") == 0;
}

size_t head_body_bytes(const struct head *h)
{
    const char *text = head_field(h, "content-length");

    return text == NULL ? 0 : (size_t)strtoull(text, NULL, 10);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded, cut to the room there is. */
static void decode(const char *in, size_t len, char *out, size_t cap)
{
    size_t put = 0;

    for (size_t i = 0; i < len && put + 1 < cap; i++) {
        if (in[i] == '%' && i + 2 < len && hex_digit(in[i + 1]) >= 0 && hex_digit(in[i + 2]) >= 0) {
            out[put++] = (char)(hex_digit(in[i + 1]) * 16 + hex_digit(in[i + 2]));
            i += 2;
        } else {
            out[put++] = in[i] == '+' ? ' ' : in[i];
        }
    }
    if (cap > 0)
        out[put] = '\0';
}

bool head_query_next(const struct head *h, size_t *cursor, char *name, size_t name_cap, char *value, size_t value_cap)
{
    const char *at = h->query + *cursor;
    size_t pair_len, name_len;

    at += strspn(at, "&");
    if (*at == '\0')
        return false;
    pair_len = strcspn(at, "&");
    name_len = strcspn(at, "=&");
    decode(at, name_len, name, name_cap);
    if (name_len < pair_len)
        decode(at + name_len + 1, pair_len - name_len - 1, value, value_cap);
    else
        value[0] = '\0';
    *cursor = (size_t)(at - h->query) + pair_len;
    return true;
}

bool head_query(const struct head *h, const char *name, char *value, size_t value_cap)
{
    char found[128];
    size_t cursor = 0;

    while (head_query_next(h, &cursor, found, sizeof(found), value, value_cap))
        if (strcmp(found, name) == 0)
            return true;
    value[0] = '\0';
    return false;
}

static json_t *text_json(const char *s)
{
    json_t *j = json_string(s);

    return j != NULL ? j : json_string("(not UTF-8)");
}

json_t *head_json(const struct head *h)
{
    json_t *headers = json_object();
    json_t *lines = json_array();

    for (size_t i = 0; i < h->field_count; i++) {
        const struct head_field *f = &h->field[i];
        char *key = mem_strdup(f->name);
        json_t *old;
        char *text;

        for (char *c = key; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        old = json_object_get(headers, key);
        text = old == NULL ? mem_strdup(f->value) : mem_printf("%s, %s", json_string_value(old), f->value);
        json_object_set_new(headers, key, text_json(text));
        mem_free(text);
        mem_free(key);
        text = mem_printf("%s: %s", f->name, f->value);
        json_array_append_new(lines, text_json(text));
        mem_free(text);
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "method", text_json(h->method), "target", text_json(h->target),
                     "path", text_json(h->path), "headers", headers, "lines", lines);
}
