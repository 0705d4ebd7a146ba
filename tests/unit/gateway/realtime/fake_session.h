/* A session for speakers under test: it has legs that say nothing by themselves, a clock that stands, and keeps what is
 * said to everybody until the test has looked at it. It does with a speaker what gateway/realtime/session.c does, in
 * the same order, and at once.
 *
 * One program, one speaker: the functions of gateway/realtime/session.h are defined here. */
#ifndef TESTS_UNIT_GATEWAY_REALTIME_FAKE_SESSION_H
#define TESTS_UNIT_GATEWAY_REALTIME_FAKE_SESSION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/realtime/protocol.h"
#include "gateway/realtime/session.h"

#define FAKE_LEGS_MAX 16u

struct fake_message {
    enum ws_opcode opcode;
    size_t len;
    char *data; /* NUL behind it */
};

/* What was said to one side, oldest first. */
struct fake_said {
    struct fake_message *messages;
    uint32_t first, count, room;
};

struct leg {
    uint32_t epoch;
    bool is_lost;
    bool is_failed; /* by the speaker: the test has still to call fake_settle() */
    bool is_restored;
    enum leg_fault fault;
    const char *why;
    int64_t heard_ms;
    uint16_t close_code;
    uint32_t answered_count; /* heartbeats */
    int64_t silence_ms;
    size_t buffered;
    struct fake_said said;
};

struct session {
    const struct protocol *protocol;
    void *speaker;
    struct conf_session conf;
    int64_t now_ms;
    uint64_t random;
    struct leg *leg, *next, *old;
    struct leg *legs[FAKE_LEGS_MAX];
    uint32_t leg_count;
    struct list held;
    uint32_t held_count;
    struct fake_said told; /* to the client */
    int64_t counts[STAT_ROUTE_COUNT];
    uint32_t wants_changed_count;
    uint32_t asked_move_count;
    uint16_t end_code; /* 0: it goes on */
    char end_reason[128];
    const char *note;
    int64_t lost_since_ms;
};

/* ---- what was said ---- */

static inline void fake_said_add(struct fake_said *s, enum ws_opcode opcode, const void *data, size_t len)
{
    if (s->count == 0)
        s->first = 0;
    if (s->first + s->count == s->room) {
        s->room = s->room > 0 ? 2 * s->room : 16;
        s->messages = mem_realloc(s->messages, s->room * sizeof *s->messages);
    }
    struct fake_message *m = &s->messages[s->first + s->count++];
    *m = (struct fake_message){.opcode = opcode, .len = len, .data = malloc(len + 1)};
    if (len > 0)
        memcpy(m->data, data, len);
    m->data[len] = '\0';
}

/* The oldest message, which the caller frees; there must be one. */
static inline struct fake_message fake_said_take(struct fake_said *s)
{
    ASSERT(s->count > 0);
    s->count--;
    return s->messages[s->first++];
}

static inline void fake_expect_bytes(struct fake_said *s, const void *data, size_t len)
{
    struct fake_message m = fake_said_take(s);
    if (m.len != len)
        print_error("expected %zu bytes, got %zu: %s\n", len, m.len, m.data);
    assert_int_equal(m.len, len);
    assert_memory_equal(m.data, data, len);
    free(m.data);
}

static inline void fake_expect(struct fake_said *s, const char *text)
{
    struct fake_message m = fake_said_take(s);
    assert_string_equal(m.data, text);
    free(m.data);
}

static inline void fake_expect_nothing(const struct fake_said *s)
{
    if (s->count > 0)
        print_error("unexpected: %s\n", s->messages[s->first].data);
    assert_int_equal(s->count, 0);
}

static inline void fake_forget(struct fake_said *s)
{
    while (s->count > 0)
        free(fake_said_take(s).data);
    mem_free(s->messages);
    *s = (struct fake_said){0};
}

/* ---- gateway/realtime/session.h ---- */

const struct conf_session *session_conf(const struct session *s)
{
    return &s->conf;
}
int64_t session_now_ms(const struct session *s)
{
    return s->now_ms;
}
int64_t session_wall_ms(const struct session *s)
{
    return 1700000000000 + s->now_ms;
}
uint64_t session_random(struct session *s)
{
    return s->random = s->random * 6364136223846793005u + 1442695040888963407u;
}
struct leg *session_leg(const struct session *s)
{
    return s->leg != NULL && !s->leg->is_failed ? s->leg : NULL;
}
struct leg *session_next_leg(const struct session *s)
{
    return s->next != NULL && !s->next->is_failed ? s->next : NULL;
}
struct leg *session_old_leg(const struct session *s)
{
    return s->old != NULL && !s->old->is_failed ? s->old : NULL;
}
void session_tell(struct session *s, enum ws_opcode opcode, const void *payload, size_t len)
{
    fake_said_add(&s->told, opcode, payload, len);
}
void session_keep_near(struct session *s, unsigned which, const void *at, size_t bytes)
{
    (void)s;
    (void)bytes;
    ASSERT(which < SESSION_NEAR_COUNT && at != NULL);
}
void session_wants_changed(struct session *s)
{
    s->wants_changed_count++;
}
void session_ask_move(struct session *s)
{
    ASSERT(session_leg(s) != NULL);
    s->asked_move_count++;
}
void session_end(struct session *s, uint16_t code, const char *reason)
{
    if (s->end_code != 0)
        return;
    s->end_code = code;
    snprintf(s->end_reason, sizeof s->end_reason, "%s", reason);
}
void session_count(struct session *s, enum stat_route id, int64_t count)
{
    s->counts[id] += count;
}
void session_note(struct session *s, const char *what)
{
    s->note = what;
}
int64_t session_lost_since_ms(const struct session *s)
{
    return s->lost_since_ms;
}

void held_free(struct held **hp)
{
    free(*hp);
    *hp = NULL;
}
struct held *session_take_held(struct session *s, struct held *h)
{
    list_unlink(&h->link);
    s->held_count--;
    return h;
}
static inline void fake_unsent(struct session *s, struct held *h, enum held_fate fate)
{
    h = session_take_held(s, h);
    session_count(s, STAT_ROUTE_SESSION_DROPPED, 1);
    s->protocol->on_unsent(s->speaker, h, fate);
    held_free(&h);
}
void session_hold(struct session *s, const struct ws_message *m, uint32_t lane, int64_t deadline_ms, const void *note,
                  size_t note_bytes)
{
    ASSERT(m->is_whole);
    struct held *h = calloc(1, sizeof *h + note_bytes + m->frames_bytes);
    h->lane = lane;
    h->since_ms = s->now_ms;
    h->deadline_ms = deadline_ms;
    h->note_bytes = (uint32_t)note_bytes;
    h->frames_bytes = (uint32_t)m->frames_bytes;
    if (note_bytes > 0)
        memcpy(h->data, note, note_bytes);
    if (m->frames_bytes > 0)
        memcpy(h->data + note_bytes, m->frames, m->frames_bytes);
    session_count(s, STAT_ROUTE_SESSION_QUEUED, 1);
    list_append(&s->held, &h->link);
    s->held_count++;
    while (s->held_count > s->conf.queue_count)
        fake_unsent(s, LIST_ENTRY(s->held.next, struct held, link), HELD_OVERFLOWED);
}
bool session_can_hold(const struct session *s, size_t bytes)
{
    (void)bytes;
    return s->held_count < s->conf.queue_count;
}
struct held *session_first_held(struct session *s, uint32_t lane)
{
    LIST_EACH (it, &s->held) {
        struct held *h = LIST_ENTRY(it, struct held, link);
        if (h->lane == lane)
            return h;
    }
    return NULL;
}
bool session_has_held(const struct session *s)
{
    return s->held_count > 0;
}
void session_hold_again(struct session *s, struct held *h)
{
    struct held *first = session_first_held(s, h->lane);
    list_insert_before(first != NULL ? &first->link : &s->held, &h->link);
    s->held_count++;
}

uint32_t leg_epoch(const struct leg *l)
{
    return l->epoch;
}
const char *leg_server(const struct leg *l)
{
    (void)l;
    return "pool/server";
}
int64_t leg_heard_ms(const struct leg *l)
{
    return l->heard_ms;
}
uint16_t leg_close_code(const struct leg *l)
{
    return l->close_code;
}
void leg_send(struct leg *l, enum ws_opcode opcode, const void *payload, size_t len)
{
    if (!l->is_failed && !l->is_lost)
        fake_said_add(&l->said, opcode, payload, len);
}
/* The client's frames are what it said, here. */
void leg_send_frames(struct leg *l, const void *frames, size_t len)
{
    leg_send(l, WS_OPCODE_TEXT, frames, len);
}
size_t leg_buffered(const struct leg *l)
{
    return l->buffered;
}
void leg_beat_answered(struct leg *l)
{
    l->answered_count++;
}
void leg_allow_silence(struct leg *l, int64_t ms)
{
    l->silence_ms = ms;
}
void leg_fail(struct leg *l, enum leg_fault fault, const char *why)
{
    if (l->is_failed)
        return;
    l->is_failed = true;
    l->fault = fault;
    l->why = why;
}

static struct session *fake; /* the only one of this program: legs do not know theirs */

void leg_restored(struct leg *l)
{
    struct session *s = fake;
    if (l->is_failed || l->is_restored)
        return;
    l->is_restored = true;
    if (l != s->next)
        return;
    s->old = s->leg;
    s->leg = l;
    s->next = NULL;
    s->protocol->on_moved(s->speaker, s->old);
}

/* ---- what a test does ---- */

static inline struct leg *fake_leg_new(struct session *s)
{
    ASSERT(s->leg_count < FAKE_LEGS_MAX);
    struct leg *l = calloc(1, sizeof *l);
    s->legs[s->leg_count++] = l;
    l->epoch = s->leg_count;
    return l;
}

/* With the first leg, which needs no restoring. */
static inline struct session *fake_open(const struct protocol *p, const char *subprotocol, const char *query)
{
    struct session *s = calloc(1, sizeof *s);
    struct protocol_hello h = {.query = {query, query != NULL ? strlen(query) : 0},
                               .subprotocol = {subprotocol, subprotocol != NULL ? strlen(subprotocol) : 0}};
    fake = s;
    s->protocol = p;
    s->now_ms = 1000000;
    list_init(&s->held);
    s->conf = (struct conf_session){.heartbeat_ms = 30000,
                                    .dead_after_ms = 45000,
                                    .queue_count = 100,
                                    .queue_bytes = 1 << 20,
                                    .channel_count = 100,
                                    .give_up_ms = 30000,
                                    .answer_ms = 8000};
    s->speaker = p->open(s, &h);
    if (s->speaker == NULL)
        return s;
    s->leg = fake_leg_new(s);
    s->leg->is_restored = true;
    return s;
}

static inline void fake_close(struct session **sp)
{
    struct session *s = *sp;
    if (s->speaker != NULL)
        s->protocol->close(s->speaker);
    while (!list_is_empty(&s->held)) {
        struct held *h = session_take_held(s, LIST_ENTRY(s->held.next, struct held, link));
        held_free(&h);
    }
    for (uint32_t i = 0; i < s->leg_count; i++) {
        fake_forget(&s->legs[i]->said);
        free(s->legs[i]);
    }
    fake_forget(&s->told);
    free(s);
    *sp = fake = NULL;
}

static inline struct ws_message fake_message(enum ws_opcode opcode, const void *data, size_t len)
{
    return (struct ws_message){
        .opcode = opcode, .is_whole = true, .payload = data, .len = len, .frames = data, .frames_bytes = len};
}

static inline enum sift_verdict fake_client_says(struct session *s, struct ws_message m)
{
    const enum sift_verdict v = s->protocol->on_client(s->speaker, &m);
    if (v == SIFT_PASS) {
        ASSERT(session_leg(s) != NULL);
        leg_send(s->leg, m.opcode, m.payload, m.len);
    }
    return v;
}

static inline enum sift_verdict fake_server_says(struct session *s, struct leg *from, struct ws_message m)
{
    const enum sift_verdict v = s->protocol->on_server(s->speaker, from, &m);
    if (v == SIFT_PASS)
        session_tell(s, m.opcode, m.payload, m.len);
    return v;
}

static inline enum sift_verdict fake_client_text(struct session *s, const char *text)
{
    return fake_client_says(s, fake_message(WS_OPCODE_TEXT, text, strlen(text)));
}

static inline enum sift_verdict fake_server_text(struct session *s, struct leg *from, const char *text)
{
    return fake_server_says(s, from, fake_message(WS_OPCODE_TEXT, text, strlen(text)));
}

/* A server was found: the speaker restores on it. With a leg that lives it is a planned move. */
static inline struct leg *fake_find(struct session *s)
{
    struct leg *l = fake_leg_new(s);
    if (s->leg != NULL)
        s->next = l;
    else
        s->leg = l;
    s->protocol->restore(s->speaker, l);
    return l;
}

/* A leg is lost: what the session does of that at the end of the pass. */
static inline void fake_lose(struct session *s, struct leg *l)
{
    const bool was_current = l == s->leg, was_next = l == s->next;
    l->is_lost = true;
    if (was_current)
        s->leg = NULL;
    if (was_next)
        s->next = NULL;
    if (l == s->old)
        s->old = NULL;
    if (was_current || was_next)
        s->protocol->on_lost(s->speaker, l);
    if (was_current && session_next_leg(s) != NULL) {
        s->leg = s->next;
        s->next = NULL;
    }
}

/* What leg_fail() began comes to its end. */
static inline void fake_settle(struct session *s)
{
    for (uint32_t i = 0; i < s->leg_count; i++)
        if (s->legs[i]->is_failed && !s->legs[i]->is_lost)
            fake_lose(s, s->legs[i]);
}

/* The server closes; whether that is the end of the session. */
static inline bool fake_server_closes(struct session *s, struct leg *l, uint16_t code, const char *reason)
{
    if (s->protocol->on_server_close != NULL &&
        s->protocol->on_server_close(s->speaker, l, code, reason, strlen(reason)))
        return true;
    fake_lose(s, l);
    return false;
}

static inline void fake_advance(struct session *s, int64_t ms)
{
    const int64_t end_ms = s->now_ms + ms;
    int64_t due_ms;
    for (unsigned i = 0; (due_ms = s->protocol->due_ms(s->speaker)) <= end_ms; i++) {
        ASSERT(i < 1000); /* or it never comes to rest */
        if (due_ms > s->now_ms)
            s->now_ms = due_ms;
        s->protocol->on_timer(s->speaker);
        fake_settle(s);
    }
    s->now_ms = end_ms;
}

#endif
