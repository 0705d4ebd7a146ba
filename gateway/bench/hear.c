/* What a Phoenix link hears: whole frames, joined where they came in pieces. The answer it waits for is mostly known
 * byte by byte; everything else is read: replies by their reference, broadcasts by the numbers in them. What a server
 * says besides (presence, system messages) is none of our business. */
#include <string.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/bench/phoenix.h"

static bool has(struct phoenix_text s, const char *what)
{
    return memmem(s.data, s.len, what, strlen(what)) != NULL;
}

/* The number behind `name`; 0 when there is none. The digits end within the message, which ends with a bracket. */
static uint64_t number(struct phoenix_text s, const char *name)
{
    const char *at = memmem(s.data, s.len, name, strlen(name));
    const char *end = s.data + s.len;
    uint64_t n = 0;
    if (at == NULL)
        return 0;
    for (at += strlen(name); at < end && *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    return n;
}

/* Of one of our topics its number, else UINT64_MAX. The element has its quotes. */
static uint64_t topic_number(const struct load *l, struct phoenix_text topic)
{
    const size_t prefix_len = strlen(l->options->topic);
    if (topic.len < prefix_len + 4 || memcmp(topic.data + 1, l->options->topic, prefix_len) != 0 ||
        topic.data[1 + prefix_len] != '-' || topic.len > prefix_len + 3 + 10)
        return UINT64_MAX;
    return number((struct phoenix_text){topic.data + 1 + prefix_len, topic.len - 1 - prefix_len}, "-");
}

static void on_broadcast(struct load *l, struct link *k, struct phoenix_text topic, struct phoenix_text payload)
{
    const uint64_t n = number(payload, "\"n\":");
    const int64_t at = (int64_t)number(payload, "\"at\":");
    if (n == 0)
        return;
    if (l->options->mode == MODE_LISTEN)
        listen_on_broadcast(l, k, n, at);
    else if (l->options->mode == MODE_BROADCAST && number(payload, "\"run\":") == l->words.run)
        load_on_delivery(l, k, topic_number(l, topic), n, at);
}

/* What the join under way has as its reference. */
static bool is_join_ref(const struct link *k, struct phoenix_text ref)
{
    return ref.len > 2 && number(ref, "\"") == k->joined_count + 1;
}

static void on_reply(struct load *l, struct link *k, struct phoenix_text ref, struct phoenix_text payload)
{
    const bool is_good = has(payload, "\"status\":\"ok\"");
    if (phoenix_text_is(ref, "\"" WORDS_BEAT_REF "\"")) {
        k->is_beat_out = false;
    } else if (k->state == LINK_JOINING && is_join_ref(k, ref)) {
        char words[80] = "refused: ";
        const size_t len = payload.len < 64 ? payload.len : 64;
        memcpy(words + 9, payload.data, len);
        words[9 + len] = '\0';
        if (is_good)
            link_on_joined(l, k);
        else
            link_fail(l, k, ERROR_JOIN, words);
    } else if (k->state == LINK_WAITING && phoenix_text_is(ref, "\"" WORDS_PUSH_REF "\"")) {
        if (!is_good)
            result_error(l->result, ERROR_ANSWER, "phx_reply with an error");
        link_on_answer(l, k, is_good);
    }
}

static void on_channel_lost(struct load *l, struct link *k)
{
    l->result->refused++;
    if (l->options->mode == MODE_LISTEN)
        result_error(l->result, ERROR_CHANNEL, "failed or closed");
    else
        link_fail(l, k, ERROR_CHANNEL, "failed or closed");
}

static void on_message(struct load *l, struct link *k, struct phoenix_text message)
{
    struct phoenix_text e[PHOENIX_ELEMENTS], payload;
    if (!phoenix_split(message, e, &payload))
        return;
    if (phoenix_text_is(e[3], "\"broadcast\""))
        on_broadcast(l, k, e[2], payload);
    else if (phoenix_text_is(e[3], "\"phx_reply\""))
        on_reply(l, k, e[1], payload);
    else if (phoenix_text_is(e[3], "\"phx_error\"") || phoenix_text_is(e[3], "\"phx_close\""))
        on_channel_lost(l, k);
}

/* Length of the frame at `data`, 0: more is needed to know it. */
static size_t frame_len(const uint8_t *data, size_t len, size_t *header_len)
{
    const size_t more = len < 2 ? 0 : (data[1] & 0x7f) == 126 ? 2 : (data[1] & 0x7f) == 127 ? 8 : 0;
    uint64_t payload_len = len < 2 ? 0 : data[1] & 0x7f;
    *header_len = 2 + more;
    if (len < *header_len)
        return 0;
    for (size_t i = 0; i < more; i++)
        payload_len = (i == 0 ? 0 : payload_len << 8) | data[2 + i];
    return payload_len > WORDS_FRAME_BYTES ? SIZE_MAX : *header_len + (size_t)payload_len;
}

static bool is_the_echo(const struct link *k, const uint8_t *frame, size_t len)
{
    return k->state == LINK_WAITING && k->words != NULL && len == k->words->echo_len &&
           memcmp(frame, k->words->echo, len) == 0;
}

/* A whole frame; messages in several frames are read as the first one says. */
static void on_frame(struct load *l, struct link *k, const uint8_t *frame, size_t len, size_t header_len)
{
    if (is_the_echo(k, frame, len))
        link_on_answer(l, k, true);
    else if ((frame[0] & 0x08) != 0)
        (void)link_on_control(l, k, frame, len);
    else if ((frame[0] & 0x0f) == 1)
        on_message(l, k, (struct phoenix_text){(const char *)frame + header_len, len - header_len});
}

/* Takes the whole frames; what is left, or with a link that is gone `len`. */
static size_t take_frames(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    size_t taken = 0, header_len;
    for (;;) {
        const size_t whole = frame_len(data + taken, len - taken, &header_len);
        if (whole == 0 || (whole > len - taken && whole != SIZE_MAX))
            return taken;
        if (whole == SIZE_MAX)
            link_fail(l, k, ERROR_NONSENSE, "a frame that is too long");
        else
            on_frame(l, k, data + taken, whole, header_len);
        if (k->state == LINK_NONE)
            return len;
        taken += whole;
    }
}

void hear_on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    if (k->head_len == 0) {
        const size_t taken = take_frames(l, k, data, len);
        if (taken < len)
            (void)link_keep(l, k, data + taken, len - taken);
        return;
    }
    if (!link_keep(l, k, data, len))
        return;
    /* the kept bytes are read where they lie, and the link may go meanwhile */
    uint8_t *kept = (uint8_t *)k->head;
    const size_t kept_len = k->head_len;
    k->head = NULL;
    k->head_len = 0;
    const size_t taken = take_frames(l, k, kept, kept_len);
    if (taken < kept_len)
        (void)link_keep(l, k, kept + taken, kept_len - taken);
    mem_free(kept);
}
