/* Phoenix channels as a table of facts. */
#include "gateway/realtime/phx_channel.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

struct phx_channel *phx_channel_create(struct phx_text topic, uint32_t lane)
{
    struct phx_channel *c;
    OBJ_NEW(c, PHX_CHANNEL_MAGIC);
    c->lane = lane;
    c->topic = mem_strndup(topic.data, topic.len);
    c->topic_bytes = (uint32_t)topic.len;
    list_init(&c->link);
    return c;
}

static void forget_join(struct phx_channel *c)
{
    struct phx_text *const texts[] = {&c->join, &c->changes, &c->token, &c->track, &c->answer, &c->trouble};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        phx_channel_keep(texts[i], (struct phx_text){0});
    mem_free(c->join_ref);
    mem_free(c->ref);
    c->join_ref = c->ref = NULL;
    c->pending_count = 0;
    mem_free(c->seen);
    c->seen = NULL;
    for (size_t i = 0; i < sizeof c->ids / sizeof c->ids[0]; i++)
        if (c->ids[i] != NULL)
            phx_ids_destroy(&c->ids[i]);
}

/* Others may have a config as well, in which a presence would be strange. */
static bool is_of_supabase(const char *topic)
{
    static const char prefix[] = "realtime:";
    return strncmp(topic, prefix, sizeof prefix - 1) == 0;
}

void phx_channel_join(struct phx_channel *c, const struct phx_frame *f, int64_t now_ms)
{
    struct phx_join j;
    CHECK_OBJ(c, PHX_CHANNEL_MAGIC);
    ASSERT(f->payload.len <= PHX_KEPT_BYTES);
    forget_join(c);
    memset(c->on, 0, sizeof c->on);
    c->life = PHX_JOINING;
    c->asked_ms = now_ms;
    c->refused_count = c->loss_count = c->track_loss_count = 0;
    c->is_ready_told = c->is_stored_swallowed = false;
    c->echo = 0;
    c->has_new_presence = c->has_pushed_long = c->was_before = false;
    c->closing_ms = c->lost_ms = c->rejoined_ms = c->stored_ms = c->notice_by_ms = c->fail_by_ms = 0;
    c->join_ref =
        mem_strndup(f->join_ref.len > 0 ? f->join_ref.data : "null", f->join_ref.len > 0 ? f->join_ref.len : 4);
    c->ref = mem_strndup(f->ref.len > 0 ? f->ref.data : "null", f->ref.len > 0 ? f->ref.len : 4);
    if (!phx_join_read(&j, f->payload))
        memset(&j, 0, sizeof j);
    else
        phx_channel_keep(&c->join, f->payload);
    c->is_supabase = j.is_supabase;
    c->is_private = j.is_private;
    c->acks_broadcasts = j.acks_broadcasts;
    c->gets_own = j.gets_own;
    c->has_changes = j.change_count > 0;
    c->wants_replay = j.wants_replay;
    c->has_random_key = j.has_random_key && (!j.lacks_presence || is_of_supabase(c->topic));
    c->expires_ms = j.token.len > 0 ? phx_token_expires_ms(j.token) : 0;
}

void phx_channel_destroy(struct phx_channel **cp)
{
    struct phx_channel *c = *cp;
    CHECK_OBJ(c, PHX_CHANNEL_MAGIC);
    forget_join(c);
    list_unlink(&c->link);
    mem_free(c->topic);
    mem_free(c->pending);
    OBJ_FREE(cp, PHX_CHANNEL_MAGIC);
}

void phx_channel_keep(struct phx_text *text, struct phx_text value)
{
    char *copy = NULL;
    if (value.data != NULL && value.len <= PHX_KEPT_BYTES)
        copy = mem_strndup(value.data, value.len);
    mem_free((char *)(uintptr_t)text->data);
    *text = (struct phx_text){copy, copy != NULL ? value.len : 0};
}

/* ---- pushes without an answer ---- */

void phx_channel_pend(struct phx_channel *c, struct phx_text ref, enum phx_push push, int64_t now_ms)
{
    CHECK_OBJ(c, PHX_CHANNEL_MAGIC);
    if (ref.len == 0 || ref.len > PHX_REF_BYTES || phx_ref_is_null(ref))
        return;
    if (c->pending_count == PHX_PENDING_MAX)
        phx_channel_answered(c, &c->pending[0]);
    if (c->pending_count == c->pending_room) {
        c->pending_room = c->pending_room == 0 ? 4 : (uint8_t)(c->pending_room * 2);
        c->pending = mem_realloc(c->pending, c->pending_room * sizeof *c->pending);
    }
    struct phx_pending *p = &c->pending[c->pending_count++];
    *p = (struct phx_pending){.since_ms = now_ms, .ref_bytes = (uint8_t)ref.len, .push = (uint8_t)push};
    memcpy(p->ref, ref.data, ref.len);
}

struct phx_pending *phx_channel_pending(struct phx_channel *c, struct phx_text ref)
{
    /* Servers repeat a reference as it was written, and nearly all answer in order. */
    for (uint8_t i = 0; i < c->pending_count; i++)
        if (phx_text_equal((struct phx_text){c->pending[i].ref, c->pending[i].ref_bytes}, ref))
            return &c->pending[i];
    for (uint8_t i = 0; i < c->pending_count; i++)
        if (phx_ref_equal((struct phx_text){c->pending[i].ref, c->pending[i].ref_bytes}, ref))
            return &c->pending[i];
    return NULL;
}

void phx_channel_answered(struct phx_channel *c, struct phx_pending *p)
{
    const size_t at = (size_t)(p - c->pending);
    ASSERT(at < c->pending_count);
    memmove(p, p + 1, (c->pending_count - at - 1) * sizeof *p);
    c->pending_count--;
}

/* ---- stored broadcasts ---- */

bool phx_channel_saw(struct phx_channel *c, struct phx_text id)
{
    static const uint8_t key[16] = "ids of broadcast";
    const uint64_t hash = siphash24(key, id.data, id.len);
    if (c->seen == NULL)
        c->seen = mem_alloc_array(PHX_SEEN_MAX, sizeof *c->seen);
    for (uint32_t i = 0; i < PHX_SEEN_MAX; i++)
        if (c->seen[i] == hash)
            return true;
    c->seen[c->seen_next++ % PHX_SEEN_MAX] = hash;
    return false;
}
