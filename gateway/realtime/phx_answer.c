/* Servers tell what happened in English sentences; the tables say which of them mean what. Sentences change from
 * release to release, so as little of them is asked for as tells them apart. */
#include "gateway/realtime/phx_answer.h"

#include <string.h>
#include <strings.h>

#include "base/json_edit.h"
#include "gateway/realtime/phx_json.h"

#define NONE ((struct phx_text){NULL, 0})

/* Between the quotes, as written: the words asked for have nothing that is escaped. */
static struct json_text bare(struct phx_text string)
{
    return string.len >= 2 ? (struct json_text){string.data + 1, string.len - 2} : (struct json_text){NULL, 0};
}

static bool has_words(struct json_text text, const char *words)
{
    const size_t len = strlen(words);
    if (len == 0)
        return true;
    for (size_t i = 0; i + len <= text.len; i++)
        if (strncasecmp(text.data + i, words, len) == 0)
            return true;
    return false;
}

/* ---- replies ---- */

bool phx_reply_read(struct phx_reply *r, struct phx_text payload)
{
    const struct json_text json = phx_json(payload);
    *r = (struct phx_reply){.is_ok = false};
    if (!json_is_value(json) || phx_string_at(json, "status").len == 0)
        return false;
    const struct json_text response = json_find(json, "response");
    const struct json_text changes = json_find(response, "postgres_changes");
    r->is_ok = json_text_is(json_find(json, "status"), "ok");
    r->response = phx_text_of(response);
    r->reason = phx_string_at(response, json_text_is_object(response) ? "reason" : "");
    if (json_text_is_array(changes))
        r->changes = phx_text_of(changes);
    return true;
}

struct refusal_row {
    const char *code; /* all of the reason up to its colon */
    enum phx_refusal refusal;
};

static const struct refusal_row refusals[] = {
    {"Unauthorized", PHX_REFUSED},
    {"PrivateOnly", PHX_REFUSED},
    {"TopicNameRequired", PHX_REFUSED},
    {"RealtimeDisabledForTenant", PHX_REFUSED},
    {"TenantNotFound", PHX_REFUSED},
    {"unmatched topic", PHX_REFUSED},
    {"InvalidJWTToken", PHX_REFUSED_TOKEN},
    {"MalformedJWT", PHX_REFUSED_TOKEN},
    {"JwtSignatureError", PHX_REFUSED_TOKEN},
    {"JwtSignerError", PHX_REFUSED_TOKEN},
    {"RealtimeRestarting", PHX_REFUSED_RESTARTING},
    {"Unknown Error on Channel", PHX_REFUSED_HERE},
    {"TimeoutOnRpcCall", PHX_REFUSED_HERE},
    {"ErrorOnRpcCall", PHX_REFUSED_HERE},
    {"MusterJoinError", PHX_REFUSED_HERE},
    {"join crashed", PHX_REFUSED_HERE},
    {"ChannelRateLimitReached", PHX_REFUSED_FOR_MOMENT},
    {"ConnectionRateLimitReached", PHX_REFUSED_FOR_MOMENT},
    {"ClientJoinRateLimitReached", PHX_REFUSED_FOR_MOMENT},
    {"too many channels joined", PHX_REFUSED_FOR_MOMENT},
    {"IncreaseConnectionPool", PHX_REFUSED_FOR_MOMENT},
    {"DatabaseLackOfConnections", PHX_REFUSED_FOR_MOMENT},
    {"DatabaseConnectionRateLimitReached", PHX_REFUSED_FOR_MOMENT},
    {"UnableToConnectToProject", PHX_REFUSED_FOR_MOMENT},
    {"InitializingProjectConnection", PHX_REFUSED_FOR_MOMENT},
    {"UnableToReplayMessages", PHX_REFUSED_FOR_MOMENT},
    {"QueryCanceled", PHX_REFUSED_FOR_MOMENT},
    {"MissingPartition", PHX_REFUSED_FOR_MOMENT},
};

enum phx_refusal phx_refusal_of(struct phx_text reason)
{
    const struct json_text text = bare(reason);
    const char *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
    const size_t len = colon != NULL ? (size_t)(colon - text.data) : text.len;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strlen(refusals[i].code) == len && memcmp(refusals[i].code, text.data, len) == 0)
            return refusals[i].refusal;
    return PHX_REFUSED;
}

/* ---- system messages ---- */

struct system_row {
    const char *status;
    const char *extension; /* NULL: any */
    const char *words;     /* somewhere in the message, in whatever case */
    enum phx_system system;
};

/* The first row that fits counts. Before the errors of the changes themselves come those that end a channel, whatever
 * part of the server says so. */
static const struct system_row systems[] = {
    {"ok", NULL, "Subscribed to PostgreSQL", PHX_SYSTEM_CHANGES_READY},
    {"ok", NULL, "Replication connection established", PHX_SYSTEM_REPLICATION_READY},
    {"ok", NULL, "Server requested disconnect", PHX_SYSTEM_LEAVING},
    {"error", NULL, "Server requested disconnect", PHX_SYSTEM_LEAVING},
    {"error", NULL, "no longer have permission", PHX_SYSTEM_FORBIDDEN},
    {"error", NULL, "You do not have permission", PHX_SYSTEM_FORBIDDEN},
    {"error", NULL, "Too many", PHX_SYSTEM_RATE},
    {"error", NULL, "rate limit", PHX_SYSTEM_RATE},
    {"error", NULL, "token", PHX_SYSTEM_TOKEN},
    {"error", NULL, "JWT", PHX_SYSTEM_TOKEN},
    {"error", "postgres_changes", "", PHX_SYSTEM_CHANGES_FAILED},
    {"error", NULL, "", PHX_SYSTEM_FAILED},
};

enum phx_system phx_system_of(struct phx_text payload)
{
    const struct json_text json = phx_json(payload);
    if (!json_is_value(json))
        return PHX_SYSTEM_OTHER;
    const struct json_text status = json_find(json, "status"), extension = json_find(json, "extension");
    const struct json_text message = bare(phx_string_at(json, "message"));
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++)
        if (json_text_is(status, systems[i].status) &&
            (systems[i].extension == NULL || json_text_is(extension, systems[i].extension)) &&
            has_words(message, systems[i].words))
            return systems[i].system;
    return PHX_SYSTEM_OTHER;
}

/* ---- presence calls ---- */

enum phx_presence phx_presence_of(struct phx_text payload)
{
    const struct json_text json = phx_json(payload);
    if (!json_is_value(json))
        return PHX_PRESENCE_OTHER;
    const struct json_text event = bare(phx_string_at(json, "event"));
    if (event.len == 5 && strncasecmp(event.data, "track", 5) == 0)
        return PHX_PRESENCE_TRACK;
    return event.len == 7 && strncasecmp(event.data, "untrack", 7) == 0 ? PHX_PRESENCE_UNTRACK : PHX_PRESENCE_OTHER;
}

/* ---- marks of broadcasts ---- */

bool phx_meta_read(struct phx_meta *m, const struct phx_frame *f)
{
    *m = (struct phx_meta){.is_replayed = false};
    const struct json_text whole = phx_json(f->kind == PHX_JSON ? f->payload : f->metadata);
    const struct json_text meta = json_find(whole, f->kind == PHX_JSON ? "meta" : "");
    if (meta.len == 0 || !json_text_is_object(meta))
        return false;
    const struct json_text replayed = json_find(meta, "replayed");
    m->id = phx_string_at(meta, "id");
    m->is_replayed = replayed.len == 4 && memcmp(replayed.data, "true", 4) == 0;
    if (!m->is_replayed || json_is_value(whole))
        return true;
    *m = (struct phx_meta){.is_replayed = false}; /* the mark could not be taken away */
    return false;
}

/* Kind 4 anew, its metadata without the mark. */
static void write_binary(struct strbuf *out, const struct phx_frame *f)
{
    static const struct json_edit unmark = {"replayed", {NULL, 0}};
    struct strbuf meta;
    strbuf_init(&meta, f->metadata.len + 2);
    (void)json_edit(&meta, phx_json(f->metadata), &unmark, 1);
    const uint8_t head[] = {PHX_USER_BROADCAST, (uint8_t)f->topic.len, (uint8_t)f->user_event.len, (uint8_t)meta.len,
                            f->payload_is_json};
    strbuf_add(out, head, sizeof head);
    strbuf_add(out, f->topic.data, f->topic.len);
    strbuf_add(out, f->user_event.data, f->user_event.len);
    strbuf_add(out, meta.data, meta.len);
    strbuf_add(out, f->payload.data, f->payload.len);
    strbuf_fini(&meta);
}

void phx_write_not_replayed(struct strbuf *out, enum phx_vsn vsn, const struct phx_frame *f)
{
    static const struct json_edit unmark = {"meta.replayed", {NULL, 0}};
    struct strbuf payload;
    if (f->kind != PHX_JSON) {
        write_binary(out, f);
        return;
    }
    strbuf_init(&payload, f->payload.len + 2);
    (void)json_edit(&payload, phx_json(f->payload), &unmark, 1);
    const struct phx_say say = {.join_ref = f->join_ref,
                                .ref = f->ref,
                                .topic = f->topic,
                                .event = "broadcast",
                                .payload = {payload.data, payload.len}};
    phx_write(out, vsn, PHX_FROM_SERVER, &say);
    strbuf_fini(&payload);
}
