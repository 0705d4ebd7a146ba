/* The kinds of values: how each is read from a node into a member, and how a message describes what it expects. */
#ifndef CONF_KIND_H
#define CONF_KIND_H

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/node.h"
#include "conf/schema.h"

struct kind_context {
    struct arena *arena; /* of the configuration: what is read ends up there */
    struct complaints *complaints;
    struct expansion *expansion;
    const struct conf *conf; /* as far as it has been read */
    bool is_sentence;        /* set by a read: its answer says all, "expected" included */
};

struct kind {
    const char *title; /* for the manual */
    /* Puts a value's text into the member at `at`. NULL, or what is wrong (see conf/value.h); then nothing was put. */
    const char *(*read)(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at);
    /* "a duration from 1ms to 1h", to stand behind "expected". */
    void (*expect)(struct strbuf *b, const struct schema_row *row, const struct conf *conf);
};

/* Lists of plain values: their kind's `read` puts one of them. */
struct kind_list {
    size_t item_bytes;                      /* 0: no such list */
    const char *(*judge)(const char *text); /* of texts: what is wrong with one */
    const char *item_expected;              /* to stand behind "expected" */
};
/* A list of const char *. */
bool kind_is_texts(enum schema_kind k);

/* Lists of sections, maps and inline sections have no `read`: conf/build.c walks them. */
extern const struct kind kinds[KIND_COUNT];
extern const struct kind_list kind_lists[KIND_COUNT];

/* conf/kind_file.c: the reads of the kinds whose member is a struct conf_file. */
const char *kind_read_ocsp(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at);
const char *kind_read_file(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at);
const char *kind_read_text_file(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at);

/* The bounds of a row in its own unit, "1ms to 1h"; false when it has none worth telling. */
bool kind_range(struct strbuf *b, const struct schema_row *row);

#endif
