/* Scripts of Phoenix sessions: what the client says, what a server gets, what it says, what the client gets.
 *
 * In expected messages g#0 to g#9 stand for a reference of the gateway's own, which is remembered, so that a server can
 * answer it by the same name; a * stands for anything up to the next quotation mark. */
/* Tests are named after the corner cases of recovery:
 *
 *    1- 4, 12, 13, 30   pushes under way, order, presence, echoes     test_phoenix_flight.c
 *    3                  joins and tracks that kill servers             test_phoenix_poison.c
 *    5- 9, 11, 14, 15, 17   tokens, gaps, keys, joins under way       test_phoenix_restore.c
 *   10                  planned moves, two servers at once            test_phoenix_move.c, test_phoenix_feeds.c,
 *                                                                     test_phoenix_restarting.c
 *   18-20, 22-25        closes, versions, names, refusals             test_phoenix_channel.c
 *   16                  a server that is thought dead and is not      tests/replay/test_session_phoenix.c
 *   21                  a client that does not read                   tests/replay/test_session_slow.c
 *   26-29               of the checker, the operator, the worker and plain requests; no business of a session */
#ifndef TESTS_UNIT_GATEWAY_REALTIME_PHOENIX_SCRIPT_H
#define TESTS_UNIT_GATEWAY_REALTIME_PHOENIX_SCRIPT_H

#include "tests/unit/gateway/realtime/fake_session.h"

#include "gateway/realtime/protocol_rows.h"

#define OWN_REFS 10u

static char own_refs[OWN_REFS][64];

static inline bool matches(const char *expected, const char *actual)
{
    while (*expected != '\0') {
        if (*expected == '*') {
            const size_t most = strcspn(actual, "\"");
            for (size_t i = 0; i <= most; i++)
                if (matches(expected + 1, actual + i))
                    return true;
            return false;
        }
        if (expected[0] == 'g' && expected[1] == '#') {
            const size_t len = strcspn(actual, "\"");
            char *own = own_refs[expected[2] - '0'];
            if (*actual != 'g' || len >= sizeof own_refs[0])
                return false;
            memcpy(own, actual, len);
            own[len] = '\0';
            expected += 3;
            actual += len;
            continue;
        }
        if (*expected++ != *actual++)
            return false;
    }
    return *actual == '\0';
}

static inline void got(struct fake_said *said, const char *who, const char *expected)
{
    if (said->count == 0)
        print_error("%s should have got: %s\n", who, expected);
    struct fake_message m = fake_said_take(said);
    if (!matches(expected, m.data))
        print_error("%s should have got: %s\n%s got: %s\n", who, expected, who, m.data);
    assert_true(matches(expected, m.data));
    free(m.data);
}

static inline void client_got(struct session *s, const char *expected)
{
    got(&s->told, "the client", expected);
}
static inline void client_got_nothing(struct session *s)
{
    fake_expect_nothing(&s->told);
}
static inline void server_got(struct leg *l, const char *expected)
{
    got(&l->said, "the server", expected);
}
static inline void server_got_nothing(struct leg *l)
{
    fake_expect_nothing(&l->said);
}
static inline void client_says(struct session *s, const char *text)
{
    (void)fake_client_text(s, text);
}

static inline void server_says(struct session *s, struct leg *from, const char *text)
{
    char out[4096];
    size_t len = 0;
    while (*text != '\0') {
        assert_true(len + sizeof own_refs[0] < sizeof out);
        if (text[0] == 'g' && text[1] == '#') {
            const char *own = own_refs[text[2] - '0'];
            memcpy(out + len, own, strlen(own));
            len += strlen(own);
            text += 3;
        } else {
            out[len++] = *text++;
        }
    }
    out[len] = '\0';
    (void)fake_server_text(s, from, out);
}

/* Time passes: messages that waited too long are given back, and the speaker's timers run. */
static inline void time_passes(struct session *s, int64_t ms)
{
    const int64_t end_ms = s->now_ms + ms;
    for (;;) {
        int64_t next_ms = s->protocol->due_ms(s->speaker);
        LIST_EACH (it, &s->held) {
            const struct held *h = LIST_ENTRY(it, struct held, link);
            next_ms = h->deadline_ms < next_ms ? h->deadline_ms : next_ms;
        }
        if (next_ms > end_ms)
            break;
        s->now_ms = next_ms > s->now_ms ? next_ms : s->now_ms;
        LIST_EACH (it, &s->held) {
            struct held *h = LIST_ENTRY(it, struct held, link);
            if (h->deadline_ms <= s->now_ms)
                fake_unsent(s, h, HELD_LATE);
        }
        fake_advance(s, 0);
    }
    s->now_ms = end_ms;
}

/* The server dies. What is missed is missed since the first of those that die before all is restored. */
static inline void dies(struct session *s, struct leg *l)
{
    l->heard_ms = s->now_ms;
    if (l->is_restored || l->epoch == 1)
        s->lost_since_ms = s->now_ms;
    fake_lose(s, l);
    time_passes(s, 0);
}

/* ---- a room, vsn 2.0.0 ---- */

#define TOPIC        "realtime:room"
#define JOIN(config) "[\"3\",\"3\",\"" TOPIC "\",\"phx_join\",{\"config\":{" config "},\"access_token\":\"J1\"}]"
/* As a server gets it, with a key that is the same everywhere. */
#define PINNED(config)         config "*\"presence\":{\"key\":\"*\"}"
#define REJOIN(number, config) REJOIN_AS(number, PINNED(config))
#define REJOIN_AS(number, config)                                                                                      \
    "[\"3\",\"g#" number "\",\"" TOPIC "\",\"phx_join\",{\"config\":{" config "},\"access_token\":\"J1\"}]"
#define REPLY(ref, status, response)                                                                                   \
    "[\"3\",\"" ref "\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"" status "\",\"response\":" response "}]"
#define REASON(text)     "{\"reason\":\"" text "\"}"
#define PUSH(ref, event) "[\"3\",\"" ref "\",\"" TOPIC "\",\"" event "\",{\"n\":" ref "}]"
#define BROADCAST(ref)                                                                                                 \
    "[\"3\",\"" ref "\",\"" TOPIC "\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"n\",\"payload\":{\"n\":" ref   \
    "}}]"
#define TRACK(ref, name)                                                                                               \
    "[\"3\",\"" ref "\",\"" TOPIC                                                                                      \
    "\",\"presence\",{\"type\":\"presence\",\"event\":\"track\",\"payload\":{\"name\":\"" name "\"}}]"
#define LEAVE(ref)   "[\"3\",\"" ref "\",\"" TOPIC "\",\"phx_leave\",{}]"
#define ENDED(event) "[\"3\",\"3\",\"" TOPIC "\",\"" event "\",{}]"
#define SYSTEM(extension, status, message)                                                                             \
    "[\"3\",null,\"" TOPIC "\",\"system\",{\"extension\":\"" extension "\",\"status\":\"" status                       \
    "\",\"message\":\"" message "\",\"channel\":\"room\"}]"
#define RESUMED SYSTEM("gateway", "ok", "resumed; messages between * may be missing")
#define ACKS    "\"broadcast\":{\"ack\":true}"
#define CHANGES "\"postgres_changes\":[{\"event\":\"*\",\"schema\":\"public\"}]"
#define LISTED  "{\"postgres_changes\":[{\"id\":7,\"event\":\"*\",\"schema\":\"public\"}]}"
#define READY   SYSTEM("postgres_changes", "ok", "Subscribed to PostgreSQL")

#define BEAT(ref)       "[null,\"" ref "\",\"phoenix\",\"heartbeat\",{}]"
#define BEAT_REPLY(ref) "[null,\"" ref "\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define HEARD(n)                                                                                                       \
    "[null,null,\"" TOPIC "\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"n\",\"payload\":{\"n\":" n "}}]"

/* A client with one channel, joined with this message. */
static inline struct session *joined_with(const char *join, const char *reply)
{
    struct session *s = fake_open(&protocol_phoenix, NULL, "apikey=k&vsn=2.0.0");
    s->conf.gap = GAP_SILENT; /* as far as a test is about something else */
    client_says(s, join);
    fake_forget(&s->leg->said);
    server_says(s, s->leg, reply);
    fake_forget(&s->told);
    return s;
}
#define JOINED(config) joined_with(JOIN(config), REPLY("3", "ok", "{}"))

/* A second channel, of no interest in itself. */
static inline void joins_other(struct session *s)
{
    client_says(s, "[\"4\",\"4\",\"other\",\"phx_join\",{}]");
    server_says(s, s->leg, "[\"4\",\"4\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    fake_forget(&s->told);
    fake_forget(&s->leg->said);
}

/* The next server has been found and has the channel; pushes wait for the old one's last word. */
static inline struct leg *moves(struct session *s, const char *config_rejoin)
{
    struct leg *next = fake_find(s);
    server_got(next, config_rejoin);
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(s->leg, BEAT("g#9"));
    return next;
}

static inline void ends(struct session *s)
{
    client_got_nothing(s);
    if (s->leg != NULL)
        server_got_nothing(s->leg);
    fake_close(&s);
}

#endif
