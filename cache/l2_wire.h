/* What is said to Redis and what it answers, as bytes: the one file that knows hiredis.
 *
 * hiredis 0.14 (Debian 12) is used for what it does well, making commands and parsing RESP2; connections are ours
 * (cache/l2_link.h), which is why TLS works although hiredis 0.14 has none. Replies become objects of our own, so that
 * everything a peer can make us allocate has a bound. Pure. */
#ifndef CACHE_L2_WIRE_H
#define CACHE_L2_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* ---- commands ---- */

#define L2_ARGS_MAX          16u
#define L2_NUMBER_TEXT_BYTES 24u

struct l2_args { /* all zero: empty */
    size_t count;
    const char *data[L2_ARGS_MAX]; /* borrowed until the command is made */
    size_t len[L2_ARGS_MAX];
    char numbers[L2_ARGS_MAX][L2_NUMBER_TEXT_BYTES];
};
void l2_args_text(struct l2_args *a, const char *text);
void l2_args_bytes(struct l2_args *a, const void *data, size_t len);
void l2_args_int(struct l2_args *a, int64_t n);

/* A command as it goes over the wire. */
struct l2_command {
    char *data;
    size_t len;
};
void l2_command_init(struct l2_command *c, const struct l2_args *a);
/* The same of a few words: l2_command_words(&c, "CLUSTER", "SLOTS", NULL). */
void l2_command_words(struct l2_command *c, ...) __attribute__((sentinel));
void l2_command_fini(struct l2_command *c);

/* ---- replies ---- */

enum l2_kind { L2_NIL = 0, L2_STATUS, L2_ERROR, L2_INTEGER, L2_BULK, L2_ARRAY };

struct l2_reply {
    uint32_t magic;
    enum l2_kind kind;
    int64_t integer;            /* of L2_INTEGER */
    size_t len;                 /* of the text, or how many elements */
    struct l2_reply **elements; /* of L2_ARRAY; none is NULL */
    char text[];                /* of L2_STATUS, L2_ERROR, L2_BULK; with a NUL behind */
};
void l2_reply_destroy(struct l2_reply **rp);

/* What an error is about: its first word. */
enum l2_fault {
    L2_FAULT_NONE = 0, /* no error at all */
    L2_FAULT_OTHER,    /* this command's own, the node is well */
    L2_FAULT_ILL,      /* LOADING, BUSY, CLUSTERDOWN, ...: the node cannot answer now */
    L2_FAULT_FULL,     /* OOM, MISCONF, NOREPLICAS: it takes no writes now */
    L2_FAULT_ACCESS,   /* NOAUTH, WRONGPASS: this connection is not let in */
    L2_FAULT_MOVED,    /* MOVED slot host:port */
    L2_FAULT_ASK,      /* ASK slot host:port */
    L2_FAULT_READONLY, /* a replica */
    L2_FAULT_TYPE      /* WRONGTYPE: somebody else's value is under our key */
};
enum l2_fault l2_reply_fault(const struct l2_reply *r);
bool l2_reply_is_text(const struct l2_reply *r, const char *text); /* a status or bulk of this very text */

/* ---- parsing ---- */

#define L2_ARRAY_MAX    65536u  /* elements of one array */
#define L2_ELEMENTS_MAX 262144u /* of one reply, over all its arrays */

struct l2_parser;

/* A reply of more than `reply_bytes_max` on the wire is an error. */
struct l2_parser *l2_parser_create(size_t reply_bytes_max);
void l2_parser_destroy(struct l2_parser **pp);
/* Both: ERR_PROTOCOL or ERR_LIMIT when what came is no reply or too much of one; the parser is of no use after that. */
enum err l2_parser_feed(struct l2_parser *p, const void *data, size_t len) MUST_CHECK;
/* ERR_AGAIN: no further reply yet. On success the reply is the caller's. */
enum err l2_parser_next(struct l2_parser *p, struct l2_reply **reply) MUST_CHECK;

#endif
