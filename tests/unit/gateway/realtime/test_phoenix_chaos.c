/* Phoenix sessions under chance: a client that keeps to the protocol, servers that do as well until they die, drop a
 * channel or refuse a join, and moves in between. Whatever happens, what is promised must hold: a push reaches servers
 * once (or, where that was asked for, again, but never behind a newer one), on channels that are joined there, in
 * order; every question gets one answer; a channel is closed only when the client left it; and nothing of the gateway's
 * own reaches the client. The seed of a failure is printed. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

#include "gateway/realtime/phx_answer.h"
#include "gateway/realtime/phx_frame.h"

#define TOPICS   3u
#define STEPS    400u
#define SEEDS    150u
#define REFS_MAX 4096u

enum wish { WISH_NONE = 0, WISH_OPEN, WISH_IGNORED /* by its server, as servers may */, WISH_DONE };

struct room { /* as the client sees it */
    enum { OUT = 0, JOINING, IN, LEAVING } state;
    uint32_t join_ref;
    uint32_t newest_seen; /* the newest push that has reached a server */
    bool has_crashed;     /* on some server, so that pushes may have met nothing there */
};

struct world {
    struct session *s;
    uint64_t dice;
    uint32_t seed;
    bool is_resending;
    bool has_crashed; /* a channel of any room: who leaves then, and loses the server as well, may not be answered */
    struct room rooms[TOPICS];
    uint8_t refs[REFS_MAX];     /* enum wish */
    uint8_t arrivals[REFS_MAX]; /* of pushes, at channels */
    uint32_t ref_count;
    uint32_t joined[FAKE_LEGS_MAX][TOPICS]; /* join_ref on each leg; 0: not joined */
};

static uint32_t roll(struct world *w, uint32_t sides)
{
    w->dice = w->dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->dice >> 33) % sides;
}

#define HOLDS(w, condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            print_error("seed %u\n", (w)->seed);                                                                       \
        assert_true(condition);                                                                                        \
    } while (0)

static uint32_t number_of(struct phx_text ref)
{
    return ref.len > 2 && ref.data[0] == '"' ? (uint32_t)strtoul(ref.data + 1, NULL, 10) : 0;
}

static uint32_t room_of(const struct phx_frame *f)
{
    return f->topic.len == 5 && memcmp(f->topic.data, "room", 4) == 0 ? (uint32_t)(f->topic.data[4] - '0') : TOPICS;
}

/* ---- the client ---- */

static uint32_t ask(struct world *w, uint32_t room, const char *event)
{
    char text[256];
    const uint32_t ref = ++w->ref_count;
    assert_true(ref < REFS_MAX);
    struct room *r = &w->rooms[room];
    if (strcmp(event, "phx_join") == 0)
        r->join_ref = ref;
    w->refs[ref] = WISH_OPEN;
    (void)snprintf(text, sizeof text, "[\"%u\",\"%u\",\"room%u\",\"%s\",{\"type\":\"presence\",\"event\":\"track\"}]",
                   r->join_ref, ref, room, event);
    client_says(w->s, text);
    return ref;
}

static void client_hears_one(struct world *w, const struct fake_message *m)
{
    struct phx_frame f;
    HOLDS(w, phx_frame_read(&f, PHX_V2, PHX_FROM_SERVER, (const uint8_t *)m->data, m->len, false, true) == PHX_READ_OK);
    const uint32_t room = room_of(&f);
    HOLDS(w, room < TOPICS && (f.ref.len < 2 || f.ref.data[1] != 'g'));
    struct room *r = &w->rooms[room];
    if (phx_text_is(f.event, "phx_reply")) {
        const uint32_t ref = number_of(f.ref);
        struct phx_reply reply;
        HOLDS(w, ref > 0 && ref <= w->ref_count);
        /* What a server finds behind the end of a channel it refuses, also when the gateway has given it up already. */
        HOLDS(w, w->refs[ref] != WISH_DONE || r->has_crashed);
        w->refs[ref] = WISH_DONE;
        HOLDS(w, phx_reply_read(&reply, f.payload));
        if (ref == r->join_ref && r->state == JOINING)
            r->state = reply.is_ok ? IN : OUT;
    } else if (phx_text_is(f.event, "phx_close")) {
        HOLDS(w, r->state == LEAVING || number_of(f.join_ref) != r->join_ref);
        if (number_of(f.join_ref) == r->join_ref)
            r->state = OUT;
    } else if (phx_text_is(f.event, "phx_error") && number_of(f.join_ref) == r->join_ref) {
        r->state = OUT;
    }
}

static void client_hears(struct world *w)
{
    while (w->s->told.count > 0) {
        struct fake_message m = fake_said_take(&w->s->told);
        client_hears_one(w, &m);
        free(m.data);
    }
}

static void client_acts(struct world *w)
{
    const uint32_t room = roll(w, TOPICS), what = roll(w, 10);
    struct room *r = &w->rooms[room];
    if (r->state == OUT && what < 5) {
        r->state = JOINING;
        (void)ask(w, room, "phx_join");
    } else if (r->state == IN && what == 0) {
        r->state = LEAVING;
        (void)ask(w, room, "phx_leave");
    } else if (r->state == IN && what == 1) {
        (void)ask(w, room, "presence");
    } else if (r->state == IN) {
        (void)ask(w, room, "push");
    }
    client_hears(w);
}

/* ---- servers ---- */

static void server_answers(struct world *w, struct leg *l, const struct phx_frame *f, const char *status,
                           const char *response)
{
    char text[512];
    (void)snprintf(text, sizeof text, "[%.*s,%.*s,\"%.*s\",\"phx_reply\",{\"status\":\"%s\",\"response\":%s}]",
                   (int)f->join_ref.len, f->join_ref.data, (int)f->ref.len, f->ref.data, (int)f->topic.len,
                   f->topic.data, status, response);
    (void)fake_server_text(w->s, l, text);
    client_hears(w);
}

static void server_ends(struct world *w, struct leg *l, uint32_t room, uint32_t join_ref, const char *event)
{
    char text[128];
    (void)snprintf(text, sizeof text, "[\"%u\",\"%u\",\"room%u\",\"%s\",{}]", join_ref, join_ref, room, event);
    (void)fake_server_text(w->s, l, text);
    client_hears(w);
}

static void take_push(struct world *w, struct leg *l, uint32_t room, const struct phx_frame *f)
{
    const uint32_t n = number_of(f->ref);
    struct room *r = &w->rooms[room];
    if (w->joined[l->epoch][room] == 0 || number_of(f->join_ref) != w->joined[l->epoch][room]) {
        HOLDS(w, r->has_crashed);
        server_answers(w, l, f, "error", "{\"reason\":\"unmatched topic\"}");
        return;
    }
    w->arrivals[n]++;
    HOLDS(w, w->arrivals[n] <= (w->is_resending ? 2 : 1));
    HOLDS(w, w->arrivals[n] > 1 || n > r->newest_seen);
    r->newest_seen = n > r->newest_seen ? n : r->newest_seen;
    if (roll(w, 8) > 0 || w->is_resending)
        server_answers(w, l, f, "ok", "{}");
    else
        w->refs[n] = WISH_IGNORED;
}

static void take_join(struct world *w, struct leg *l, uint32_t room, const struct phx_frame *f)
{
    const uint32_t before = w->joined[l->epoch][room], now = number_of(f->join_ref);
    if (roll(w, 12) == 0) {
        w->joined[l->epoch][room] = 0;
        server_answers(w, l, f, "error", "{\"reason\":\"RealtimeRestarting: Realtime is restarting\"}");
        return;
    }
    w->joined[l->epoch][room] = now;
    server_answers(w, l, f, "ok", "{}");
    if (before != 0)
        server_ends(w, l, room, before, "phx_close");
}

/* The server takes its next message. */
static void server_acts(struct world *w, struct leg *l)
{
    struct phx_frame f;
    if (l == NULL || l->is_failed || l->is_lost || l->said.count == 0)
        return;
    struct fake_message m = fake_said_take(&l->said);
    HOLDS(w, phx_frame_read(&f, PHX_V2, PHX_FROM_CLIENT, (const uint8_t *)m.data, m.len, false, true) == PHX_READ_OK);
    const uint32_t room = room_of(&f);
    if (room == TOPICS) {
        HOLDS(w, phx_text_is(f.event, "heartbeat"));
        server_answers(w, l, &f, "ok", "{}");
    } else if (phx_text_is(f.event, "phx_join")) {
        take_join(w, l, room, &f);
    } else if (phx_text_is(f.event, "phx_leave")) {
        const uint32_t join_ref = number_of(f.join_ref);
        const bool is_joined = w->joined[l->epoch][room] == join_ref;
        if (is_joined || w->joined[l->epoch][room] == 0)
            server_answers(w, l, &f, "ok", "{}");
        if (is_joined) {
            w->joined[l->epoch][room] = 0;
            server_ends(w, l, room, join_ref, "phx_close");
        }
    } else if (phx_text_is(f.event, "presence")) {
        server_answers(w, l, &f, "ok", "{}");
    } else {
        take_push(w, l, room, &f);
    }
    free(m.data);
}

static void something_happens(struct world *w)
{
    struct session *s = w->s;
    const uint32_t what = roll(w, 60);
    if (what == 0 && s->leg != NULL && s->leg_count + 2 < FAKE_LEGS_MAX) {
        dies(s, s->leg);
    } else if (what == 1 && s->next != NULL) {
        dies(s, s->next);
    } else if (what == 2 && s->leg != NULL && s->next == NULL && s->leg_count + 2 < FAKE_LEGS_MAX) {
        (void)fake_find(s);
    } else if (what == 3 && s->leg != NULL && w->seed % 2 == 0) {
        const uint32_t room = roll(w, TOPICS), join_ref = w->joined[s->leg->epoch][room];
        w->joined[s->leg->epoch][room] = 0;
        w->rooms[room].has_crashed = w->has_crashed = true;
        if (join_ref != 0)
            server_ends(w, s->leg, room, join_ref, roll(w, 2) == 0 ? "phx_error" : "phx_close");
    } else if (what < 8) {
        time_passes(s, roll(w, 300));
    }
    fake_settle(s);
    client_hears(w);
}

static void server_is_found(struct world *w)
{
    struct session *s = w->s;
    if (s->asked_move_count > 0 && s->leg != NULL && s->next == NULL && s->leg_count + 2 < FAKE_LEGS_MAX) {
        s->asked_move_count = 0;
        (void)fake_find(s);
    }
    if (w->s->leg == NULL && w->s->protocol->wants_server(w->s->speaker) && w->s->leg_count + 1 < FAKE_LEGS_MAX)
        (void)fake_find(w->s);
    client_hears(w);
}

static void plays(uint32_t seed, bool is_resending)
{
    struct world w = {.dice = seed * 2654435761u + 1, .seed = seed, .is_resending = is_resending};
    w.s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    w.s->conf.gap = GAP_NOTICE;
    w.s->conf.delivery = is_resending ? DELIVERY_AT_LEAST_ONCE : DELIVERY_AT_MOST_ONCE;
    for (uint32_t i = 0; i < STEPS; i++) {
        client_acts(&w);
        server_acts(&w, w.s->leg);
        server_acts(&w, w.s->next);
        server_acts(&w, w.s->old);
        something_happens(&w);
        if (roll(&w, 5) == 0)
            server_is_found(&w);
    }
    /* It becomes calm: whatever was asked is answered, one way or the other. */
    for (uint32_t i = 0; i < 300; i++) {
        struct leg *const legs[] = {w.s->leg, w.s->next, w.s->old};
        for (size_t k = 0; k < 3; k++)
            server_acts(&w, legs[k]);
        fake_settle(w.s);
        time_passes(w.s, 100);
        client_hears(&w);
        server_is_found(&w);
    }
    for (uint32_t ref = 1; ref <= w.ref_count; ref++) {
        if (w.refs[ref] == WISH_OPEN && !w.has_crashed)
            print_error("reference %u is not answered\n", ref);
        HOLDS(&w, w.refs[ref] != WISH_OPEN || w.has_crashed);
    }
    HOLDS(&w, !session_has_held(w.s));
    fake_close(&w.s);
}

static void test_promises_hold_at_most_once(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        plays(seed, false);
}

static void test_promises_hold_at_least_once(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        plays(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_hold_at_most_once),
        cmocka_unit_test(test_promises_hold_at_least_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
