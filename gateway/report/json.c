/* JSON writer. The one thing it keeps is whether the next value needs a comma before it: after a value or an end it
 * does, after a begin it does not. */
#include "gateway/report/json.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define RFC3339_BYTES 40u /* years up to nine digits fit as well */

static void before_value(struct json *j, const char *key)
{
    if (j->needs_comma)
        strbuf_puts(j->out, ",");
    j->needs_comma = true;
    if (key == NULL)
        return;
    strbuf_json_string(j->out, key, strlen(key));
    strbuf_puts(j->out, ":");
}

static void begin(struct json *j, const char *key, const char *bracket)
{
    before_value(j, key);
    strbuf_puts(j->out, bracket);
    j->needs_comma = false;
}

static void end(struct json *j, const char *bracket)
{
    strbuf_puts(j->out, bracket);
    j->needs_comma = true;
}

void json_init(struct json *j, struct strbuf *out)
{
    *j = (struct json){.out = out};
}

void json_object_begin(struct json *j, const char *key)
{
    begin(j, key, "{");
}

void json_object_end(struct json *j)
{
    end(j, "}");
}

void json_array_begin(struct json *j, const char *key)
{
    begin(j, key, "[");
}

void json_array_end(struct json *j)
{
    end(j, "]");
}

void json_str(struct json *j, const char *key, const char *value)
{
    before_value(j, key);
    if (value == NULL)
        strbuf_puts(j->out, "null");
    else
        strbuf_json_string(j->out, value, strlen(value));
}

void json_int(struct json *j, const char *key, int64_t value)
{
    before_value(j, key);
    strbuf_printf(j->out, "%" PRId64, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
    before_value(j, key);
    strbuf_printf(j->out, "%" PRIu64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    before_value(j, key);
    strbuf_puts(j->out, value ? "true" : "false");
}

void json_time(struct json *j, const char *key, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char day[RFC3339_BYTES];

    before_value(j, key);
    if (wall_ms <= 0 || gmtime_r(&seconds, &tm) == NULL || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        strbuf_puts(j->out, "null");
    else
        strbuf_printf(j->out, "\"%s.%03dZ\"", day, (int)(wall_ms % 1000));
}

void json_raw(struct json *j, const char *key, const char *text, size_t len)
{
    if (len == 0)
        return;
    before_value(j, key);
    strbuf_add(j->out, text, len);
}
