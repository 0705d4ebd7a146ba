/* From the tree of nodes to struct conf by way of the schema table, and the later stages that finish it. */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/kind.h"
#include "conf/node.h"

#define BUILD_MAGIC 0xb01dc0f9u

struct map;

/* Where in the file a member was given. */
struct mark {
    struct place at;
    const char *path; /* of its section */
    const char *key;  /* within the section; "" for the section itself */
    bool is_good;
};

struct build {
    uint32_t magic;
    struct arena *scratch; /* marks and messages: gone after the load */
    struct kind_context kind;
    struct complaints *complaints;
    struct conf *conf;
    struct map *marks;                 /* by address of the member */
    const void *latest[SECTION_COUNT]; /* inline section read last, to be inherited */
};

/* Fills `conf` (zeroed, in `arena`) from the tree: unknown and missing keys, types and bounds, defaults. */
void build_init(struct build *b, struct conf *conf, struct arena *arena, struct arena *scratch,
                struct complaints *complaints, struct expansion *expansion);
void build_fini(struct build *b);
void build_run(struct build *b, const struct node *root);

/* Whether the member stands in the file, with a good value. */
bool build_is_given(const struct build *b, const void *member);
/* Whether it stands in the file with a value that was complained about; the member holds its default then. */
bool build_is_broken(const struct build *b, const void *member);
/* Complains at a member's place if it is given, else at the section's that begins at `section`, naming `key`. */
void build_complain(struct build *b, const void *section, const void *member, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Complains, in the words for what is required, when the member of a section does not stand in the file. */
void build_missing(struct build *b, const void *section, enum schema_section of, const void *member, const char *key);
/* The line of a section, to point at from elsewhere. */
uint32_t build_line(const struct build *b, const void *section);

/* conf/derive.c: values that follow from others or from the machine; before the checks, so that these see the outcome.
 */
void derive_values(struct build *b);
/* conf/check.c: what no single row can know. */
void check_values(struct build *b);
/* conf/check_rules.c: the same for what routes demand of requests. */
void check_rules(struct build *b);
/* conf/check_sessions.c: the same for WebSockets that outlive their servers. */
void check_sessions(struct build *b);
/* conf/check_heads.c: the same for what becomes of heads on their way through. */
void check_heads(struct build *b);
/* conf/check_cache.c: the same for what is kept of answers, and where. */
void check_cache(struct build *b);

/* conf/check_alerts.c: the same for whom to tell what. */
void check_alerts(struct build *b);

/* conf/check_targets.c: the same for targets and the quorum, and for what a file must have to be of any use. */
void check_judges(struct build *b);
/* conf/check_dns.c: the same for the zone and who is told of it. */
void check_dns(struct build *b);

/* For the checks: a key, and whether it says something else than its default does. */
struct check_use {
    const void *member;
    const char *key;
    bool is_set;
};
/* conf/check_rules.c: each key that is set waits for something that is not there, `expected`. */
void check_unused(struct build *b, const void *section, const struct check_use *uses, size_t count,
                  const char *expected);
/* conf/check.c: the tls keys of something the gateway connects to. Without `is_tls` they have no use with `url`, and
 * `expected` would be the thing to write. */
void check_client_tls(struct build *b, const void *section, const struct conf_server_tls *t, bool is_tls,
                      const char *url, const char *expected);
/* conf/check.c: whether two sockets cannot be bound side by side. */
bool check_is_clash(const struct addr *a, const struct addr *b);
/* conf/check_cache.c: where a Redis is and how it is spoken to. */
void check_redis(struct build *b, const struct conf_redis *r);
/* conf/check_targets.c: a slot's name as users write it. */
const char *check_slot_text(const char *slot_name);
/* conf/check_targets.c: `member`, which is `key` of `section`, names the slot of a target or server, or nothing. */
void check_slot(struct build *b, const void *section, const char *const *member, const char *key);
/* conf/check.c: `shorter` must not be longer than `longer`; both belong to `section`. With neither given there they
 * come from another section, which has been told. */
void check_at_most(struct build *b, const void *section, const int64_t *shorter_ms, const char *shorter,
                   const int64_t *longer_ms, const char *longer);
/* conf/check_probe.c: the check of a pool (`s`, `usual` NULL), of a target (`usual` NULL), or of a server, whose values
 * start as those of `usual`.
 */
void check_probe(struct build *b, const struct conf_server *s, const struct conf_check *c,
                 const struct conf_check *usual);
/* conf/derive.c: routes in the order they are tried. Last, because marks go by address. */
void derive_order(struct conf *conf);

#endif
