/* Each side goes through the steps of a table row; what allows a step is known from both sides. See the header. */
#include "health/checker/canary.h"

#include <string.h>

#include "base/mem.h"
#include "health/checker/phoenix.h"

#define CANARY_MAGIC 0xca9a47f2u

struct side {
    bool is_up, has_asked, is_joined, has_left;
    struct phoenix_reader reader;
};

struct canary {
    uint32_t magic;
    char *topic;
    char nonce[CANARY_NONCE_BYTES + 1];
    struct side side[CANARY_SIDES];
    bool is_lost, is_refused, is_sent, has_crossed;
    int64_t sent_ms;
};

struct canary *canary_create(const char *topic, const uint8_t random[CANARY_NONCE_BYTES / 2])
{
    struct canary *c;

    OBJ_NEW(c, CANARY_MAGIC);
    c->topic = mem_strdup(topic);
    hex_text(random, CANARY_NONCE_BYTES / 2, c->nonce);
    return c;
}

void canary_destroy(struct canary **cp)
{
    CHECK_OBJ(*cp, CANARY_MAGIC);
    mem_free((*cp)->topic);
    OBJ_FREE(cp, CANARY_MAGIC);
}

void canary_up(struct canary *c, enum canary_side side)
{
    CHECK_OBJ(c, CANARY_MAGIC);
    c->side[side].is_up = true;
}

void canary_lost(struct canary *c)
{
    CHECK_OBJ(c, CANARY_MAGIC);
    c->is_lost = true;
}

/* ---- what is heard ---- */

static void take_reply(struct canary *c, enum canary_side side, enum phoenix_reply reply)
{
    if (reply == PHOENIX_REPLY_OK)
        c->side[side].is_joined = true;
    else if (reply == PHOENIX_REPLY_ERROR && side == CANARY_THERE)
        c->is_lost = true;
    else if (reply == PHOENIX_REPLY_ERROR)
        c->is_refused = true;
}

void canary_hear(struct canary *c, enum canary_side side, const char *piece, size_t len, bool is_last)
{
    CHECK_OBJ(c, CANARY_MAGIC);
    struct side *s = &c->side[side];
    const char *text;
    size_t text_len;

    if (!phoenix_collect(&s->reader, piece, len, is_last, &text, &text_len))
        return;
    if (!s->is_joined)
        take_reply(c, side, phoenix_reply_to(text, text_len, PHOENIX_JOIN_REF));
    /* Text or binary, in whatever form this server passes broadcasts on: nobody else knows this number, and on this
     * side it was never said. */
    if (side == CANARY_HERE && c->is_sent && memmem(text, text_len, c->nonce, CANARY_NONCE_BYTES) != NULL)
        c->has_crossed = true;
}

/* ---- what is said ---- */

static bool wants_to_leave(const struct canary *c, const struct side *s)
{
    return c->has_crossed && s->is_joined && !s->has_left;
}

static bool wants_to_shout(const struct canary *c, enum canary_side side)
{
    return side == CANARY_THERE && !c->is_sent && c->side[CANARY_HERE].is_joined && c->side[CANARY_THERE].is_joined;
}

bool canary_wants_to_say(const struct canary *c, enum canary_side side)
{
    CHECK_OBJ(c, CANARY_MAGIC);
    const struct side *s = &c->side[side];

    return s->is_up && (!s->has_asked || wants_to_shout(c, side) || wants_to_leave(c, s));
}

/* ["1","<ref>",topic,event,payload] */
static void add_message(const struct canary *c, struct strbuf *out, const char *ref, const char *event)
{
    strbuf_printf(out, "[" PHOENIX_JOIN_REF ",\"%s\",", ref);
    strbuf_json_string(out, c->topic, strlen(c->topic));
    strbuf_printf(out, ",\"%s\",", event);
}

void canary_say(struct canary *c, enum canary_side side, struct strbuf *out, int64_t now_ms)
{
    ASSERT(canary_wants_to_say(c, side));
    struct side *s = &c->side[side];

    if (!s->has_asked) {
        s->has_asked = true;
        add_message(c, out, "2", "phx_join");
        strbuf_puts(out,
                    "{\"config\":{\"broadcast\":{\"ack\":false,\"self\":false},\"presence\":{\"enabled\":false}}}]");
    } else if (wants_to_shout(c, side)) {
        c->is_sent = true;
        c->sent_ms = now_ms;
        add_message(c, out, "3", "broadcast");
        strbuf_printf(out, "{\"type\":\"broadcast\",\"event\":\"canary\",\"payload\":{\"nonce\":\"%s\"}}]", c->nonce);
    } else {
        s->has_left = true;
        add_message(c, out, "4", "phx_leave");
        strbuf_puts(out, "{}]");
    }
}

/* ---- what is found ---- */

enum canary_outcome canary_outcome(const struct canary *c)
{
    CHECK_OBJ(c, CANARY_MAGIC);
    if (c->has_crossed) {
        bool has_left = c->side[CANARY_HERE].has_left && (c->side[CANARY_THERE].has_left || c->is_lost);
        return has_left ? CANARY_CROSSED : CANARY_OPEN;
    }
    return c->is_refused ? CANARY_REFUSED : c->is_lost ? CANARY_UNKNOWN : CANARY_OPEN;
}

enum canary_outcome canary_expire(const struct canary *c, int64_t now_ms, int64_t timeout_ms)
{
    CHECK_OBJ(c, CANARY_MAGIC);
    if (c->has_crossed)
        return CANARY_CROSSED;
    if (!c->side[CANARY_HERE].is_joined)
        return CANARY_OPEN;
    return c->is_sent && now_ms - c->sent_ms >= timeout_ms / 2 ? CANARY_REFUSED : CANARY_UNKNOWN;
}
