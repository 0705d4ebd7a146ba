/* What scripts about graphql-transport-ws sessions say: messages of each side, and what the other one hears. */
#ifndef TESTS_UNIT_GATEWAY_REALTIME_GRAPHQL_SCRIPT_H
#define TESTS_UNIT_GATEWAY_REALTIME_GRAPHQL_SCRIPT_H

#include "gateway/realtime/protocol_rows.h"
#include "tests/unit/gateway/realtime/fake_session.h"

#define INIT         "{\"type\":\"connection_init\",\"payload\":{\"token\":\"t\"}}"
#define ACK          "{\"type\":\"connection_ack\"}"
#define OP(id, text) "{\"id\":\"" id "\",\"type\":\"subscribe\",\"payload\":{\"query\":\"" text "\"}}"
#define SUB_A        OP("a", "subscription { a }")
#define SUB_B        OP("b", "subscription { b }")
#define QUERY        OP("q", "{ q }")
#define MUTATION     OP("m", "mutation { m }")
#define NEXT(id, n)  "{\"id\":\"" id "\",\"type\":\"next\",\"payload\":{\"data\":" #n "}}"
#define COMPLETE(id) "{\"id\":\"" id "\",\"type\":\"complete\"}"
#define ERROR(id, m) "{\"id\":\"" id "\",\"type\":\"error\",\"payload\":[{\"message\":\"" m "\"}]}"
#define REFUSED(id)  "{\"id\":\"" id "\",\"type\":\"error\",\"payload\":[{\"message\":\"no\"}]}"
#define NOTICE       "{\"type\":\"ping\",\"payload\":{\"gateway\":\"resumed; messages may be missing\"}}"

static inline struct session *open_session(void)
{
    struct session *s = fake_open(&protocol_graphql, "graphql-transport-ws", "");
    assert_non_null(s->speaker);
    return s;
}

static inline void client(struct session *s, const char *text)
{
    (void)fake_client_text(s, text);
}

static inline void server(struct session *s, struct leg *from, const char *text)
{
    (void)fake_server_text(s, from, text);
}

/* The client has said hello and been answered. */
static inline struct session *open_acked(void)
{
    struct session *s = open_session();
    client(s, INIT);
    fake_expect(&s->leg->said, INIT);
    server(s, s->leg, ACK);
    fake_expect(&s->told, ACK);
    return s;
}

static inline void begin(struct session *s, const char *op)
{
    client(s, op);
    fake_expect(&s->leg->said, op);
}

/* The server is lost and another one found, which takes connection_init. */
static inline struct leg *lose_and_find(struct session *s)
{
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    fake_expect(&l->said, INIT);
    server(s, l, ACK);
    return l;
}

static inline void finish(struct session *s)
{
    for (uint32_t i = 0; i < s->leg_count; i++)
        fake_expect_nothing(&s->legs[i]->said);
    fake_expect_nothing(&s->told);
    fake_close(&s);
}

#endif
