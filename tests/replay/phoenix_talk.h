/* One client's Phoenix session through a whole worker, as a conversation: who says what, and who gets what. The test
 * plays the client and its servers. */
#ifndef TESTS_REPLAY_PHOENIX_TALK_H
#define TESTS_REPLAY_PHOENIX_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sock.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"
#include "tests/replay/rig.h"

#define YAML(keys)                                                                                                     \
    "workers: 1\nlisten: [ { address: '127.0.0.1:1' } ]\n"                                                             \
    "pools:\n  rt:\n    servers:\n"                                                                                    \
    "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"                                                                  \
    "      - { name: b, url: 'ws://127.0.0.1:@b' }\n"                                                                  \
    "      - { name: c, url: 'ws://127.0.0.1:@c' }\n"                                                                  \
    "routes:\n  - { path: /ws, pool: rt, websocket: { protocol: phoenix, " keys " } }\n"
#define PATH      "/ws?vsn=2.0.0"
#define TOPIC     "realtime:room"
#define JOINS     "{\"config\":{\"broadcast\":{\"ack\":true},\"presence\":{\"key\":\"ann\"}}}"
#define JOIN      "[\"3\",\"3\",\"" TOPIC "\",\"phx_join\"," JOINS "]"
#define TRACK     "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{\"name\":\"Ann\"}}"
#define PUSH(ref) "[\"3\",\"" ref "\",\"" TOPIC "\",\"broadcast\",{\"event\":\"n\",\"payload\":" ref "}]"
#define OK(ref)   "[\"3\",\"" ref "\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define BEAT      "[null,\"99\",\"phoenix\",\"heartbeat\",{}]"
#define BEAT_OK   "[null,\"99\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define FAILED    "[\"3\",\"3\",\"" TOPIC "\",\"phx_error\",{}]"
#define IS_OK     "{\"status\":\"ok\",\"response\":{}}"
#define HEARD(n)  "[null,null,\"" TOPIC "\",\"broadcast\",{\"event\":\"n\",\"payload\":" n "}]"

/* One side of a WebSocket, and what it has got but not looked at. */
struct side {
    struct rig *rig;
    int fd;
    bool is_client;
    size_t len;
    uint8_t bytes[16384];
};

static inline void drop_bytes(struct side *s, size_t count)
{
    memmove(s->bytes, s->bytes + count, s->len - count);
    s->len -= count;
}

static inline void take_in(struct side *s)
{
    char buf[4096];
    int n;
    while ((n = rig_read(s->rig, s->fd, buf, sizeof buf)) > 0) {
        assert_true(s->len + (size_t)n <= sizeof s->bytes);
        memcpy(s->bytes + s->len, buf, (size_t)n);
        s->len += (size_t)n;
    }
}

/* The next text message, unmasked; "" when there is none. A close is a failure: nobody here shall see one. */
static inline const char *next_text(struct side *s, char out[4096])
{
    take_in(s);
    if (s->len < 2)
        return "";
    size_t header = 2, len = s->bytes[1] & 0x7f;
    const bool is_masked = (s->bytes[1] & 0x80) != 0;
    if (len == 126) {
        len = (size_t)s->bytes[2] << 8 | s->bytes[3];
        header = 4;
    }
    if (is_masked)
        header += 4;
    assert_true(s->len >= header + len && len < 4096);
    if (s->bytes[0] != (0x80 | WS_OPCODE_TEXT))
        fail_msg("%s got a frame that begins with %02x", s->is_client ? "the client" : "a server", s->bytes[0]);
    memcpy(out, s->bytes + header, len);
    if (is_masked)
        ws_mask((uint8_t *)out, len, s->bytes + header - 4, 0);
    out[len] = '\0';
    drop_bytes(s, header + len);
    return out;
}

static inline void gets(struct side *s, const char *expected)
{
    char text[4096];
    const char *got = next_text(s, text);
    if (strcmp(got, expected) != 0)
        fail_msg("%s should have got %s, got %s", s->is_client ? "the client" : "the server", expected, got);
}

static inline void gets_nothing(struct side *s)
{
    gets(s, "");
}

static inline void says(struct side *s, const char *text)
{
    rig_send_text(s->rig, s->fd, text, s->is_client);
}

#define OWN_BYTES 64u

/* A message of the gateway's own, whose reference is remembered. The join_ref is JSON. */
static inline void gets_asked(struct side *s, const char *join_ref, const char *topic, const char *event,
                              const char *payload, char ref[OWN_BYTES])
{
    char text[4096], expected[1024];
    const char *got = next_text(s, text);
    const char *own = strstr(got, ",\"g");
    if (own == NULL)
        fail_msg("the server should have got a %s of the gateway's, got %s", event, got);
    (void)snprintf(ref, OWN_BYTES, "%.*s", (int)strcspn(own + 2, "\""), own + 2);
    (void)snprintf(expected, sizeof expected, "[%s,\"%s\",\"%s\",\"%s\",%s]", join_ref, ref, topic, event, payload);
    assert_string_equal(got, expected);
}

static inline void answers(struct side *s, const char *join_ref, const char *ref, const char *topic,
                           const char *payload)
{
    char text[512];
    (void)snprintf(text, sizeof text, "[%s,\"%s\",\"%s\",\"phx_reply\",%s]", join_ref, ref, topic, payload);
    says(s, text);
}

/* A message of the gateway's own about the room for this event, answered with ok when `is_answered`. */
static inline void gets_own(struct side *s, const char *event, const char *payload, bool is_answered)
{
    char ref[OWN_BYTES];
    gets_asked(s, "\"3\"", TOPIC, event, payload, ref);
    if (is_answered)
        answers(s, "\"3\"", ref, TOPIC, IS_OK);
}

#define GETS_JOIN(s)  gets_own(s, "phx_join", JOINS, true)
#define GETS_TRACK(s) gets_own(s, "presence", TRACK, true)

/* The server that the session comes to next. */
static inline struct side server_asked(struct rig *r)
{
    for (int i = 0; i < RIG_SERVERS; i++) {
        if (r->server_fd[i] < 0 || !rig_has_waiting(r, i))
            continue;
        struct side s = {.rig = r, .fd = rig_accept(r, i)};
        rig_upgrade(r, s.fd);
        return s;
    }
    fail_msg("no server was asked");
    return (struct side){.fd = -1};
}

static inline bool is_any_asked(struct rig *r)
{
    bool is_asked = false;
    for (int i = 0; i < RIG_SERVERS; i++)
        is_asked = is_asked || (r->server_fd[i] >= 0 && rig_has_waiting(r, i));
    return is_asked;
}

static inline void dies(struct side *s)
{
    sock_reset_on_close(s->fd);
    (void)close(s->fd);
    s->fd = -1;
    sim_settle(s->rig->loop);
}

struct world {
    struct rig rig;
    struct side client, server;
};

/* A client that has joined the room on server a, and is present there. */
static inline void world_open(struct world *w, const char *yaml)
{
    memset(w, 0, sizeof *w);
    rig_open(&w->rig, yaml);
    w->client = (struct side){.rig = &w->rig, .is_client = true};
    w->server = (struct side){.rig = &w->rig};
    w->client.fd = rig_websocket(&w->rig, PATH, 0, &w->server.fd);
    says(&w->client, JOIN);
    gets(&w->server, JOIN);
    says(&w->server, OK("3"));
    gets(&w->client, OK("3"));
    says(&w->client, "[\"3\",\"4\",\"" TOPIC "\",\"presence\"," TRACK "]");
    gets(&w->server, "[\"3\",\"4\",\"" TOPIC "\",\"presence\"," TRACK "]");
    says(&w->server, OK("4"));
    gets(&w->client, OK("4"));
}

static inline void world_close(struct world *w)
{
    gets_nothing(&w->client);
    (void)close(w->client.fd);
    sim_settle(w->rig.loop);
    if (w->server.fd >= 0)
        (void)close(w->server.fd);
    rig_close(&w->rig);
}

/* All servers go, and those listening as well. */
static inline void all_gone(struct world *w)
{
    for (int i = 0; i < RIG_SERVERS; i++)
        rig_stop_server(&w->rig, i);
    dies(&w->server);
}

static inline void comes_up(struct rig *r, int server)
{
    struct addr a;
    assert_true(addr_from_ip(&a, "127.0.0.1", r->server_port[server]));
    assert_int_equal(sock_listen(&a, false, 64, &r->server_fd[server]), ERR_NONE);
}

#endif
