/* A graphql-transport-ws session whose client and servers say anything, and come and go at any moment: a line is a
 * step, its first letter says whose. Laws: nothing crashes or leaks; what can be told of the beginning of a message is
 * said of all of it; what we say is JSON. And GraphQL documents, as anything. */
#include "gateway/realtime/graphql_codec.h"
#include "gateway/realtime/protocol_rows.h"
#include "tests/unit/gateway/realtime/fake_session.h"

#define STEPS_MAX 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_pieces(const uint8_t *data, size_t len, size_t cut)
{
    struct graphql_message whole, begun;
    const enum graphql_read of_whole = graphql_message_read(&whole, data, len, true);
    const enum graphql_read of_begin = graphql_message_read(&begun, data, cut < len ? cut : len, false);

    if (of_whole == GRAPHQL_READ_OK)
        ASSERT(of_begin != GRAPHQL_READ_BAD);
    if (of_whole == GRAPHQL_READ_OK && of_begin == GRAPHQL_READ_OK)
        ASSERT(begun.type == whole.type && begun.id.len == whole.id.len);
    if (of_whole == GRAPHQL_READ_OK)
        (void)graphql_payload_kind(whole.payload);
    (void)graphql_document_kind((const char *)data, len, "A", len % 2);
}

/* What was just heard may pass as it is; all else is ours, or was understood when it came. */
static void check_said(struct fake_said *s, const uint8_t *heard, size_t len)
{
    while (s->count > 0) {
        struct fake_message m = fake_said_take(s);
        const bool passed = m.len == len && (len == 0 || memcmp(m.data, heard, len) == 0);
        ASSERT(passed || json_is_value((struct json_text){m.data, m.len}));
        free(m.data);
    }
}

static void hear(struct session *s, struct leg *from, const uint8_t *data, size_t len)
{
    struct ws_message m = fake_message(WS_OPCODE_TEXT, data, len);
    if (from != NULL)
        (void)fake_server_says(s, from, m);
}

static void step(struct session *s, uint8_t what, const uint8_t *data, size_t len)
{
    switch (what) {
    case 'L':
        if (s->leg != NULL)
            fake_lose(s, s->leg);
        break;
    case 'N':
        if (s->next != NULL)
            fake_lose(s, s->next);
        break;
    case 'F':
        if (s->next == NULL && s->leg_count < FAKE_LEGS_MAX)
            (void)fake_find(s);
        break;
    case 'T':
        fake_advance(s, (int64_t)len * 500);
        break;
    case 'G':
        s->protocol->give_up(s->speaker);
        break;
    case 'D':
        s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
        break;
    case 'R':
        s->conf.gap = GAP_REJOIN;
        break;
    case 's':
        hear(s, session_leg(s), data, len);
        break;
    case 'n':
        hear(s, session_next_leg(s), data, len);
        break;
    case 'o':
        hear(s, s->old, data, len);
        break;
    default:
        (void)fake_client_says(s, fake_message(WS_OPCODE_TEXT, data, len));
    }
    fake_settle(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct session *s = fake_open(&protocol_graphql, "graphql-transport-ws", "");
    struct strbuf out;
    s->conf.channel_count = 8;
    for (unsigned i = 0; i < STEPS_MAX && len > 0 && s->end_code == 0; i++) {
        const uint8_t *end = memchr(data, '\n', len);
        const size_t n = end != NULL ? (size_t)(end - data) : len;
        if (n > 0) {
            read_pieces(data + 1, n - 1, data[n - 1]);
            step(s, data[0], data + 1, n - 1);
        }
        check_said(&s->told, data + 1, n > 0 ? n - 1 : 0);
        for (uint32_t l = 0; l < s->leg_count; l++)
            check_said(&s->legs[l]->said, data + 1, n > 0 ? n - 1 : 0);
        data += n + (end != NULL);
        len -= n + (end != NULL);
    }
    strbuf_init(&out, 1u << 20);
    strbuf_puts(&out, "{\"\":0");
    s->protocol->describe(s->speaker, &out);
    strbuf_puts(&out, "}");
    ASSERT(json_is_value((struct json_text){out.data, out.len}));
    strbuf_fini(&out);
    fake_close(&s);
    return 0;
}
