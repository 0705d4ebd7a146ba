/* A Phoenix session, in which everybody says anything at any time: the client, servers it is on, goes to and has left;
 * servers die and are found; time passes. The first two bytes choose version and delivery, then each line is an event
 * (see events[]). In what servers say, g#0 to g#7 stand for the newest references of the gateway's own.
 *
 * Laws: what the gateway itself asks a server is JSON; no answer to that reaches the client; a whole message is decided
 * upon; what passes has somewhere to go; and nothing leaks. */
#include "tests/unit/gateway/realtime/fake_session.h"

#include "base/json_scan.h"
#include "gateway/realtime/phx_frame.h"
#include "gateway/realtime/protocol_rows.h"

#define LINE_MAX_BYTES 4096u
#define OWN_COUNT      8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
    struct session *s;
    enum phx_vsn vsn;
    char own[OWN_COUNT][40]; /* with quotes */
    unsigned own_count;
};

struct line {
    char text[LINE_MAX_BYTES + 64];
    size_t len;
};

/* ---- laws ---- */

static bool is_own(const struct world *w, struct phx_text ref)
{
    for (unsigned i = 0; i < w->own_count && i < OWN_COUNT; i++)
        if (phx_text_is(ref, w->own[i]))
            return true;
    return false;
}

/* References of the gateway's begin with g and 16 digits, which no input contains by chance. */
static bool looks_own(struct phx_text ref)
{
    return ref.len > 20 && ref.len < 40 && memcmp(ref.data, "\"g", 2) == 0 && ref.data[18] == '.';
}

static void hear_server(struct world *w, struct leg *l)
{
    while (l->said.count > 0) {
        struct phx_frame f;
        struct fake_message m = fake_said_take(&l->said);
        if (m.opcode == WS_OPCODE_TEXT &&
            phx_frame_read(&f, w->vsn, PHX_FROM_CLIENT, (const uint8_t *)m.data, m.len, false, true) == PHX_READ_OK &&
            looks_own(f.ref)) {
            ASSERT(json_is_value((struct json_text){m.data, m.len}));
            char *own = w->own[w->own_count++ % OWN_COUNT];
            memcpy(own, f.ref.data, f.ref.len);
            own[f.ref.len] = '\0';
        }
        free(m.data);
    }
}

static void hear_client(struct world *w)
{
    while (w->s->told.count > 0) {
        struct phx_frame f;
        struct fake_message m = fake_said_take(&w->s->told);
        if (phx_frame_read(&f, w->vsn, PHX_FROM_SERVER, (const uint8_t *)m.data, m.len, m.opcode == WS_OPCODE_BINARY,
                           true) == PHX_READ_OK)
            ASSERT(!phx_text_is(f.event, "phx_reply") || !is_own(w, f.ref));
        free(m.data);
    }
}

/* ---- events ---- */

static void client_says(struct world *w, const struct line *l, enum ws_opcode opcode, bool is_whole)
{
    struct ws_message m = fake_message(opcode, l->text, l->len);
    m.is_whole = is_whole;
    m.is_at_limit = !is_whole;
    ASSERT(fake_client_says(w->s, m) != SIFT_MORE);
}

static void server_says(struct world *w, struct leg *from, const struct line *l, enum ws_opcode opcode)
{
    if (from != NULL && !from->is_lost && !from->is_failed)
        ASSERT(fake_server_says(w->s, from, fake_message(opcode, l->text, l->len)) != SIFT_MORE);
}

static void on_client_text(struct world *w, const struct line *l)
{
    client_says(w, l, WS_OPCODE_TEXT, true);
}
static void on_client_binary(struct world *w, const struct line *l)
{
    client_says(w, l, WS_OPCODE_BINARY, true);
}
static void on_client_long(struct world *w, const struct line *l)
{
    client_says(w, l, WS_OPCODE_TEXT, false);
}
static void on_server_text(struct world *w, const struct line *l)
{
    server_says(w, w->s->leg, l, WS_OPCODE_TEXT);
}
static void on_server_binary(struct world *w, const struct line *l)
{
    server_says(w, w->s->leg, l, WS_OPCODE_BINARY);
}
static void on_next_text(struct world *w, const struct line *l)
{
    server_says(w, w->s->next, l, WS_OPCODE_TEXT);
}
static void on_old_text(struct world *w, const struct line *l)
{
    server_says(w, w->s->old, l, WS_OPCODE_TEXT);
}

static void on_found(struct world *w, const struct line *l)
{
    (void)l;
    if (w->s->next == NULL && w->s->leg_count < FAKE_LEGS_MAX)
        (void)fake_find(w->s);
}

static void lose(struct world *w, struct leg *l)
{
    w->s->lost_since_ms = w->s->now_ms;
    if (l != NULL)
        fake_lose(w->s, l);
}
static void on_dead(struct world *w, const struct line *l)
{
    (void)l;
    lose(w, w->s->leg);
}
static void on_next_dead(struct world *w, const struct line *l)
{
    (void)l;
    lose(w, w->s->next);
}
static void on_old_dead(struct world *w, const struct line *l)
{
    (void)l;
    lose(w, w->s->old);
}

/* As much as the line is long: from a millisecond to a minute. */
static void on_time(struct world *w, const struct line *l)
{
    struct session *s = w->s;
    s->now_ms += (int64_t)1 << (l->len < 16 ? l->len : 16);
    LIST_EACH (it, &s->held) {
        struct held *h = LIST_ENTRY(it, struct held, link);
        if (h->deadline_ms <= s->now_ms)
            fake_unsent(s, h, HELD_LATE);
    }
    for (int i = 0; i < 8 && s->protocol->due_ms(s->speaker) <= s->now_ms; i++) {
        s->protocol->on_timer(s->speaker);
        hear_client(w);
        for (uint32_t k = 0; k < s->leg_count; k++)
            hear_server(w, s->legs[k]);
    }
}

static void on_beat(struct world *w, const struct line *l)
{
    (void)l;
    if (session_leg(w->s) != NULL)
        w->s->protocol->beat(w->s->speaker, w->s->leg);
}

static void on_given_up(struct world *w, const struct line *l)
{
    (void)l;
    if (w->s->leg == NULL)
        w->s->protocol->give_up(w->s->speaker);
}

static const struct {
    char letter;
    void (*on)(struct world *w, const struct line *l);
} events[] = {
    {'C', on_client_text},   {'K', on_client_binary}, {'L', on_client_long}, {'S', on_server_text},
    {'B', on_server_binary}, {'N', on_next_text},     {'O', on_old_text},    {'F', on_found},
    {'D', on_dead},          {'X', on_next_dead},     {'Y', on_old_dead},    {'T', on_time},
    {'H', on_beat},          {'G', on_given_up},
};

/* A line with the gateway's references in it, which only servers have heard. */
static void read_line(const struct world *w, struct line *l, char letter, const char *text, size_t len)
{
    const unsigned own_count = strchr("SBNO", letter) != NULL ? w->own_count : 0;
    l->len = 0;
    for (size_t i = 0; i < len && l->len < LINE_MAX_BYTES; i++) {
        const unsigned which = i + 2 < len && text[i] == 'g' && text[i + 1] == '#' ? (unsigned)(text[i + 2] - '0') : 99;
        if (which >= OWN_COUNT || which >= own_count) {
            l->text[l->len++] = text[i];
            continue;
        }
        const char *own = w->own[(w->own_count - 1 - which) % OWN_COUNT];
        const size_t own_len = strlen(own) - 2;
        memcpy(l->text + l->len, own + 1, own_len);
        l->len += own_len;
        i += 2;
    }
}

static void happen(struct world *w, char letter, const char *text, size_t len)
{
    struct line l;
    read_line(w, &l, letter, text, len);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i].letter == letter)
            events[i].on(w, &l);
    hear_client(w);
    for (uint32_t i = 0; i < w->s->leg_count; i++)
        hear_server(w, w->s->legs[i]);
    fake_settle(w->s);
    hear_client(w);
    (void)w->s->protocol->wants_server(w->s->speaker);
    (void)w->s->protocol->restore_cost(w->s->speaker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w = {.vsn = PHX_V2};
    struct strbuf out;
    if (len < 2)
        return 0;
    w.vsn = (data[0] & 1) != 0 ? PHX_V1 : PHX_V2;
    w.s = fake_open(&protocol_phoenix, NULL, w.vsn == PHX_V1 ? "vsn=1.0.0" : "vsn=2.0.0");
    w.s->conf.delivery = (data[0] & 2) != 0 ? DELIVERY_AT_LEAST_ONCE : DELIVERY_AT_MOST_ONCE;
    w.s->conf.ready_wait_ms = (data[0] & 4) != 0 ? 8000 : 0;
    w.s->conf.gap = (enum conf_gap)(data[1] % 3);
    w.s->conf.queue_count = 8;
    w.s->conf.channel_count = 4;
    const char *at = (const char *)data + 2, *end = (const char *)data + len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        if (stop > at)
            happen(&w, at[0], at + 1, (size_t)(stop - at) - 1);
        at = stop + (newline != NULL);
    }
    strbuf_init(&out, 1 << 20);
    w.s->protocol->describe(w.s->speaker, &out);
    strbuf_fini(&out);
    fake_close(&w.s);
    return 0;
}
