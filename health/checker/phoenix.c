/* Reading one array of JSON, only as deep as needed: its five members as spans of text, and in the last one the value
 * of "status". See the header. */
#include "health/checker/phoenix.h"

#include <string.h>

#define MEMBERS 5

struct span {
    const char *at, *end;
};

static bool is(struct span s, const char *text)
{
    return (size_t)(s.end - s.at) == strlen(text) && memcmp(s.at, text, strlen(text)) == 0;
}

static void skip_blanks(struct span *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n'))
        s->at++;
}

/* Behind the string that begins at s->at. */
static bool skip_string(struct span *s)
{
    for (s->at++; s->at < s->end; s->at++) {
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
        else if (*s->at == '"')
            return s->at++, true;
    }
    return false;
}

/* Behind one value, whatever it is; brackets are counted, not matched. */
static bool skip_value(struct span *s, struct span *value)
{
    int depth = 0;

    skip_blanks(s);
    value->at = s->at;
    while (s->at < s->end) {
        char c = *s->at;
        if (depth == 0 && (c == ',' || c == ']' || c == '}' || c == ':'))
            break;
        if (c == '"' && !skip_string(s))
            return false;
        if (c == '"')
            continue;
        depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
        s->at++;
    }
    value->end = s->at;
    while (value->end > value->at && (value->end[-1] == ' ' || value->end[-1] == '\n' || value->end[-1] == '\t'))
        value->end--;
    return value->end > value->at && s->at < s->end;
}

static bool split(struct span text, struct span members[MEMBERS])
{
    skip_blanks(&text);
    if (text.at == text.end || *text.at != '[')
        return false;
    for (int i = 0; i < MEMBERS; i++) {
        text.at++;
        if (!skip_value(&text, &members[i]) || *text.at != (i == MEMBERS - 1 ? ']' : ','))
            return false;
    }
    return true;
}

/* The value of `name` in an object; an empty span when it has none. */
static struct span member_of(struct span object, const char *name)
{
    struct span key, value;

    while (object.at < object.end && (*object.at == '{' || *object.at == ',')) {
        object.at++;
        if (!skip_value(&object, &key) || *object.at != ':')
            break;
        object.at++;
        if (!skip_value(&object, &value))
            break;
        if (is(key, name))
            return value;
    }
    return (struct span){object.end, object.end};
}

static enum phoenix_reply judge(const struct span members[MEMBERS])
{
    if (!is(members[3], "\"phx_reply\""))
        return PHOENIX_OTHER;
    return is(member_of(members[4], "\"status\""), "\"ok\"") ? PHOENIX_REPLY_OK : PHOENIX_REPLY_ERROR;
}

enum phoenix_reply phoenix_reply_to(const char *text, size_t len, const char *ref)
{
    struct span members[MEMBERS];

    if (!split((struct span){text, text + len}, members) || !is(members[1], ref))
        return PHOENIX_OTHER;
    return judge(members);
}

bool phoenix_collect(struct phoenix_reader *r, const char *piece, size_t len, bool is_last, const char **text,
                     size_t *text_len)
{
    r->is_too_long = r->is_too_long || len > sizeof r->text - r->len;
    if (!r->is_too_long) {
        memcpy(r->text + r->len, piece, len);
        r->len += len;
    }
    if (!is_last)
        return false;
    bool is_whole = !r->is_too_long;
    *text = r->text;
    *text_len = r->len;
    r->len = 0;
    r->is_too_long = false;
    return is_whole;
}

enum phoenix_reply phoenix_read(struct phoenix_reader *r, const char *piece, size_t len, bool is_last)
{
    struct span members[MEMBERS];
    const char *text;
    size_t text_len;

    if (!phoenix_collect(r, piece, len, is_last, &text, &text_len) ||
        !split((struct span){text, text + text_len}, members) || !is(members[1], "\"1\"") ||
        !is(members[2], "\"phoenix\""))
        return PHOENIX_OTHER;
    return judge(members);
}
