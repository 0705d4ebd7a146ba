/* Refreshing: a set is fetched again when it is as old as the configuration, or the answer that brought it, allows. A
 * failure keeps the keys there are and comes back after a second, then two, then four, up to a minute. */
#include "gateway/rules/token_source.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define RETRY_MS         1000
#define RETRY_MAX_MS     60000
#define RETRY_SHIFT_MAX  6u
#define REFRESH_LEAST_MS 10000 /* whatever the answer says */

static uint64_t hash_of(const char *text, size_t len)
{
    static const uint8_t any_key[16] = {0}; /* it tells apart what one trusted server sends, no more */
    return siphash24(any_key, text, len);
}

static char *identity_of(const struct conf_jwt *j)
{
    if (j->secret[0] != '\0')
        return mem_printf("secret %s", j->secret);
    if (j->public_key.text != NULL)
        return mem_printf("pem %s", j->public_key.text);
    if (j->jwks_file.text != NULL)
        return mem_printf("jwks %s", j->jwks_file.text);
    return mem_printf("pool %s %s", j->jwks_pool, j->jwks_path);
}

static struct token_keys *configured_keys(const struct conf_jwt *j, char *error)
{
    if (j->secret[0] != '\0')
        return token_keys_from_secret(j->secret);
    if (j->public_key.text != NULL)
        return token_keys_from_pem(j->public_key.text, error);
    return token_keys_from_jwks(j->jwks_file.text, strlen(j->jwks_file.text), error);
}

static void forget(char **identity)
{
    mem_wipe(*identity, strlen(*identity)); /* it may be a secret */
    mem_free(*identity);
    *identity = NULL;
}

struct token_source *token_source_get(struct list *all, const struct conf_jwt *j, uint64_t *id_count, char *error)
{
    char *identity = identity_of(j);
    struct token_keys *keys = NULL;
    LIST_EACH (it, all) {
        struct token_source *s = LIST_ENTRY(it, struct token_source, link);
        if (strcmp(s->identity, identity) == 0) {
            s->refs++;
            s->refresh_ms = j->jwks_refresh_ms;
            s->due_ms = 0; /* what the pool's name stands for may have changed */
            forget(&identity);
            return s;
        }
    }
    if (j->jwks_pool[0] == '\0') {
        keys = configured_keys(j, error);
        if (keys == NULL) {
            forget(&identity);
            return NULL;
        }
    }
    struct token_source *s;
    OBJ_NEW(s, TOKEN_SOURCE_MAGIC);
    s->refs = 1;
    s->identity = identity;
    s->keys = keys;
    s->keys_id = ++*id_count;
    s->refresh_ms = j->jwks_refresh_ms;
    if (keys == NULL) {
        s->pool = mem_strdup(j->jwks_pool);
        s->path = mem_strdup(j->jwks_path);
    }
    list_init(&s->link);
    return s;
}

void token_source_unref(struct token_source **sp)
{
    struct token_source *s = *sp;
    CHECK_OBJ(s, TOKEN_SOURCE_MAGIC);
    *sp = NULL;
    if (--s->refs > 0)
        return;
    list_unlink(&s->link);
    if (s->keys != NULL)
        token_keys_destroy(&s->keys);
    forget(&s->identity);
    mem_free(s->pool);
    mem_free(s->path);
    OBJ_FREE(&s, TOKEN_SOURCE_MAGIC);
}

bool token_source_begin(struct token_source *s, int64_t now_ms)
{
    CHECK_OBJ(s, TOKEN_SOURCE_MAGIC);
    if (s->pool == NULL || s->is_under_way || now_ms < s->due_ms)
        return false;
    s->is_under_way = true;
    s->asked_ms = now_ms;
    return true;
}

static int64_t retry_ms(uint32_t failure_count)
{
    const uint32_t shift = failure_count - 1 < RETRY_SHIFT_MAX ? failure_count - 1 : RETRY_SHIFT_MAX;
    const int64_t ms = (int64_t)RETRY_MS << shift;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

bool token_source_take(struct token_source *s, const char *text, size_t len, int64_t max_age_ms, int64_t now_ms,
                       uint64_t *id_count, char *error)
{
    CHECK_OBJ(s, TOKEN_SOURCE_MAGIC);
    const uint64_t hash = text != NULL ? hash_of(text, len) : 0;
    const bool is_same = text != NULL && s->keys != NULL && hash == s->text_hash;
    struct token_keys *keys = text != NULL && !is_same ? token_keys_from_jwks(text, len, error) : NULL;
    s->is_under_way = false;
    if (!is_same && keys == NULL) {
        s->failure_count++;
        s->due_ms = now_ms + retry_ms(s->failure_count);
        return false;
    }
    if (!is_same) {
        if (s->keys != NULL)
            token_keys_destroy(&s->keys);
        s->keys = keys;
        s->keys_id = ++*id_count;
        s->text_hash = hash;
    }
    int64_t good_ms = max_age_ms >= 0 && max_age_ms < s->refresh_ms ? max_age_ms : s->refresh_ms;
    s->failure_count = 0;
    s->due_ms = now_ms + (good_ms > REFRESH_LEAST_MS ? good_ms : REFRESH_LEAST_MS);
    return true;
}

void token_source_want_early(struct token_source *s, int64_t now_ms)
{
    CHECK_OBJ(s, TOKEN_SOURCE_MAGIC);
    if (s->pool == NULL || s->is_under_way || s->failure_count > 0)
        return;
    const int64_t at_ms = s->asked_ms + TOKEN_SOURCE_EARLY_MS > now_ms ? s->asked_ms + TOKEN_SOURCE_EARLY_MS : now_ms;
    if (at_ms < s->due_ms)
        s->due_ms = at_ms;
}
