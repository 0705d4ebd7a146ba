/* Phoenix is spoken as its vsn 2.0.0: text messages, which are answered with phx_reply and their own payload, or
 * Supabase's binary user broadcasts (kind 3), which come back as kind 4 to who asked for its own. The other side is
 * phoenix.c, or an example region. */
#include "gateway/bench/words.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

#define TEXT_MAX_BYTES (2u << 20)

/* The frame of a client, and with an answer that of the server. */
static struct words framed(enum ws_opcode opcode, const struct strbuf *said, const struct strbuf *answer)
{
    static const uint8_t key[4] = {0x9c, 0x1f, 0x53, 0xe2};
    struct words w = {.message = mem_alloc(said->len + WS_HEADER_BYTES)};

    ASSERT(!said->failed && !answer->failed);
    uint32_t header_len = (uint32_t)ws_header_build(w.message, opcode, said->len, key);
    ws_mask_copy(w.message + header_len, (const uint8_t *)said->data, said->len, key, 0);
    w.message_len = header_len + (uint32_t)said->len;

    w.echo = mem_alloc(answer->len + WS_HEADER_BYTES);
    header_len = (uint32_t)ws_header_build(w.echo, opcode, answer->len, NULL);
    memcpy(w.echo + header_len, answer->data, answer->len);
    w.echo_len = header_len + (uint32_t)answer->len;
    return w;
}

static void add_letters(struct strbuf *b, uint32_t count)
{
    char *to = strbuf_extend(b, count);
    ASSERT(to != NULL);
    for (uint32_t i = 0; i < count; i++)
        to[i] = (char)('a' + i % 26);
}

static struct words plain_message(const struct options *o)
{
    struct strbuf said;
    strbuf_init(&said, TEXT_MAX_BYTES);
    add_letters(&said, o->size_bytes);
    struct words w = framed(WS_OPCODE_TEXT, &said, &said);
    strbuf_fini(&said);
    return w;
}

static struct words http_request(const struct options *o)
{
    char *request = mem_printf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tidegate-bench\r\nAccept: */*\r\n\r\n",
                               o->path, o->authority);
    return (struct words){.message = (uint8_t *)request, .message_len = (uint32_t)strlen(request)};
}

/* ---- Phoenix ---- */

/* As realtime-js joins, who wants to hear its own broadcasts and nothing of presence. */
static struct words join(uint32_t channel)
{
    struct strbuf said, answer;
    strbuf_init(&said, TEXT_MAX_BYTES);
    strbuf_init(&answer, TEXT_MAX_BYTES);
    strbuf_printf(
        &said,
        "[\"%u\",\"%u\",\"realtime:bench-%u\",\"phx_join\",{\"config\":{\"broadcast\":{\"ack\":false,\"self\":"
        "true},\"presence\":{\"key\":\"\",\"enabled\":false},\"postgres_changes\":[],\"private\":false},"
        "\"access_token\":null}]",
        channel + 1, channel + 1, channel);
    strbuf_printf(&answer, "[\"%u\",\"%u\",\"realtime:bench-%u\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
                  channel + 1, channel + 1, channel);
    struct words w = framed(WS_OPCODE_TEXT, &said, &answer);
    strbuf_fini(&said);
    strbuf_fini(&answer);
    return w;
}

static struct words push(const struct options *o, uint32_t channel)
{
    struct strbuf said, answer, payload;
    strbuf_init(&said, TEXT_MAX_BYTES);
    strbuf_init(&answer, TEXT_MAX_BYTES);
    strbuf_init(&payload, TEXT_MAX_BYTES);
    strbuf_puts(&payload, "{\"text\":\"");
    add_letters(&payload, o->size_bytes);
    strbuf_puts(&payload, "\"}");
    strbuf_printf(&said, "[\"%u\",\"1007\",\"realtime:bench-%u\",\"say\",%s]", channel + 1, channel, payload.data);
    strbuf_printf(&answer, "[\"%u\",\"1007\",\"realtime:bench-%u\",\"phx_reply\",{\"status\":\"ok\",\"response\":%s}]",
                  channel + 1, channel, payload.data);
    struct words w = framed(WS_OPCODE_TEXT, &said, &answer);
    strbuf_fini(&said);
    strbuf_fini(&answer);
    strbuf_fini(&payload);
    return w;
}

static struct words user_broadcast(const struct options *o, uint32_t channel)
{
    static const char event[] = "say";
    struct strbuf said, answer;
    char *join_ref = mem_printf("%u", channel + 1), *topic = mem_printf("realtime:bench-%u", channel);
    strbuf_init(&said, TEXT_MAX_BYTES);
    strbuf_init(&answer, TEXT_MAX_BYTES);
    const uint8_t push_head[] = {3, (uint8_t)strlen(join_ref), 4, (uint8_t)strlen(topic), sizeof event - 1, 0, 1};
    const uint8_t broadcast_head[] = {4, (uint8_t)strlen(topic), sizeof event - 1, 0, 1};
    strbuf_add(&said, push_head, sizeof push_head);
    strbuf_puts(&said, join_ref);
    strbuf_puts(&said, "1007");
    strbuf_add(&answer, broadcast_head, sizeof broadcast_head);
    for (struct strbuf *b = &said; b != NULL; b = b == &said ? &answer : NULL) {
        strbuf_puts(b, topic);
        strbuf_puts(b, event);
        strbuf_puts(b, "{\"text\":\"");
        add_letters(b, o->size_bytes);
        strbuf_puts(b, "\"}");
    }
    struct words w = framed(WS_OPCODE_BINARY, &said, &answer);
    strbuf_fini(&said);
    strbuf_fini(&answer);
    mem_free(join_ref);
    mem_free(topic);
    return w;
}

/* ---- all of it ---- */

void vocabulary_init(struct vocabulary *v, const struct options *o)
{
    const uint32_t channels = o->channel_count;
    *v = (struct vocabulary){.channel_count = channels, .message_count = channels > 0 ? channels : 1};
    v->request = mem_printf("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGlkZWdhdGUtYmVuY2gtMQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                            o->path, o->authority);
    v->request_len = (uint32_t)strlen(v->request);
    v->messages = mem_alloc_array(v->message_count, sizeof *v->messages);
    if (channels == 0) {
        v->messages[0] = o->speaks_http ? http_request(o) : plain_message(o);
        return;
    }
    v->joins = mem_alloc_array(channels, sizeof *v->joins);
    for (uint32_t i = 0; i < channels; i++) {
        v->joins[i] = join(i);
        v->messages[i] = o->is_binary ? user_broadcast(o, i) : push(o, i);
    }
}

static void words_fini(struct words *w)
{
    mem_free(w->message);
    mem_free(w->echo);
}

void vocabulary_fini(struct vocabulary *v)
{
    for (uint32_t i = 0; i < v->channel_count; i++)
        words_fini(&v->joins[i]);
    for (uint32_t i = 0; i < v->message_count; i++)
        words_fini(&v->messages[i]);
    mem_free(v->joins);
    mem_free(v->messages);
    mem_free(v->request);
}
