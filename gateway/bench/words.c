/* Phoenix is spoken as its vsn 2.0.0: text messages, which are answered with phx_reply, or Supabase's binary user
 * broadcasts (kind 3), which come back as kind 4 to who asked for its own. The other side is phoenix.c, an example
 * region, or the real thing. */
#include "gateway/bench/words.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

static const uint8_t mask_key[4] = {0x9c, 0x1f, 0x53, 0xe2};

static void add_frame(struct strbuf *frame, enum ws_opcode opcode, const struct strbuf *text)
{
    uint8_t header[WS_HEADER_BYTES];
    ASSERT(!text->failed);
    strbuf_clear(frame);
    strbuf_add(frame, header, ws_header_build(header, opcode, text->len, mask_key));
    char *payload = strbuf_extend(frame, text->len);
    ASSERT(payload != NULL);
    ws_mask_copy((uint8_t *)payload, (const uint8_t *)text->data, text->len, mask_key, 0);
}

/* The frame of a client, and with an answer that of the server. */
static struct words framed(enum ws_opcode opcode, const struct strbuf *said, const struct strbuf *answer)
{
    struct words w;
    struct strbuf frame;
    strbuf_init(&frame, WORDS_FRAME_BYTES);
    add_frame(&frame, opcode, said);
    w.message_len = (uint32_t)frame.len;
    w.message = mem_alloc(frame.len);
    memcpy(w.message, frame.data, frame.len);
    strbuf_fini(&frame);

    ASSERT(!answer->failed);
    w.echo = mem_alloc(answer->len + WS_HEADER_BYTES);
    const uint32_t header_len = (uint32_t)ws_header_build(w.echo, opcode, answer->len, NULL);
    memcpy(w.echo + header_len, answer->data, answer->len);
    w.echo_len = header_len + (uint32_t)answer->len;
    return w;
}

static struct words plain_message(const struct vocabulary *v)
{
    struct strbuf said;
    strbuf_init(&said, WORDS_FRAME_BYTES);
    strbuf_puts(&said, v->padding);
    struct words w = framed(WS_OPCODE_TEXT, &said, &said);
    strbuf_fini(&said);
    return w;
}

/* The user's own fields, a line each. */
static char *header_lines(const struct options *o)
{
    struct strbuf lines;
    strbuf_init(&lines, OPTIONS_HEADERS_MAX * 8300u + 8300u);
    strbuf_puts(&lines, "User-Agent: tidegate-bench\r\n");
    for (uint32_t i = 0; i < o->header_count; i++)
        strbuf_printf(&lines, "%s\r\n", o->headers[i]);
    if (o->token != NULL && o->channel_count == 0)
        strbuf_printf(&lines, "Authorization: Bearer %s\r\n", o->token);
    ASSERT(!lines.failed);
    return lines.data; /* ours to free */
}

static char *upgrade_request(const struct options *o)
{
    char *lines = header_lines(o);
    char *request = mem_printf("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: dGlkZWdhdGUtYmVuY2gtMQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                               o->url.target, o->url.authority, lines);
    mem_free(lines);
    return request;
}

static struct words http_request(const struct options *o)
{
    char *lines = header_lines(o);
    char *request =
        mem_printf("GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n%s\r\n", o->url.target, o->url.authority, lines);
    mem_free(lines);
    return (struct words){.message = (uint8_t *)request, .message_len = (uint32_t)strlen(request)};
}

/* ---- Phoenix ---- */

static bool is_acknowledged(const struct options *o)
{
    return o->mode != MODE_BROADCAST && o->mode != MODE_LISTEN && !o->is_binary && strcmp(o->event, "broadcast") == 0;
}

/* As realtime-js joins, who wants nothing of presence. */
static void add_join_payload(struct strbuf *b, const struct options *o)
{
    if (o->join != NULL) {
        strbuf_puts(b, o->join);
        return;
    }
    const bool hears_itself = o->mode == MODE_BROADCAST ? o->hears_itself : !is_acknowledged(o);
    strbuf_printf(b,
                  "{\"config\":{\"broadcast\":{\"ack\":%s,\"self\":%s},\"presence\":{\"key\":\"\",\"enabled\":false},"
                  "\"postgres_changes\":[],\"private\":false},\"access_token\":",
                  is_acknowledged(o) ? "true" : "false", hears_itself ? "true" : "false");
    if (o->token != NULL)
        strbuf_json_string(b, o->token, strlen(o->token));
    else
        strbuf_puts(b, "null");
    strbuf_puts(b, "}");
}

void words_join(struct vocabulary *v, struct strbuf *frame, uint32_t channel, uint32_t topic)
{
    strbuf_clear(&v->text);
    strbuf_printf(&v->text, "[\"%u\",\"%u\",\"%s-%u\",\"phx_join\",", channel + 1, channel + 1, v->options->topic,
                  topic);
    add_join_payload(&v->text, v->options);
    strbuf_puts(&v->text, "]");
    add_frame(frame, WS_OPCODE_TEXT, &v->text);
}

static void add_payload(const struct vocabulary *v, struct strbuf *b)
{
    const bool is_broadcast = strcmp(v->options->event, "broadcast") == 0;
    strbuf_puts(b,
                is_broadcast ? "{\"type\":\"broadcast\",\"event\":\"bench\",\"payload\":{\"text\":\"" : "{\"text\":\"");
    strbuf_puts(b, v->padding);
    strbuf_puts(b, is_broadcast ? "\"}}" : "\"}");
}

static void add_push(struct vocabulary *v, uint32_t channel, uint32_t topic)
{
    strbuf_clear(&v->text);
    strbuf_printf(&v->text, "[\"%u\",\"" WORDS_PUSH_REF "\",\"%s-%u\",\"%s\",", channel + 1, v->options->topic, topic,
                  v->options->event);
    add_payload(v, &v->text);
    strbuf_puts(&v->text, "]");
}

/* Others may answer in other words (hear.c); those of phoenix.c are known by a comparison. */
static struct words push(struct vocabulary *v, uint32_t channel)
{
    struct strbuf answer;
    strbuf_init(&answer, WORDS_FRAME_BYTES);
    add_push(v, channel, channel);
    strbuf_printf(&answer, "[\"%u\",\"" WORDS_PUSH_REF "\",\"%s-%u\",\"phx_reply\",{\"status\":\"ok\",\"response\":",
                  channel + 1, v->options->topic, channel);
    add_payload(v, &answer);
    strbuf_puts(&answer, "}]");
    struct words w = framed(WS_OPCODE_TEXT, &v->text, &answer);
    strbuf_fini(&answer);
    return w;
}

void words_push(struct vocabulary *v, struct strbuf *frame, uint32_t channel, uint32_t topic)
{
    add_push(v, channel, topic);
    add_frame(frame, WS_OPCODE_TEXT, &v->text);
}

void words_broadcast(struct vocabulary *v, struct strbuf *frame, uint32_t channel, uint32_t topic, uint64_t number,
                     int64_t due_ns)
{
    strbuf_clear(&v->text);
    strbuf_printf(&v->text,
                  "[\"%u\",null,\"%s-%u\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"bench\",\"payload\":{"
                  "\"n\":%" PRIu64 ",\"at\":%" PRId64 ",\"run\":%u,\"text\":\"",
                  channel + 1, v->options->topic, topic, number, due_ns, v->run);
    strbuf_puts(&v->text, v->padding);
    strbuf_puts(&v->text, "\"}}]");
    add_frame(frame, WS_OPCODE_TEXT, &v->text);
}

void words_heartbeat(struct vocabulary *v, struct strbuf *frame)
{
    strbuf_clear(&v->text);
    strbuf_puts(&v->text, "[null,\"" WORDS_BEAT_REF "\",\"phoenix\",\"heartbeat\",{}]");
    add_frame(frame, WS_OPCODE_TEXT, &v->text);
}

static struct words user_broadcast(const struct vocabulary *v, uint32_t channel)
{
    static const char event[] = "say";
    struct strbuf said, answer;
    char *join_ref = mem_printf("%u", channel + 1), *topic = mem_printf("%s-%u", v->options->topic, channel);
    strbuf_init(&said, WORDS_FRAME_BYTES);
    strbuf_init(&answer, WORDS_FRAME_BYTES);
    const uint8_t push_head[] = {3, (uint8_t)strlen(join_ref), 4, (uint8_t)strlen(topic), sizeof event - 1, 0, 1};
    const uint8_t broadcast_head[] = {4, (uint8_t)strlen(topic), sizeof event - 1, 0, 1};
    strbuf_add(&said, push_head, sizeof push_head);
    strbuf_puts(&said, join_ref);
    strbuf_puts(&said, WORDS_PUSH_REF);
    strbuf_add(&answer, broadcast_head, sizeof broadcast_head);
    for (struct strbuf *b = &said; b != NULL; b = b == &said ? &answer : NULL) {
        strbuf_puts(b, topic);
        strbuf_puts(b, event);
        strbuf_printf(b, "{\"text\":\"");
        strbuf_puts(b, v->padding);
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

void vocabulary_init(struct vocabulary *v, const struct options *o, uint32_t run)
{
    const uint32_t channels = o->channel_count;
    *v = (struct vocabulary){.options = o, .run = run};
    strbuf_init(&v->text, WORDS_FRAME_BYTES);
    v->padding = mem_alloc((size_t)o->size_bytes + 1);
    for (uint32_t i = 0; i < o->size_bytes; i++)
        v->padding[i] = (char)('a' + i % 26);
    v->request = upgrade_request(o);
    v->request_len = (uint32_t)strlen(v->request);
    if (o->mode == MODE_BROADCAST || (channels > 0 && !o->is_binary && o->member_count > 0))
        return;
    v->message_count = channels > 0 ? channels : 1;
    v->messages = mem_alloc_array(v->message_count, sizeof *v->messages);
    if (channels == 0)
        v->messages[0] = o->url.speaks_http ? http_request(o) : plain_message(v);
    for (uint32_t i = 0; i < channels; i++)
        v->messages[i] = o->is_binary ? user_broadcast(v, i) : push(v, i);
}

void vocabulary_fini(struct vocabulary *v)
{
    for (uint32_t i = 0; i < v->message_count; i++) {
        mem_free(v->messages[i].message);
        mem_free(v->messages[i].echo);
    }
    mem_free(v->messages);
    mem_free(v->request);
    mem_free(v->padding);
    strbuf_fini(&v->text);
}
