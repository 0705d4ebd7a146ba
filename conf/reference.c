/* The manual of all keys, generated from the schema so that it cannot be out of date. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/kind.h"
#include "conf/schema.h"

#define REFERENCE_MAX_BYTES ((size_t)1 << 20)

static const char intro[] =
    "# Configuration reference\n"
    "\n"
    "Generated from the schema by `make reference`; do not edit.\n"
    "\n"
    "`tidegate -t -c FILE` checks a file and names every mistake in it with line and column; "
    "`tidegate -T -c FILE` prints\n"
    "the configuration with all defaults filled in.\n"
    "\n"
    "- **Durations** are whole numbers with a unit: `800ms` `5s` `10m` `1h` `2d`. **Sizes** "
    "likewise: `512B` `64KiB` `1MiB`\n"
    "  `10MB`. `0` needs no unit. **Booleans** are `true` and `false` and nothing else.\n"
    "- **`${NAME}`** in a value stands for an environment variable, **`${NAME:-default}`** for "
    "one that may be unset or\n"
    "  empty. Write `$${` for the text `${` itself. Quote such a value inside `{ }`: YAML takes its braces otherwise.\n"
    "- **`!file path`** as a value stands for the content of a file. Relative paths, here and "
    "in keys that take a path,\n"
    "  start at the directory of the configuration file.\n"
    "- Anchors and aliases (`&name`, `*name`) work; merge keys (`<<`) do not.\n"
    "- *Applies* says when a change takes effect: at a reload (`SIGHUP`), and in which "
    "process, or at a restart only.\n";

/* `|` ends a cell of a table, even inside code. */
static void put_cell(struct strbuf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            strbuf_puts(b, "\\");
        strbuf_add(b, text, 1);
    }
}

static void put_type(struct strbuf *b, const struct schema_row *row)
{
    struct strbuf text;
    strbuf_init(&text, 512);
    if (row->kind == KIND_WORD || row->kind == KIND_WORDS)
        kinds[row->kind].expect(&text, row, NULL);
    else
        strbuf_puts(&text, kinds[row->kind].title);
    put_cell(b, text.data);
    strbuf_clear(&text);
    if (kind_range(&text, row))
        strbuf_printf(b, ", %s", text.data);
    strbuf_fini(&text);
}

static void put_standard(struct strbuf *b, const struct schema_row *row)
{
    if (row->is_required)
        strbuf_puts(b, "**required**");
    else if (row->standard_doc != NULL)
        strbuf_puts(b, row->standard_doc);
    else if (row->inherits)
        strbuf_puts(b, "the pool's");
    else if (row->standard != NULL && row->standard[0] != '\0')
        strbuf_printf(b, "`%s`", row->standard);
    else
        strbuf_puts(b, "none");
}

static void put_section(struct strbuf *b, enum schema_section section)
{
    const struct schema_section_info *info = &schema_sections[section];
    size_t count = 0;
    const struct schema_row *rows = schema_section_rows(section, &count);
    if (info->path[0] != '\0')
        strbuf_printf(b, "\n## `%s`\n\n%s\n", info->path, info->doc);
    else
        strbuf_printf(b, "\n## Top level\n\n%s\n", info->doc);
    strbuf_puts(b, "\n| Key | Type | Default | Applies | Meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        strbuf_printf(b, "| `%s` | ", rows[i].key);
        put_type(b, &rows[i]);
        strbuf_puts(b, " | ");
        put_standard(b, &rows[i]);
        strbuf_printf(b, " | %s | ", schema_applies_texts[rows[i].applies]);
        put_cell(b, rows[i].doc);
        strbuf_puts(b, " |\n");
    }
}

char *conf_reference(void)
{
    struct strbuf b;
    strbuf_init(&b, REFERENCE_MAX_BYTES);
    strbuf_puts(&b, intro);
    for (int s = 0; s < SECTION_COUNT; s++)
        put_section(&b, (enum schema_section)s);
    char *text = mem_strndup(b.data, b.len);
    strbuf_fini(&b);
    return text;
}
