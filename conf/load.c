/* YAML text to nodes, and the only file that knows libyaml.
 *
 * The event interface is used, not libyaml's own document tree: events let us stop at the first value too many or too
 * deep, before memory was spent on it. Aliases share the subtree they name; the nodes they stand for are counted as if
 * they were copied, so that ten lines of aliases of aliases end at the bound instead of in a loop over 10^9 nodes. */
#include <stdlib.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/node.h"

#define ANCHOR_COUNT_MAX 256u
#define PATH_BYTES       256u

struct anchor {
    struct anchor *before;
    const char *name;
    struct node *node;
};

struct load {
    struct arena *arena;
    struct complaints *complaints;
    struct expansion *expansion;
    const char *text;
    size_t len;
    yaml_parser_t parser;
    struct node *open[NODE_DEPTH_MAX]; /* from the root to the innermost map or list */
    size_t depth;
    const char *key; /* read, its value comes next */
    struct place key_at;
    struct node *root;
    size_t weight;
    struct anchor *anchors;
    size_t anchor_count;
    bool is_done;
};

static struct place place_of(yaml_mark_t mark)
{
    return (struct place){.line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
}

/* ---- what libyaml says, in words for who wrote the file ---- */

static const struct {
    const char *problem;
    const char *advice;
} advices[] = {
    {"found character that cannot start any token", "quotes around a value that begins with a special character"},
    {"mapping values are not allowed in this context", "quotes around a value with \": \" in it, or other indentation"},
    {"did not find expected key", "the same indentation for all keys of a section"},
    {"could not find expected ':'", "\"key: value\""},
    {"did not find expected '-' indicator", "the same indentation for all \"- \" of a list"},
    {"did not find expected ',' or ']'", "a comma between values, quotes around one with brackets, or the closing ]"},
    {"did not find expected ',' or '}'", "a comma between keys, quotes around a value with braces, or the closing }"},
    {"found undefined tag handle", "!file or no tag"},
};

static void complain_syntax(struct load *l)
{
    const yaml_parser_t *p = &l->parser;
    struct place at = place_of(p->problem_mark);
    size_t index = p->problem_mark.index;
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    if (index < l->len && l->text[index] == '\t') {
        complain(l->complaints, at, "", "a tab where YAML allows none, expected spaces for indentation");
        return;
    }
    const char *advice = "valid YAML";
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
        if (strcmp(problem, advices[i].problem) == 0)
            advice = advices[i].advice;
    if (p->context != NULL && p->context_mark.line + 1 != at.line)
        complain(l->complaints, at, "", "not YAML: %s, %s from line %zu, expected %s", problem, p->context,
                 p->context_mark.line + 1, advice);
    else
        complain(l->complaints, at, "", "not YAML: %s, expected %s", problem, advice);
}

/* ---- the tree ---- */

static bool add_node(struct load *l, struct node *n, struct place at)
{
    l->weight += n->weight;
    if (l->weight > NODE_COUNT_MAX) {
        complain(l->complaints, at, "", "too many values (aliases count each time), expected at most %u in one file",
                 NODE_COUNT_MAX);
        return false;
    }
    if (l->depth == 0) {
        l->root = n;
        return true;
    }
    struct node *parent = l->open[l->depth - 1];
    if (parent->kind == NODE_MAP) {
        n->key = l->key;
        n->key_at = l->key_at;
        l->key = NULL;
    }
    if (parent->last != NULL)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->child_count++;
    return true;
}

/* "pools.api.servers[2].name": the place of the value that was added last, or of `key` in the innermost section. */
static const char *path_of(struct load *l, const char *key)
{
    struct strbuf path;
    strbuf_init(&path, PATH_BYTES);
    for (size_t i = 1; i <= l->depth; i++) {
        const struct node *around = l->open[i - 1];
        const char *name = i < l->depth ? l->open[i]->key : key;
        if (around->kind == NODE_LIST)
            strbuf_printf(&path, "[%zu]", around->child_count - 1);
        else
            strbuf_printf(&path, "%s%s", path.len > 0 ? "." : "", complaint_show(l->complaints, name));
    }
    const char *copy = arena_strndup(l->arena, path.len > 0 ? path.data : "", path.len);
    strbuf_fini(&path);
    return copy;
}

static bool is_key_next(const struct load *l)
{
    return l->depth > 0 && l->open[l->depth - 1]->kind == NODE_MAP && l->key == NULL;
}

static bool add_anchor(struct load *l, const yaml_char_t *name, struct node *n)
{
    if (name == NULL)
        return true;
    if (l->anchor_count++ == ANCHOR_COUNT_MAX) {
        complain(l->complaints, n->at, "", "too many anchors, expected at most %u in one file", ANCHOR_COUNT_MAX);
        return false;
    }
    struct anchor *a = arena_alloc(l->arena, 1, sizeof *a);
    *a = (struct anchor){.before = l->anchors, .name = arena_strdup(l->arena, (const char *)name), .node = n};
    l->anchors = a;
    return true;
}

/* NULL when the alias can stand here; `a` is what it names. */
static const char *alias_trouble(const struct load *l, const struct anchor *a)
{
    if (is_key_next(l))
        return "stands for a key, expected a plain word";
    if (a == NULL)
        return "names nothing, expected an anchor of that name further up";
    for (size_t i = 0; i < l->depth; i++)
        if (l->open[i] == a->node)
            return "stands inside what it names, expected it outside";
    return NULL;
}

static bool on_alias(struct load *l, const yaml_event_t *event)
{
    struct place at = place_of(event->start_mark);
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *a = l->anchors;
    while (a != NULL && strcmp(a->name, name) != 0)
        a = a->before;
    const char *trouble = alias_trouble(l, a);
    if (trouble != NULL) {
        complain(l->complaints, at, "", "*%s %s", complaint_show(l->complaints, name), trouble);
        return false;
    }
    struct node *n = arena_alloc(l->arena, 1, sizeof *n);
    *n = *a->node;
    n->key = NULL;
    n->next = NULL;
    n->is_duplicate = false;
    n->at = n->kind == NODE_SCALAR || n->kind == NODE_NONE ? at : n->at;
    return add_node(l, n, at);
}

static bool is_null(const char *text)
{
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

static void expand_scalar(struct load *l, struct node *n, bool is_file)
{
    const char *why = NULL;
    const char *text = expand_text(l->expansion, n->text, &why);
    if (text != NULL && is_file) {
        n->file = expand_path(l->expansion, text);
        text = expand_file(l->expansion, text, &why);
    }
    if (text == NULL) {
        complain(l->complaints, n->at, path_of(l, n->key), "%s", why);
        n->is_broken = true;
        return;
    }
    n->text = text;
}

static bool on_key(struct load *l, const yaml_event_t *event)
{
    struct place at = place_of(event->start_mark);
    size_t len = event->data.scalar.length;
    const char *unclean = NULL;
    if (len > NODE_KEY_BYTES || text_first_bad((const char *)event->data.scalar.value, len, &unclean) != len) {
        complain(l->complaints, at, "", "a key %s%s, expected at most %u bytes of text",
                 unclean != NULL ? "with " : "that is too long", unclean != NULL ? unclean : "", NODE_KEY_BYTES);
        return false;
    }
    l->key = arena_strndup(l->arena, (const char *)event->data.scalar.value, len);
    l->key_at = at;
    return true;
}

static bool on_scalar(struct load *l, const yaml_event_t *event)
{
    if (is_key_next(l))
        return on_key(l, event);
    const char *value = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    size_t len = event->data.scalar.length;
    struct node *n = arena_alloc(l->arena, 1, sizeof *n);
    n->at = place_of(event->start_mark);
    n->weight = 1;
    n->text = n->written = arena_strndup(l->arena, value, len);
    n->kind = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && tag == NULL && is_null(n->text) ? NODE_NONE
                                                                                                     : NODE_SCALAR;
    if (!add_node(l, n, n->at) || !add_anchor(l, event->data.scalar.anchor, n))
        return false;
    bool is_file = tag != NULL && strcmp(tag, "!file") == 0;
    const char *unclean = NULL;
    if (text_first_bad(value, len, &unclean) != len) { /* by an escape: the file itself is clean */
        complain(l->complaints, n->at, path_of(l, n->key), "%s in the value, expected text", unclean);
        n->is_broken = true;
    } else if (tag != NULL && !is_file && strcmp(tag, "!") != 0 && strcmp(tag, YAML_STR_TAG) != 0) {
        complain(l->complaints, n->at, path_of(l, n->key), "unknown tag %s, expected !file or none",
                 complaint_show(l->complaints, tag));
        n->is_broken = true;
    } else {
        expand_scalar(l, n, is_file && !l->expansion->is_off);
    }
    return true;
}

static bool on_start(struct load *l, const yaml_event_t *event, enum node_kind kind)
{
    bool is_map = kind == NODE_MAP;
    struct place at = place_of(event->start_mark);
    const yaml_char_t *tag = is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *anchor = is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    if (is_key_next(l)) {
        complain(l->complaints, at, "",
                 "a section or list as a key, expected a plain word (quote a value that begins with { or [)");
        return false;
    }
    if (l->depth == NODE_DEPTH_MAX) {
        complain(l->complaints, at, "", "nested too deep, expected at most %u levels", NODE_DEPTH_MAX);
        return false;
    }
    struct node *n = arena_alloc(l->arena, 1, sizeof *n);
    n->kind = kind;
    n->at = at;
    n->weight = 1;
    if (!add_node(l, n, n->at) || !add_anchor(l, anchor, n))
        return false;
    if (tag != NULL)
        complain(l->complaints, at, path_of(l, n->key), "unknown tag %s, expected none",
                 complaint_show(l->complaints, (const char *)tag));
    l->open[l->depth++] = n;
    return true;
}

static int compare_keys(const void *pa, const void *pb)
{
    const struct node *a = *(const struct node *const *)pa;
    const struct node *b = *(const struct node *const *)pb;
    int order = strcmp(a->key, b->key);
    if (order != 0)
        return order;
    if (a->key_at.line != b->key_at.line)
        return a->key_at.line < b->key_at.line ? -1 : 1;
    return a->key_at.column < b->key_at.column ? -1 : a->key_at.column > b->key_at.column;
}

/* Sorting finds repeated keys in n log n; a search per key would let one huge map stall the load. */
static void find_duplicates(struct load *l, struct node *map)
{
    if (map->child_count < 2)
        return;
    struct node **sorted = mem_alloc_array(map->child_count, sizeof(struct node *));
    size_t count = 0;
    for (struct node *n = map->first; n != NULL; n = n->next)
        sorted[count++] = n;
    qsort(sorted, count, sizeof *sorted, compare_keys);
    struct node *first = sorted[0];
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i]->key, first->key) != 0) {
            first = sorted[i];
            continue;
        }
        sorted[i]->is_duplicate = true;
        if (complaints_want_more(l->complaints))
            complain(l->complaints, sorted[i]->key_at, path_of(l, first->key),
                     "given twice, expected once (first on line %u)", first->key_at.line);
    }
    mem_free(sorted);
}

static void on_end(struct load *l)
{
    struct node *n = l->open[l->depth - 1];
    for (const struct node *child = n->first; child != NULL; child = child->next)
        n->weight += child->weight;
    if (n->kind == NODE_MAP)
        find_duplicates(l, n);
    l->depth--;
}

static bool on_event(struct load *l, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (l->root == NULL)
            return true;
        complain(l->complaints, place_of(event->start_mark), "", "a second document, expected one per file");
        return false;
    case YAML_ALIAS_EVENT:
        return on_alias(l, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(l, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(l, event, NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_start(l, event, NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(l);
        return true;
    case YAML_STREAM_END_EVENT:
        l->is_done = true;
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

/* ---- before libyaml sees it ---- */

/* libyaml would take UTF-16 and stop at unclean bytes without a line number. */
static bool is_clean(struct load *l)
{
    const unsigned char *s = (const unsigned char *)l->text;
    if (l->len >= 2 && ((s[0] == 0xff && s[1] == 0xfe) || (s[0] == 0xfe && s[1] == 0xff))) {
        complain(l->complaints, (struct place){1, 1}, "", "UTF-16 text, expected UTF-8");
        return false;
    }
    const char *why = NULL;
    size_t bad = text_first_bad(l->text, l->len, &why);
    if (bad == l->len)
        return true;
    struct place at = {1, 1};
    for (size_t i = 0; i < bad; i++) {
        if (s[i] == '\n')
            at = (struct place){at.line + 1, 1};
        else if ((s[i] & 0xc0u) != 0x80u)
            at.column++;
    }
    complain(l->complaints, at, "", "%s, expected UTF-8 text", why);
    return false;
}

static bool run(struct load *l)
{
    while (!l->is_done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&l->parser, &event)) {
            complain_syntax(l);
            return false;
        }
        bool is_fine = on_event(l, &event);
        yaml_event_delete(&event);
        if (!is_fine)
            return false;
    }
    return true;
}

struct node *node_load(struct arena *arena, struct complaints *complaints, struct expansion *expansion,
                       const char *text, size_t len)
{
    struct load l = {.arena = arena, .complaints = complaints, .expansion = expansion, .text = text, .len = len};
    size_t max_bytes = expansion->is_off ? SEALED_MAX_BYTES : TEXT_MAX_BYTES;
    if (len > max_bytes) {
        complain(complaints, (struct place){1, 1}, "", "a file of %zu bytes, expected at most %zu", len, max_bytes);
        return NULL;
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark says UTF-8 and nothing else */
        l.text += 3;
        l.len -= 3;
    }
    if (!is_clean(&l))
        return NULL;
    int is_ready = yaml_parser_initialize(&l.parser); /* fails for want of memory only */
    ASSERT(is_ready);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)l.text, l.len);
    bool is_fine = run(&l);
    yaml_parser_delete(&l.parser);
    if (!is_fine)
        return NULL;
    if (l.root == NULL || l.root->kind == NODE_NONE) {
        l.root = arena_alloc(arena, 1, sizeof *l.root);
        *l.root = (struct node){.kind = NODE_MAP, .at = {1, 1}};
    }
    return l.root;
}
