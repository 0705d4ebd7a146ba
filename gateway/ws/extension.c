/* The negotiation of permessage-deflate, RFC 7692 sections 5 and 7.1.
 *
 * An offer is declined when it says anything that is not understood; a client that means several things by turns makes
 * several offers, the best first. The hard part is who may say what unasked: the server may restrict itself and forbid
 * the client's context takeover at any time (7.1.1), but may name client_max_window_bits only to a client that did. */
#include "gateway/ws/extension.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define WINDOW_BITS_MIN 8u
#define WINDOW_BITS_MAX 15u
#define VALUE_BYTES     16u /* no value that is understood is longer */

enum param { SERVER_NO_CONTEXT = 0, CLIENT_NO_CONTEXT, SERVER_BITS, CLIENT_BITS, PARAM_COUNT };

static const struct {
    const char *name;
    bool has_bits;
    bool needs_bits;
} params_known[PARAM_COUNT] = {
    [SERVER_NO_CONTEXT] = {"server_no_context_takeover", false, false},
    [CLIENT_NO_CONTEXT] = {"client_no_context_takeover", false, false},
    [SERVER_BITS] = {"server_max_window_bits", true, true},
    [CLIENT_BITS] = {"client_max_window_bits", true, false},
};

struct offer {
    bool is_ours;               /* permessage-deflate, and every parameter of it understood */
    unsigned given;             /* one bit per enum param */
    unsigned bits[PARAM_COUNT]; /* 0: without a value */
};

struct cursor {
    const char *at;
    const char *end;
};

struct token {
    const char *data;
    size_t len;
};

/* ---- the grammar (RFC 6455 section 9.1) ---- */

static bool is_token_char(char c)
{
    return c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

/* Takes `wanted` with the white space around it. */
static bool take_char(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    skip_space(c);
    return true;
}

static bool take_token(struct cursor *c, struct token *t)
{
    t->data = c->at;
    while (c->at < c->end && is_token_char(*c->at))
        c->at++;
    t->len = (size_t)(c->at - t->data);
    return t->len > 0;
}

/* A token in quotes; what is in them must be one (RFC 6455 section 9.1). One too long for `value` is cut. */
static bool take_quoted(struct cursor *c, char value[VALUE_BYTES])
{
    size_t len = 0;
    for (c->at++; c->at < c->end && *c->at != '"'; c->at++) {
        if (*c->at == '\\' && ++c->at == c->end)
            return false;
        if (!is_token_char(*c->at))
            return false;
        if (len < VALUE_BYTES - 1)
            value[len++] = *c->at;
    }
    value[len] = '\0';
    if (c->at == c->end || len == 0)
        return false;
    c->at++;
    return true;
}

static bool take_value(struct cursor *c, char value[VALUE_BYTES])
{
    struct token t;
    if (c->at < c->end && *c->at == '"')
        return take_quoted(c, value);
    if (!take_token(c, &t))
        return false;
    const size_t len = t.len < VALUE_BYTES ? t.len : VALUE_BYTES - 1;
    memcpy(value, t.data, len);
    value[len] = '\0';
    return true;
}

static bool token_is(struct token t, const char *text)
{
    return strlen(text) == t.len && memcmp(t.data, text, t.len) == 0;
}

/* ---- one offer ---- */

/* 8 to 15 without a leading zero; 0: anything else. */
static unsigned bits_of(const char *value)
{
    unsigned bits = 0;
    if (value[0] >= '8' && value[0] <= '9' && value[1] == '\0')
        bits = (unsigned)(value[0] - '0');
    else if (value[0] == '1' && value[1] >= '0' && value[1] <= '5' && value[2] == '\0')
        bits = 10u + (unsigned)(value[1] - '0');
    return bits;
}

/* Notes a parameter; an unknown, repeated or senseless one spoils the offer (RFC 7692 section 7.1). */
static void note_param(struct offer *o, struct token name, const char *value)
{
    unsigned i = 0;
    while (i < PARAM_COUNT && !token_is(name, params_known[i].name))
        i++;
    if (i == PARAM_COUNT || (o->given >> i & 1u) != 0) {
        o->is_ours = false;
        return;
    }
    o->given |= 1u << i;
    if (value != NULL)
        o->bits[i] = bits_of(value);
    if (value != NULL ? !params_known[i].has_bits || o->bits[i] == 0 : params_known[i].needs_bits)
        o->is_ours = false;
}

/* False: not what the grammar allows. */
static bool take_offer(struct cursor *c, struct offer *o)
{
    struct token name;
    *o = (struct offer){.is_ours = false};
    if (!take_token(c, &name))
        return false;
    o->is_ours = token_is(name, "permessage-deflate");
    while (take_char(c, ';')) {
        char value[VALUE_BYTES] = "";
        if (!take_token(c, &name))
            return false;
        const bool has_value = take_char(c, '=');
        if (has_value && !take_value(c, value))
            return false;
        note_param(o, name, has_value ? value : NULL);
    }
    return true;
}

static bool has(const struct offer *o, enum param p)
{
    return (o->given >> p & 1u) != 0;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Fills *params as both sides can live with; false when the offer cannot be met. */
static bool meet(const struct offer *o, const struct ws_deflate_policy *policy, struct ws_deflate_params *params)
{
    const unsigned server_bits = has(o, SERVER_BITS) ? o->bits[SERVER_BITS] : WINDOW_BITS_MAX;
    const unsigned client_bits = o->bits[CLIENT_BITS] != 0 ? o->bits[CLIENT_BITS] : WINDOW_BITS_MAX;

    /* zlib cannot compress with so small a window. */
    if (!o->is_ours || server_bits == WINDOW_BITS_MIN)
        return false;
    *params = (struct ws_deflate_params){
        .server_window_bits = (uint8_t)least(server_bits, policy->window_bits),
        .client_window_bits = (uint8_t)least(client_bits, has(o, CLIENT_BITS) ? policy->window_bits : WINDOW_BITS_MAX),
        .server_no_context_takeover = !policy->keeps_context || has(o, SERVER_NO_CONTEXT),
        .client_no_context_takeover = !policy->keeps_context || has(o, CLIENT_NO_CONTEXT),
        .level = policy->level,
        .min_bytes = policy->min_bytes,
    };
    /* A client that cannot be told to make do with a smaller window shall not have one that lasts. */
    if (params->client_window_bits > policy->window_bits)
        params->client_no_context_takeover = true;
    return true;
}

static void write_answer(const struct offer *o, const struct ws_deflate_params *params,
                         char answer[WS_OFFER_ANSWER_BYTES])
{
    char server_bits[32] = "", client_bits[32] = "";
    if (has(o, SERVER_BITS) || params->server_window_bits < WINDOW_BITS_MAX)
        (void)snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u", params->server_window_bits);
    if (has(o, CLIENT_BITS) && params->client_window_bits < WINDOW_BITS_MAX)
        (void)snprintf(client_bits, sizeof client_bits, "; client_max_window_bits=%u", params->client_window_bits);
    int len =
        snprintf(answer, WS_OFFER_ANSWER_BYTES, "permessage-deflate%s%s%s%s",
                 params->server_no_context_takeover ? "; server_no_context_takeover" : "",
                 params->client_no_context_takeover ? "; client_no_context_takeover" : "", server_bits, client_bits);
    ASSERT(len > 0 && (size_t)len < WS_OFFER_ANSWER_BYTES);
}

enum ws_offer ws_offer_judge(const struct ws_deflate_policy *policy, const char *text, size_t len,
                             struct ws_deflate_params *params, char answer[WS_OFFER_ANSWER_BYTES])
{
    struct cursor c = {.at = text, .end = text + len};
    struct offer first, o;
    struct ws_deflate_params met;
    bool is_met = false;

    ASSERT(!policy->is_enabled || (policy->window_bits > WINDOW_BITS_MIN && policy->window_bits <= WINDOW_BITS_MAX));
    do {
        skip_space(&c);
        if (c.at == c.end || *c.at == ',')
            continue; /* lists may have empty elements (RFC 9110 section 5.6.1.2) */
        if (!take_offer(&c, &o))
            return WS_OFFER_MALFORMED;
        if (policy->is_enabled && !is_met && meet(&o, policy, &met)) {
            is_met = true;
            first = o;
        }
    } while (take_char(&c, ','));
    if (c.at != c.end)
        return WS_OFFER_MALFORMED;
    if (!is_met)
        return WS_OFFER_NONE;
    *params = met;
    write_answer(&first, params, answer);
    return WS_OFFER_ACCEPTED;
}
