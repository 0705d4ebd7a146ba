/* What the gateway says itself. To the client it speaks as its server would, and to servers as the client would, but
 * for the references. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"

#define SAY_BYTES (4u * PHX_KEPT_BYTES) /* the longest that is kept, and what is cut into it */

static void send_text(struct phoenix *p, struct leg *to, struct strbuf *text)
{
    if (text->failed)
        return; /* only what is kept is said, and that is bounded */
    if (to == NULL)
        session_tell(p->session, WS_OPCODE_TEXT, text->data, text->len);
    else
        leg_send(to, WS_OPCODE_TEXT, text->data, text->len);
}

void phoenix_tell(struct phoenix *p, const struct phx_say *say)
{
    struct strbuf out;
    strbuf_init(&out, SAY_BYTES);
    phx_write(&out, p->vsn, PHX_FROM_SERVER, say);
    send_text(p, NULL, &out);
    strbuf_fini(&out);
}

void phoenix_tell_reply(struct phoenix *p, const struct phx_channel *c, struct phx_text ref, const char *status,
                        const char *response)
{
    struct strbuf out;
    if (phx_ref_is_null(ref))
        return; /* whoever gives none waits for nothing */
    strbuf_init(&out, SAY_BYTES);
    phx_write_reply(&out, p->vsn, phx_text_of(c->join_ref), ref, phx_channel_topic(c), status, phx_text_of(response));
    send_text(p, NULL, &out);
    strbuf_fini(&out);
}

void phoenix_tell_refused(struct phoenix *p, const struct phx_channel *c, struct phx_text ref, const char *reason)
{
    char response[128];
    (void)snprintf(response, sizeof response, "{\"reason\":\"%s\"}", reason);
    phoenix_tell_reply(p, c, ref, "error", response);
}

void phoenix_tell_end(struct phoenix *p, const struct phx_channel *c, const char *event)
{
    /* Both references are that of the join: with vsn 1.0.0 it is all that clients go by. */
    phoenix_tell(p, &(struct phx_say){.join_ref = phx_text_of(c->join_ref),
                                      .ref = phx_text_of(c->join_ref),
                                      .topic = phx_channel_topic(c),
                                      .event = event});
}

void phoenix_tell_system(struct phoenix *p, const struct phx_channel *c, const char *status, struct phx_text message)
{
    static const char prefix[] = "realtime:";
    const char *name = strncmp(c->topic, prefix, sizeof prefix - 1) == 0 ? c->topic + sizeof prefix - 1 : c->topic;
    struct strbuf payload;
    strbuf_init(&payload, SAY_BYTES);
    strbuf_puts(&payload, "{\"extension\":\"gateway\",\"status\":");
    strbuf_json_string(&payload, status, strlen(status));
    strbuf_puts(&payload, ",\"message\":");
    strbuf_add(&payload, message.data, message.len);
    strbuf_puts(&payload, ",\"channel\":");
    strbuf_json_string(&payload, name, strlen(name));
    strbuf_puts(&payload, "}");
    phoenix_tell(p, &(struct phx_say){.join_ref = phx_text_of(c->join_ref),
                                      .topic = phx_channel_topic(c),
                                      .event = "system",
                                      .payload = {payload.data, payload.len}});
    strbuf_fini(&payload);
}

void phoenix_tell_kept(struct phoenix *p, struct phx_text *message)
{
    session_tell(p->session, WS_OPCODE_TEXT, message->data, message->len);
    phx_channel_keep(message, (struct phx_text){0});
}

/* ---- to servers ---- */

static uint32_t ask(struct phoenix *p, struct leg *to, struct phx_say *say)
{
    char ref[48];
    struct strbuf out;
    const uint32_t number = ++p->newest_number;
    const int len = snprintf(ref, sizeof ref, "\"%s%" PRIu32 "\"", p->own, number);
    say->ref = (struct phx_text){ref, (size_t)len};
    strbuf_init(&out, SAY_BYTES);
    phx_write(&out, p->vsn, PHX_FROM_CLIENT, say);
    send_text(p, to, &out);
    strbuf_fini(&out);
    return number;
}

uint32_t phoenix_ask(struct phoenix *p, struct leg *to, const struct phx_channel *c, const char *event,
                     struct phx_text payload)
{
    return ask(
        p, to,
        &(struct phx_say){
            .join_ref = phx_text_of(c->join_ref), .topic = phx_channel_topic(c), .event = event, .payload = payload});
}

uint32_t phoenix_ask_beat(struct phoenix *p, struct leg *to)
{
    return ask(p, to, &(struct phx_say){.topic = phx_text_of("phoenix"), .event = "heartbeat"});
}

void phoenix_ask_as_client(struct phoenix *p, struct leg *to, const struct phx_channel *c, struct phx_text ref,
                           const char *event, struct phx_text payload)
{
    struct strbuf out;
    strbuf_init(&out, SAY_BYTES);
    phx_write(&out, p->vsn, PHX_FROM_CLIENT,
              &(struct phx_say){.join_ref = phx_text_of(c->join_ref),
                                .ref = ref,
                                .topic = phx_channel_topic(c),
                                .event = event,
                                .payload = payload});
    send_text(p, to, &out);
    strbuf_fini(&out);
}

uint32_t phoenix_own_number(const struct phoenix *p, struct phx_text ref)
{
    uint64_t number = 0;
    if (ref.len >= 2 && ref.data[0] == '"') {
        ref.data++;
        ref.len -= 2;
    }
    if (ref.len <= p->own_bytes || ref.len > p->own_bytes + 10u || memcmp(ref.data, p->own, p->own_bytes) != 0)
        return 0;
    for (size_t i = p->own_bytes; i < ref.len; i++) {
        if (ref.data[i] < '0' || ref.data[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(ref.data[i] - '0');
    }
    return number <= p->newest_number ? (uint32_t)number : 0;
}
