/* Reasons are asked for in the order of the table, and the first that has something to say stands. */
#include "tests/region/admission.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tests/region/client.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"
#include "tests/region/token.h"

#define RATE_LIMIT "ClientJoinRateLimitReached"

struct question {
    const struct client *client;
    const struct frame *join;
    size_t channel_count;
    bool is_meant; /* the knobs are for this topic */
    char *reason;  /* 256 bytes */
};

static void when_draining(const struct question *q)
{
    if (q->client->region->is_draining)
        snprintf(q->reason, 256, "RealtimeRestarting: Realtime is restarting, please standby");
}

static void when_told_to(const struct question *q)
{
    struct knobs *k = &q->client->region->knobs;

    if (!q->is_meant)
        return;
    snprintf(q->reason, 256, "%s", knobs_text(k, KNOB_JOIN_ERROR));
    if (q->reason[0] != '\0' && knobs_count_down(k, KNOB_JOIN_ERROR_COUNT))
        knobs_clear(k, KNOB_JOIN_ERROR);
}

static void when_asked_to(const struct question *q)
{
    const char *wanted = json_string_value(json_object_get(q->join->payload, "refuse"));

    if (wanted != NULL)
        snprintf(q->reason, 256, "%s", wanted);
}

static void when_expired(const struct question *q)
{
    char room[2048], text[128];
    const char *token = admission_token(q->client, q->join->payload, room);
    int64_t expires_s;

    if (token != NULL && token_read(token, &expires_s) &&
        admission_has_expired(q->client, expires_s, text, sizeof(text)))
        snprintf(q->reason, 256, "InvalidJWTToken: %s", text);
}

/* A private channel is for who has a token at all. */
static void when_private(const struct question *q)
{
    const json_t *config = json_object_get(q->join->payload, "config");
    char room[2048];
    const char *token = admission_token(q->client, q->join->payload, room);
    int64_t expires_s;

    if (json_is_true(json_object_get(config, "private")) && (token == NULL || !token_read(token, &expires_s)))
        snprintf(q->reason, 256, "Unauthorized: You do not have permissions to read from this Channel topic: %.128s",
                 q->join->topic);
}

static void when_full(const struct question *q)
{
    if (q->channel_count >= SOCKET_CHANNELS_MAX)
        snprintf(q->reason, 256, "too many channels joined");
}

void admission_judge(struct admission *a, const struct client *c, const struct frame *join, size_t channel_count)
{
    static void (*const reasons[])(const struct question *) = {when_draining, when_told_to, when_asked_to,
                                                               when_expired,  when_private, when_full};
    const struct knobs *k = &c->region->knobs;
    const char *topic = knobs_text(k, KNOB_JOIN_TOPIC);
    struct question q = {.client = c, .join = join, .channel_count = channel_count, .reason = a->reason};

    CHECK_OBJ(c, CLIENT_MAGIC);
    memset(a, 0, sizeof(*a));
    q.is_meant = topic[0] == '\0' || strstr(join->topic, topic) != NULL;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]) && a->reason[0] == '\0'; i++)
        reasons[i](&q);
    a->is_last = strncmp(a->reason, RATE_LIMIT, strlen(RATE_LIMIT)) == 0;
    if (q.is_meant)
        a->wait_ms = knobs_number(k, a->reason[0] == '\0' ? KNOB_JOIN_DELAY : KNOB_JOIN_ERROR_DELAY);
}

const char *admission_token(const struct client *c, const json_t *payload, char room[2048])
{
    const char *token = json_string_value(json_object_get(payload, "user_token"));

    if (token == NULL)
        token = json_string_value(json_object_get(payload, "access_token"));
    if (token != NULL && strncmp(token, "sb_", 3) != 0)
        return token;
    return head_query(&c->head, "apikey", room, 2048) ? room : NULL;
}

bool admission_has_expired(const struct client *c, int64_t expires_s, char *text, size_t cap)
{
    int64_t since_ms = loop_wall_ms(c->region->loop) - expires_s * 1000;

    if (expires_s == 0 || since_ms < 0)
        return false;
    snprintf(text, cap, "Token has expired %lld seconds ago", (long long)(since_ms / 1000));
    return true;
}
