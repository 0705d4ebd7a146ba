/* The server casts what it finds: booleans may come as strings or numbers, and what it does not understand is as good
 * as not there. Reading does the same, for a join that it takes must be understood here too. */
#include "gateway/realtime/phx_join.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json_edit.h"
#include "base/mem.h"
#include "gateway/realtime/phx_json.h"

#define NONE ((struct phx_text){NULL, 0})

#define TOKEN_MAX_BYTES 65536u

/* ---- reading ---- */

static bool is_word(struct json_text value, const char *word)
{
    return value.len == strlen(word) && memcmp(value.data, word, value.len) == 0;
}

static bool says_true(struct json_text value)
{
    return value.data != NULL && (is_word(value, "true") || json_text_is(value, "true") || json_text_is(value, "1"));
}

static bool says_false(struct json_text value)
{
    return value.data != NULL && (is_word(value, "false") || json_text_is(value, "false") || json_text_is(value, "0"));
}

static bool says_nothing(struct json_text value)
{
    return value.data == NULL || is_word(value, "null");
}

/* API keys that are no JWT stand where tokens are meant to be; the server ignores them. */
static struct phx_text token_at(struct json_text payload, const char *name)
{
    const struct phx_text token = phx_string_at(payload, name);
    return token.len >= 4 && memcmp(token.data, "\"sb_", 4) == 0 ? NONE : token;
}

static uint32_t count_elements(struct json_text array)
{
    struct json_scan s = json_scan_of(array.data, array.len, true);
    struct json_walk w;
    struct json_text value;
    uint32_t count = 0;
    if (array.data == NULL || json_enter(&w, &s) != JSON_OK)
        return 0;
    while (json_next(&w) == JSON_OK && json_skip(&s, &value) == JSON_OK)
        count++;
    return count;
}

static void read_presence(struct phx_join *j, struct json_text config)
{
    const struct json_text presence = json_find(config, "presence");
    j->lacks_presence = j->has_random_key = says_nothing(presence);
    if (!json_text_is_object(presence))
        return;
    const struct json_text key = json_find(presence, "key");
    j->has_no_presence = says_false(json_find(presence, "enabled"));
    j->has_random_key = says_nothing(key) || json_text_is(key, "");
    if (!j->has_random_key)
        j->presence_key = phx_string_at(presence, "key");
}

static void read_config(struct phx_join *j, struct json_text config)
{
    const struct json_text broadcast = json_find(config, "broadcast");
    const struct json_text changes = json_find(config, "postgres_changes");
    j->is_private = says_true(json_find(config, "private"));
    j->acks_broadcasts = says_true(json_find(broadcast, "ack"));
    j->gets_own = says_true(json_find(broadcast, "self"));
    j->wants_replay = json_text_is_object(json_find(broadcast, "replay"));
    j->waits_replication = says_true(json_find(broadcast, "replication_ready"));
    read_presence(j, config);
    if (json_text_is_array(changes))
        j->change_count = count_elements(changes);
    if (j->change_count > 0)
        j->changes = phx_text_of(changes);
}

bool phx_join_read(struct phx_join *j, struct phx_text payload)
{
    const struct json_text json = phx_json(payload);
    *j = (struct phx_join){.is_supabase = false};
    if (!json_is_value(json))
        return false;
    const struct json_text config = json_find(json, "config");
    j->is_supabase = json_text_is_object(config);
    if (j->is_supabase)
        read_config(j, config);
    /* The chosen one counts even when it is none: the other is not tried then. */
    const bool has_user_token = phx_string_at(json, "user_token").len > 0;
    j->token = token_at(json, has_user_token ? "user_token" : "access_token");
    return true;
}

struct phx_text phx_token_read(struct phx_text payload)
{
    return json_is_value(phx_json(payload)) ? token_at(phx_json(payload), "access_token") : NONE;
}

/* ---- rewriting ---- */

/* Into presence, or as presence. Never as config: a join without one is another kind to the server. */
static struct json_edit key_edit(struct strbuf *out, struct json_text json, struct phx_text key)
{
    const bool lacks_presence = says_nothing(json_find(json, "config.presence"));
    strbuf_puts(out, lacks_presence ? "{\"key\":" : "");
    strbuf_json_string(out, key.data, key.len);
    strbuf_puts(out, lacks_presence ? "}" : "");
    return (struct json_edit){lacks_presence ? "config.presence" : "config.presence.key", {out->data, out->len}};
}

bool phx_join_rewrite(struct strbuf *out, struct phx_text payload, const struct phx_join_changes *changes)
{
    const struct json_text json = phx_json(payload);
    struct json_edit edits[JSON_EDITS_MAX];
    struct strbuf key;
    char replay[96];
    size_t count = 0;

    strbuf_init(&key, changes->presence_key.len * 6 + sizeof "{'key':''}");
    if (changes->token.len > 0) {
        edits[count++] = (struct json_edit){"access_token", phx_json(changes->token)};
        edits[count++] = (struct json_edit){"user_token", {NULL, 0}};
    }
    if (changes->presence_key.len > 0)
        edits[count++] = key_edit(&key, json, changes->presence_key);
    if (changes->replay == PHX_REPLAY_REMOVE)
        edits[count++] = (struct json_edit){"config.broadcast.replay", {NULL, 0}};
    if (changes->replay == PHX_REPLAY_SINCE) {
        const bool has_broadcast = json_text_is_object(json_find(json, "config.broadcast"));
        const int len = snprintf(replay, sizeof replay, "%s{\"since\":%" PRId64 ",\"limit\":%u}%s",
                                 has_broadcast ? "" : "{\"replay\":", changes->replay_since_ms, PHX_REPLAY_COUNT,
                                 has_broadcast ? "" : "}");
        edits[count++] =
            (struct json_edit){has_broadcast ? "config.broadcast.replay" : "config.broadcast", {replay, (size_t)len}};
    }
    const bool is_done = json_edit(out, json, edits, count);
    strbuf_fini(&key);
    return is_done;
}

/* ---- tokens ---- */

/* A NumericDate (RFC 7519 section 2): seconds, maybe with a fraction. */
static int64_t date_ms(struct json_text value)
{
    char number[40];
    if (value.data == NULL || value.len >= sizeof number || value.data[0] < '0' || value.data[0] > '9')
        return 0;
    memcpy(number, value.data, value.len);
    number[value.len] = '\0';
    const double seconds = strtod(number, NULL);
    return seconds >= 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
}

int64_t phx_token_expires_ms(struct phx_text token)
{
    if (token.len >= 2 && token.data[0] == '"')
        token = (struct phx_text){token.data + 1, token.len - 2};
    if (token.len == 0 || token.len > TOKEN_MAX_BYTES)
        return 0;
    const char *end = token.data + token.len;
    const char *begin = memchr(token.data, '.', token.len);
    const char *dot = begin != NULL ? memchr(begin + 1, '.', (size_t)(end - begin - 1)) : NULL;
    if (dot == NULL)
        return 0;
    const size_t len = (size_t)(dot - begin - 1);
    uint8_t *claims = mem_alloc(BASE64_ROOM(len));
    size_t claims_len;
    int64_t expires_ms = 0;
    if (base64url_decode(begin + 1, len, claims, &claims_len))
        expires_ms = date_ms(json_find((struct json_text){(const char *)claims, claims_len}, "exp"));
    mem_free(claims);
    return expires_ms;
}
