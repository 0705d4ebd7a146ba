/* A YAML document as a tree of nodes with their places in the file, bounded in size, depth and expansion. This is all
 * the rest of conf/ knows of YAML: libyaml stays inside conf/load.c. Nodes live in the arena of the load. */
#ifndef CONF_NODE_H
#define CONF_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/arena.h"
#include "conf/complaint.h"

#define NODE_COUNT_MAX 65536u /* every use of an alias counts what it stands for */
#define NODE_DEPTH_MAX 32u
#define NODE_KEY_BYTES 256u

#define TEXT_MAX_BYTES   ((size_t)4 << 20)  /* of a file a user wrote */
#define SEALED_MAX_BYTES ((size_t)32 << 20) /* of one that conf_seal() wrote: holds the files as well */
#define SEALED_FROM      "# from "          /* how the seal begins; then the path of the file, and a line feed */

enum node_kind { NODE_NONE = 0 /* empty, ~ or null */, NODE_SCALAR, NODE_MAP, NODE_LIST };

struct node {
    enum node_kind kind;
    struct place at;
    const char *text;    /* scalar: the value, expanded */
    const char *written; /* scalar: as it stands in the file, for messages */
    const char *file;    /* scalar that came by !file: the path, else NULL */
    bool is_broken;      /* already complained about: do not judge the value */
    const char *key;     /* child of a map */
    struct place key_at;
    bool is_duplicate;  /* child of a map whose key was there before; complained about */
    struct node *first; /* map, list */
    struct node *last;
    struct node *next; /* sibling */
    size_t child_count;
    size_t weight; /* nodes in this tree, aliases expanded */
};

/* What a value may reach outside the file for. */
struct expansion {
    struct arena *arena;
    const char *dir;   /* relative paths start here; "" is the working directory */
    size_t left_bytes; /* what may still be brought in */
    bool is_off;       /* sealed text: nothing is expanded, no file is opened */
};
#define EXPANSION_MAX_BYTES ((size_t)4 << 20)
#define FILE_MAX_BYTES      ((size_t)1 << 20)

/* Parses `text`. NULL after a mistake that makes the rest unreadable; milder ones are complained about and the tree
 * is returned. An empty document gives an empty map. */
struct node *node_load(struct arena *arena, struct complaints *complaints, struct expansion *expansion,
                       const char *text, size_t len);

/* ${NAME}, ${NAME:-default} and $${ in `text`. NULL with what is wrong in *why (arena). */
const char *expand_text(struct expansion *e, const char *text, const char **why);
/* The content of a file, without one trailing newline; regular files of bounded size only. NULL with *why. */
const char *expand_file(struct expansion *e, const char *path, const char **why);
/* The same for a file of any bytes, all of them; a NUL stands behind. */
const char *expand_bytes(struct expansion *e, const char *path, size_t *len, const char **why);
/* `path` as seen from the directory of the configuration file. */
const char *expand_path(struct expansion *e, const char *path);

/* Offset of the first byte that is not clean UTF-8 text as YAML 1.1 section 5.1 allows it, or `len`; *why says what is
 * the matter with it. */
size_t text_first_bad(const char *text, size_t len, const char **why);

#endif
