/* Where the keys of a route come from. Routes that name the same place share one source, and with it the tokens known
 * to be good. Keys of the configuration are there at once; those of a pool are fetched by somebody else, who asks here
 * when, and brings what came. */
#ifndef GATEWAY_RULES_TOKEN_SOURCE_H
#define GATEWAY_RULES_TOKEN_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "conf/conf.h"
#include "gateway/rules/token_keys.h"

#define TOKEN_SOURCE_MAGIC 0x705042cfu

/* At most this often, however many unknown keys tokens name: anybody can make one up. */
#define TOKEN_SOURCE_EARLY_MS 10000

struct token_source {
    uint32_t magic;
    uint32_t refs;
    struct list link; /* among all sources */
    char *identity;   /* what kind, and where or what */
    char *pool;       /* NULL: the keys are those of the configuration */
    char *path;
    int64_t refresh_ms;
    struct token_keys *keys; /* NULL: not fetched yet */
    uint64_t keys_id;        /* another one whenever the keys change: what they vouched for is forgotten */
    uint64_t text_hash;      /* of the key set they came from */
    int64_t due_ms;          /* when to fetch */
    int64_t asked_ms;        /* the last fetch began */
    uint32_t failure_count;
    bool is_under_way;
};

/* Finds the source in `all` or makes one that is in no list; a reference either way. One that was
 * there keeps its keys, and is due to be fetched again. NULL with a reason in `error` (TOKEN_KEYS_ERROR_TEXT) when the
 * keys do not parse. `id_count` numbers key sets. */
struct token_source *token_source_get(struct list *all, const struct conf_jwt *j, uint64_t *id_count, char *error);
void token_source_unref(struct token_source **sp);

/* Whether a fetch should begin now; it counts as begun then. */
bool token_source_begin(struct token_source *s, int64_t now_ms);
/* What came: the body, or NULL. False when it was of no use; *error says why. */
bool token_source_take(struct token_source *s, const char *text, size_t len, int64_t max_age_ms, int64_t now_ms,
                       uint64_t *id_count, char *error);
/* A token names a key that is not there: perhaps the set has changed. */
void token_source_want_early(struct token_source *s, int64_t now_ms);

#endif
