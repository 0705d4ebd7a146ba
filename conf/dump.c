/* A configuration back to YAML, by the schema table. Both outputs read back into the same configuration: the dump as a
 * file a user could have written, the seal without looking at anything outside. Text is always quoted, with every
 * character that YAML or a terminal might take otherwise written as an escape. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/kind.h"
#include "conf/node.h"
#include "conf/schema.h"
#include "conf/value.h"

#define DUMP_MAX_BYTES SEALED_MAX_BYTES
#define INDENT_STEP    2
#define MASK           "***"
#define URL_MAX_BYTES  4096u

struct dump {
    struct strbuf out;
    const struct conf *conf;
    bool is_sealed;
    int indent;
    bool is_item_start; /* the next line begins an item of a list */
};

static void dump_section(struct dump *d, enum schema_section section, const void *base);

static void begin_line(struct dump *d)
{
    int indent = d->is_item_start ? d->indent - INDENT_STEP : d->indent;
    strbuf_printf(&d->out, "%*s%s", indent, "", d->is_item_start ? "- " : "");
    d->is_item_start = false;
}

/* A double-quoted scalar (YAML 1.1 section 5.7). A file that is not sealed has ${ expanded, so there it is escaped. */
static void put_quoted(struct dump *d, const char *text)
{
    strbuf_puts(&d->out, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            strbuf_printf(&d->out, "\\%c", *s);
        else if (*s == '\n')
            strbuf_puts(&d->out, "\\n");
        else if (*s == '\t')
            strbuf_puts(&d->out, "\\t");
        else if (*s < 0x20 || *s == 0x7f)
            strbuf_printf(&d->out, "\\x%02x", *s);
        else if (*s == 0xc2 && s[1] < 0xa0) /* U+0080 to U+009F */
            strbuf_printf(&d->out, "\\x%02x", *++s);
        else if (*s == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) { /* line and paragraph separator */
            strbuf_printf(&d->out, "\\u20%02x", s[2] - 0x80u);
            s += 2;
        } else if (!d->is_sealed && *s == '$' && s[1] == '{')
            strbuf_puts(&d->out, "$$");
        else
            strbuf_add(&d->out, s, 1);
    }
    strbuf_puts(&d->out, "\"");
}

static void put_file(struct dump *d, const struct schema_row *row, const struct conf_file *f)
{
    if (f->text == NULL) {
        strbuf_puts(&d->out, "\"\"");
    } else if (d->is_sealed) {
        strbuf_puts(&d->out, "[");
        put_quoted(d, f->path);
        strbuf_puts(&d->out, ", ");
        put_quoted(d, f->text);
        strbuf_puts(&d->out, "]");
    } else if (f->path[0] != '\0') {
        put_quoted(d, f->path);
    } else {
        put_quoted(d, row->is_secret ? MASK : f->text);
    }
}

static void put_text(struct dump *d, const struct schema_row *row, const char *text)
{
    put_quoted(d, row->is_secret && !d->is_sealed && text[0] != '\0' ? MASK : text);
}

/* It may hold a password. */
static void put_redis_url(struct dump *d, const char *url)
{
    struct strbuf masked;
    strbuf_init(&masked, URL_MAX_BYTES);
    if (!d->is_sealed && url[0] != '\0')
        value_redis_url_masked(&masked, url);
    put_quoted(d, masked.len > 0 ? masked.data : url);
    strbuf_fini(&masked);
}

static uint64_t number_at(const struct schema_row *row, const void *at)
{
    if (row->size_bytes == sizeof(uint64_t))
        return *(const uint64_t *)at;
    return row->size_bytes == sizeof(uint16_t) ? *(const uint16_t *)at : *(const uint32_t *)at;
}

static void put_statuses(struct dump *d, const struct conf_statuses *s)
{
    /* Quoted, since a comma would end it inside a flow section. */
    strbuf_puts(&d->out, s->count > 1 ? "\"" : "");
    for (uint32_t i = 0; i < s->count; i++) {
        strbuf_printf(&d->out, "%s%u", i > 0 ? ", " : "", s->range[i].min);
        if (s->range[i].max != s->range[i].min)
            strbuf_printf(&d->out, "-%u", s->range[i].max);
    }
    strbuf_puts(&d->out, s->count > 1 ? "\"" : "");
}

static void put_scalar(struct dump *d, const struct schema_row *row, const void *at)
{
    switch (row->kind) {
    case KIND_UINT:
        strbuf_printf(&d->out, "%llu", (unsigned long long)number_at(row, at));
        break;
    case KIND_SECONDS:
        value_duration_text(&d->out, (int64_t)number_at(row, at) * (row->size_bytes == sizeof(uint32_t) ? 1000 : 1));
        break;
    case KIND_DURATION:
        value_duration_text(&d->out, *(const int64_t *)at);
        break;
    case KIND_LIFETIME:
        if (*(const int64_t *)at < 0)
            strbuf_puts(&d->out, VALUE_ORIGIN);
        else
            value_duration_text(&d->out, *(const int64_t *)at);
        break;
    case KIND_SIZE:
        value_size_text(&d->out, number_at(row, at));
        break;
    case KIND_PERCENT:
        strbuf_printf(&d->out, "%u%%", *(const uint32_t *)at);
        break;
    case KIND_BOOL:
        strbuf_puts(&d->out, *(const bool *)at ? "true" : "false");
        break;
    case KIND_WORD:
        strbuf_puts(&d->out, schema_word_text(row->words, *(const uint32_t *)at));
        break;
    case KIND_STATUS:
        put_statuses(d, at);
        break;
    case KIND_URL:
    case KIND_ASKED_URL:
        put_quoted(d, ((const struct conf_url *)at)->text);
        break;
    case KIND_REDIS_URL:
        put_redis_url(d, *(const char *const *)at);
        break;
    case KIND_FILE:
    case KIND_TEXT_FILE:
    case KIND_OCSP:
        put_file(d, row, at);
        break;
    case KIND_POOL:
        put_quoted(d, d->conf->pools[*(const size_t *)at].name);
        break;
    default:
        put_text(d, row, *(const char *const *)at);
        break;
    }
    strbuf_puts(&d->out, "\n");
}

static void dump_cidrs(struct dump *d, const struct schema_array *array)
{
    const struct cidr *items = array->items;
    strbuf_puts(&d->out, "[");
    for (size_t i = 0; i < array->count; i++) {
        strbuf_puts(&d->out, i > 0 ? ", \"" : "\"");
        value_cidr_text(&d->out, &items[i]);
        strbuf_puts(&d->out, "\"");
    }
    strbuf_puts(&d->out, "]\n");
}

static void dump_addresses(struct dump *d, const struct schema_array *array)
{
    const struct conf_address *items = array->items;
    strbuf_puts(&d->out, "[");
    for (size_t i = 0; i < array->count; i++) {
        strbuf_puts(&d->out, i > 0 ? ", " : "");
        put_quoted(d, items[i].text);
    }
    strbuf_puts(&d->out, "]\n");
}

static void dump_texts(struct dump *d, const struct schema_array *array)
{
    const char *const *items = array->items;
    strbuf_puts(&d->out, "[");
    for (size_t i = 0; i < array->count; i++) {
        strbuf_puts(&d->out, i > 0 ? ", " : "");
        put_quoted(d, items[i]);
    }
    strbuf_puts(&d->out, "]\n");
}

static void dump_words(struct dump *d, const struct schema_row *row, uint32_t bits)
{
    const char *before = "";
    strbuf_puts(&d->out, "[");
    for (const struct schema_word *w = row->words; w->text != NULL; w++)
        if ((bits & (1u << w->value)) != 0) {
            strbuf_printf(&d->out, "%s%s", before, w->text);
            before = ", ";
        }
    strbuf_puts(&d->out, "]\n");
}

static void dump_pairs(struct dump *d, const struct schema_array *array)
{
    const struct conf_pair *p = array->items;
    strbuf_puts(&d->out, "{");
    for (size_t i = 0; i < array->count; i++) {
        bool is_first = i == 0 || strcmp(p[i - 1].name, p[i].name) != 0;
        bool is_last = i + 1 == array->count || strcmp(p[i + 1].name, p[i].name) != 0;
        strbuf_puts(&d->out, i > 0 ? ", " : "");
        if (is_first) {
            put_quoted(d, p[i].name);
            strbuf_puts(&d->out, ": [");
        }
        put_quoted(d, p[i].value);
        strbuf_puts(&d->out, is_last ? "]" : "");
    }
    strbuf_puts(&d->out, "}\n");
}

static void dump_list(struct dump *d, const struct schema_row *row, const void *at)
{
    if (kind_is_texts(row->kind)) {
        dump_texts(d, at);
        return;
    }
    switch (row->kind) {
    case KIND_CIDRS:
        dump_cidrs(d, at);
        break;
    case KIND_ADDRESSES:
        dump_addresses(d, at);
        break;
    case KIND_WORDS:
        dump_words(d, row, *(const uint32_t *)at);
        break;
    case KIND_PAIRS:
        dump_pairs(d, at);
        break;
    default:
        put_scalar(d, row, at);
        break;
    }
}

static void dump_items(struct dump *d, const struct schema_row *row, const struct schema_array *array)
{
    const struct schema_section_info *info = &schema_sections[row->of];
    const char *items = array->items;
    strbuf_puts(&d->out, "\n");
    d->indent += INDENT_STEP;
    for (size_t i = 0; i < array->count; i++) {
        const char *base = items + i * info->size_bytes;
        if (row->kind == KIND_MAP) {
            begin_line(d);
            put_quoted(d, *(const char *const *)(const void *)(base + info->name_offset));
            strbuf_puts(&d->out, ":\n");
        }
        d->is_item_start = row->kind == KIND_LIST;
        d->indent += INDENT_STEP;
        dump_section(d, row->of, base);
        d->indent -= INDENT_STEP;
    }
    d->indent -= INDENT_STEP;
}

static void dump_row(struct dump *d, const struct schema_row *row, const char *key, const void *at)
{
    begin_line(d);
    strbuf_printf(&d->out, "%s:", key);
    if (row->kind == KIND_LIST || row->kind == KIND_MAP) {
        dump_items(d, row, at);
    } else if (row->kind == KIND_INLINE) {
        strbuf_puts(&d->out, "\n");
        d->indent += INDENT_STEP;
        dump_section(d, row->of, at);
        d->indent -= INDENT_STEP;
    } else {
        strbuf_puts(&d->out, " ");
        dump_list(d, row, at);
    }
}

/* A list that may be left out but not be empty. */
static bool is_absent(const struct schema_row *row, const void *at)
{
    return (row->kind == KIND_LIST || row->kind == KIND_MAP) && row->min > 0 &&
           ((const struct schema_array *)at)->count == 0;
}

static void dump_section(struct dump *d, enum schema_section section, const void *base)
{
    size_t count = 0, group_len = 0;
    const struct schema_row *rows = schema_section_rows(section, &count);
    const char *group = "";
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)base + rows[i].offset;
        if (is_absent(&rows[i], at))
            continue;
        const char *dot = strchr(rows[i].key, '.');
        size_t len = dot != NULL ? (size_t)(dot - rows[i].key) : 0;
        if (len > 0 && (len != group_len || strncmp(rows[i].key, group, len) != 0)) {
            begin_line(d);
            strbuf_printf(&d->out, "%.*s:\n", (int)len, rows[i].key);
        }
        group = rows[i].key;
        group_len = len;
        d->indent += len > 0 ? INDENT_STEP : 0;
        dump_row(d, &rows[i], dot != NULL ? dot + 1 : rows[i].key, at);
        d->indent -= len > 0 ? INDENT_STEP : 0;
    }
}

/* The comment in front of the seal must end where the path ends, for libyaml as well. */
static bool is_one_line(const char *path)
{
    const char *unclean = NULL;
    return text_first_bad(path, strlen(path), &unclean) == strlen(path) && strpbrk(path, "\r\n") == NULL &&
           strstr(path, "\xc2\x85") == NULL && strstr(path, "\xe2\x80\xa8") == NULL &&
           strstr(path, "\xe2\x80\xa9") == NULL;
}

static char *dump(const struct conf *c, bool is_sealed)
{
    CHECK_OBJ(c, CONF_MAGIC);
    struct dump d = {.conf = c, .is_sealed = is_sealed};
    strbuf_init(&d.out, DUMP_MAX_BYTES);
    if (is_sealed && is_one_line(c->path))
        strbuf_printf(&d.out, SEALED_FROM "%s\n", c->path);
    dump_section(&d, SECTION_ROOT, c);
    ASSERT(!d.out.failed); /* conf/node.h bounds what a configuration can hold */
    char *text = mem_strndup(d.out.data, d.out.len);
    strbuf_fini(&d.out);
    return text;
}

char *conf_dump(const struct conf *c)
{
    return dump(c, false);
}

char *conf_seal(const struct conf *c)
{
    return dump(c, true);
}
