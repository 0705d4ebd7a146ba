/* Options, as one table: name, what takes the value, where it goes, its bounds. */
#include "gateway/bench/options.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_scan.h"
#include "gateway/http/head.h"

struct row {
    const char *name;
    const char *hint; /* what the value is; NULL: a flag, which has none */
    bool (*take)(struct options *o, const struct row *row, const char *value, char *error);
    size_t offset;
    double min, max;
    const char *help;
};

static const char *const mode_texts[MODE_COUNT] = {
    [MODE_SERVE] = "serve", [MODE_ECHO] = "echo",   [MODE_BROADCAST] = "broadcast",
    [MODE_HOLD] = "hold",   [MODE_CHURN] = "churn", [MODE_LISTEN] = "listen",
};

const char *mode_text(enum mode m)
{
    ASSERT(m < MODE_COUNT);
    return mode_texts[m];
}

__attribute__((format(printf, 2, 3))) static bool bad(char *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(error, OPTIONS_ERROR_BYTES, format, list);
    va_end(list);
    return false;
}

/* ---- what takes values ---- */

/* Where the row's value goes. */
static void *place(struct options *o, const struct row *row)
{
    return (char *)o + row->offset;
}

static bool to_number(const struct row *row, const char *text, double *value, char *error)
{
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end != '\0' || !(*value >= row->min && *value <= row->max))
        return bad(error, "%s takes a number from %.10g to %.10g, not \"%.60s\"", row->name, row->min, row->max, text);
    return true;
}

static bool take_count(struct options *o, const struct row *row, const char *text, char *error)
{
    double value;
    if (!to_number(row, text, &value, error))
        return false;
    uint32_t *to = place(o, row);
    *to = (uint32_t)value;
    return true;
}

static bool take_rate(struct options *o, const struct row *row, const char *text, char *error)
{
    return to_number(row, text, place(o, row), error);
}

/* There is one pace; the last word counts. */
static bool take_pace(struct options *o, const struct row *row, const char *text, char *error)
{
    o->rate = o->per_connection = 0;
    return take_rate(o, row, text, error);
}

/* Seconds, kept in milliseconds. */
static bool take_time(struct options *o, const struct row *row, const char *text, char *error)
{
    double value;
    if (!to_number(row, text, &value, error))
        return false;
    int64_t *to = place(o, row);
    *to = (int64_t)(value * 1000);
    return true;
}

static bool take_flag(struct options *o, const struct row *row, const char *text, char *error)
{
    (void)text, (void)error;
    bool *to = place(o, row);
    *to = true;
    return true;
}

static bool take_text(struct options *o, const struct row *row, const char *text, char *error)
{
    if (*text == '\0')
        return bad(error, "%s takes a text", row->name);
    const char **to = place(o, row);
    *to = text;
    return true;
}

/* A word that is put between the quotes of a JSON string as it is. At most `max` bytes. */
static bool take_word(struct options *o, const struct row *row, const char *text, char *error)
{
    const size_t len = strlen(text);
    if (len == 0 || len > (size_t)row->max)
        return bad(error, "%s takes 1 to %.0f characters", row->name, row->max);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || strchr("\"\\,", *at) != NULL)
            return bad(error, "%s takes letters, digits and signs, but no blanks, quotes, commas or backslashes",
                       row->name);
    }
    const char **to = place(o, row);
    *to = text;
    return true;
}

/* "200" connections per second, or "10s". */
static bool take_ramp(struct options *o, const struct row *row, const char *text, char *error)
{
    const size_t len = strlen(text);
    char digits[16];
    double value;
    const bool is_time = len > 1 && text[len - 1] == 's';
    if (len >= sizeof digits)
        return bad(error, "%s takes connections per second, or seconds as in \"10s\"", row->name);
    memcpy(digits, text, len + 1);
    if (is_time)
        digits[len - 1] = '\0';
    if (!to_number(row, digits, &value, error))
        return false;
    o->ramp_ms = is_time ? (int64_t)(value * 1000) : 0;
    o->ramp_per_second = is_time ? 0 : (uint32_t)value;
    return true;
}

static bool take_mode(struct options *o, const struct row *row, const char *text, char *error)
{
    for (enum mode m = MODE_ECHO; m < MODE_COUNT; m++) {
        if (strcmp(mode_texts[m], text) == 0) {
            o->mode = m;
            return true;
        }
    }
    return bad(error, "%s: there is no \"%.40s\"", row->name, text);
}

static bool take_broadcast(struct options *o, const struct row *row, const char *text, char *error)
{
    (void)row, (void)text, (void)error;
    o->mode = MODE_BROADCAST;
    return true;
}

static bool take_serve(struct options *o, const struct row *row, const char *text, char *error)
{
    o->mode = MODE_SERVE;
    return addr_parse(&o->serve, text) ||
           bad(error, "%s takes a numeric address with port, not \"%.80s\"", row->name, text);
}

static bool take_header(struct options *o, const struct row *row, const char *text, char *error)
{
    const char *colon = strchr(text, ':');
    const struct http_view name = {text, colon != NULL ? (size_t)(colon - text) : 0};
    bool is_good = colon != NULL && http_is_token(name);
    for (const char *at = text; is_good && *at != '\0'; at++)
        is_good = (unsigned char)*at >= ' ' && *at != 0x7f;
    if (!is_good || strlen(text) > (size_t)row->max)
        return bad(error, "%s takes \"Name: value\", not \"%.80s\"", row->name, text);
    if (o->header_count == OPTIONS_HEADERS_MAX)
        return bad(error, "%s: at most %u of them", row->name, OPTIONS_HEADERS_MAX);
    o->headers[o->header_count++] = text;
    return true;
}

static bool take_param(struct options *o, const struct row *row, const char *text, char *error)
{
    const char *sign = strchr(text, '=');
    if (sign == NULL || sign == text || sign - text >= 64)
        return bad(error, "%s takes key=value, not \"%.80s\"", row->name, text);
    if (o->param_count == OPTIONS_HEADERS_MAX)
        return bad(error, "%s: at most %u of them", row->name, OPTIONS_HEADERS_MAX);
    o->params[o->param_count++] = text;
    return true;
}

static bool take_join(struct options *o, const struct row *row, const char *text, char *error)
{
    const struct json_text json = {text, strlen(text)};
    if (json.len > (size_t)row->max || !json_is_value(json) || !json_text_is_object(json))
        return bad(error, "%s takes a JSON object of at most %.0f bytes", row->name, row->max);
    o->join = text;
    return true;
}

static bool take_path(struct options *o, const struct row *row, const char *text, char *error)
{
    struct url tried = {0};
    if (!url_set_target(&tried, text))
        return bad(error, "%s takes a path like /rest/v1/items?select=id, not \"%.80s\"", row->name, text);
    const char **to = place(o, row);
    *to = text;
    return true;
}

static bool take_threshold(struct options *o, const struct row *row, const char *text, char *error)
{
    if (o->threshold_count == OPTIONS_THRESHOLDS_MAX)
        return bad(error, "%s: at most %u of them", row->name, OPTIONS_THRESHOLDS_MAX);
    if (!threshold_parse(&o->thresholds[o->threshold_count], text, error))
        return false;
    o->threshold_count++;
    return true;
}

/* Its options have been taken before. */
static bool take_scenario(struct options *o, const struct row *row, const char *text, char *error)
{
    o->scenario = scenario_find(text);
    return o->scenario != NULL ||
           bad(error, "%s: there is no \"%.40s\" (--list-scenarios shows them)", row->name, text);
}

#define TO(field) offsetof(struct options, field)
/* clang-format off */
static const struct row rows[] = {
    {"--connections",       "N",          take_count,     TO(connections),       1, 200000, "how many (default 100)"},
    {"--ramp",              "N or Ns",    take_ramp,      0,                     0, 1e6,    "connections opened per second, or the seconds over which they open (default: at once)"},
    {"--rate",              "N",          take_pace,      TO(rate),              0, OPTIONS_RATE_MAX, "messages per second over all connections (default: each as soon as the last is answered)"},
    {"--per-connection",    "N",          take_pace,      TO(per_connection),    0, 1e5,    "messages per second on each connection, instead of --rate"},
    {"--size",              "BYTES",      take_count,     TO(size_bytes),        1, 1 << 20,"payload of a message (default 128)"},
    {"--seconds",           "N",          take_time,      TO(time_ms),         0.1, 86400,  "length of the measured part (default 10)"},
    {"--warm-up",           "N",          take_time,      TO(warm_up_ms),        0, 3600,   "seconds of load before measuring begins (default 0)"},
    {"--messages",          "N",          take_count,     TO(messages),          0, 1e9,    "round trips per connection, instead of --seconds"},
    {"--timeout",           "N",          take_time,      TO(timeout_ms),      0.1, 600,    "seconds for a handshake, a join or an answer (default 10)"},
    {"--reconnect",         NULL,         take_flag,      TO(reconnects),        0, 0,      "open lost connections again, after 1, 2, 5 and then every 10 seconds"},
    {"--channels",          "N",          take_count,     TO(channel_count),     0, 100,    "speak Phoenix: join so many channels on each connection (default 0: bare echoes)"},
    {"--members",           "N",          take_count,     TO(member_count),      0, 200000, "connections that share a topic (default 0: all of them)"},
    {"--topic",             "TEXT",       take_word,      TO(topic),             0, 100,    "what all topics begin with (default realtime:bench)"},
    {"--event",             "NAME",       take_word,      TO(event),             0, 100,    "event of acknowledged messages (default broadcast)"},
    {"--join",              "JSON",       take_join,      0,                     0, 65536,  "payload to join with (default: as realtime-js)"},
    {"--broadcast",         NULL,         take_broadcast, 0,                     0, 0,      "messages go to all who share the topic; latency is that of each delivery"},
    {"--self",              NULL,         take_flag,      TO(hears_itself),      0, 0,      "with --broadcast: also to who sent it"},
    {"--binary",            NULL,         take_flag,      TO(is_binary),         0, 0,      "with --channels: broadcasts of kind 3 that come back, instead of text"},
    {"--heartbeat",         "N",          take_time,      TO(heartbeat_ms),      0, 3600,   "seconds between heartbeats of Phoenix (default 25; 0: none)"},
    {"--token",             "JWT",        take_word,      TO(token),             0, 8192,   "access_token of the joins; without channels: Authorization: Bearer"},
    {"--param",             "KEY=VALUE",  take_param,     0,                     0, 0,      "added to the URL's query (--param apikey=...); up to 16 times"},
    {"--header",            "NAME: VALUE",take_header,    0,                     0, 8192,   "sent with every handshake and request; up to 16 times"},
    {"--insecure",          NULL,         take_flag,      TO(is_insecure),       0, 0,      "do not check the server's certificate"},
    {"--ca",                "FILE",       take_text,      TO(ca_file),           0, 0,      "authorities that vouch for it (default: the system's)"},
    {"--resume",            NULL,         take_flag,      TO(resumes),           0, 0,      "each client goes on with the TLS session of its connection before"},
    {"--queries",           "PATH",       take_path,      TO(queries),           0, 0,      "ask for this over HTTP beside the load, and tell how often a cache answers"},
    {"--query-rate",        "N",          take_rate,      TO(query_rate),      0.1, 1e5,    "queries per second (default 20)"},
    {"--query-connections", "N",          take_count,     TO(query_connections), 1, 1000,   "over so many connections (default 10)"},
    {"--scenario",          "NAME",       take_scenario,  0,                     0, 0,      "a load that ships with the program; other options override its own"},
    {"--fail-if",           "FIGURE > N", take_threshold, 0,                     0, 0,      "exit status 1 when it is so; also <, >=, <=, ==, !=; up to 32 times"},
    {"--json",              NULL,         take_flag,      TO(is_json),           0, 0,      "the report as one JSON object on stdout"},
    {"--report",            "FILE",       take_text,      TO(report_file),       0, 0,      "the JSON object into this file"},
    {"--percentiles",       NULL,         take_flag,      TO(shows_percentiles), 0, 0,      "the whole distribution of latencies"},
    {"--progress",          NULL,         take_flag,      TO(shows_progress),    0, 0,      "a line each second on stderr (default when that is a terminal)"},
    {"--mode",              "MODE",       take_mode,      0,                     0, 0,      "echo (default); hold: open, print open=N, idle until stdin ends, then one message each;\n                             churn: open, one message, close, again; listen: count broadcasts that others number"},
    {"--opening",           "N",          take_count,     TO(opening_count),     1, 10000,  "handshakes under way at a time (default 128)"},
    {"--sources",           "N",          take_count,     TO(source_count),      0, 200,    "client addresses 127.0.0.1.. to use in turn (default 0: no choice)"},
    {"--serve",             "IP:PORT",    take_serve,     0,                     0, 0,      "be a backend: WebSocket echo, Phoenix that answers, HTTP of 1 KiB"},
};
/* clang-format on */
#define ROW_COUNT (sizeof rows / sizeof rows[0])

void options_print_usage(FILE *to)
{
    fprintf(to, "usage: tidegate-bench URL [options]      ws://, wss://, http:// or https://\n"
                "       tidegate-bench --serve IP:PORT\n"
                "       tidegate-bench --list-scenarios | --list-figures | --help\n");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char option[64];
        (void)snprintf(option, sizeof option, "%s %s", rows[i].name, rows[i].hint != NULL ? rows[i].hint : "");
        fprintf(to, "  %-26s %s\n", option, rows[i].help);
    }
    fprintf(to, "exit status: 0 good, 1 a threshold failed, 2 usage, 3 could not run\n");
}

/* ---- the line ---- */

static bool take_url(struct options *o, const char *text, char *error)
{
    if (o->url_text != NULL)
        return bad(error, "two URLs: %.80s and %.80s", o->url_text, text);
    o->url_text = text;
    return url_parse(&o->url, text, error);
}

static bool take_all(struct options *o, size_t count, const char *const *words, char *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = rows;
        if (words[i][0] != '-') {
            if (!take_url(o, words[i], error))
                return false;
            continue;
        }
        while (row < rows + ROW_COUNT && strcmp(row->name, words[i]) != 0)
            row++;
        if (row == rows + ROW_COUNT)
            return bad(error, "unknown option %.60s", words[i]);
        if (row->hint != NULL && i + 1 == count)
            return bad(error, "%s needs a value: %s", row->name, row->hint);
        if (!row->take(o, row, row->hint != NULL ? words[++i] : NULL, error))
            return false;
    }
    return true;
}

static bool take_scenario_options(struct options *o, int argc, const char *const *argv, char *error)
{
    for (int i = 1; i + 1 < argc; i++) {
        const struct scenario *s = strcmp(argv[i], "--scenario") == 0 ? scenario_find(argv[i + 1]) : NULL;
        size_t count = 0;
        while (s != NULL && s->options[count] != NULL)
            count++;
        if (s != NULL && !take_all(o, count, s->options, error))
            return false;
    }
    return true;
}

/* What only the whole line shows. */
static bool complete(struct options *o, char *error)
{
    if (o->mode == MODE_SERVE)
        return true;
    if (o->url_text == NULL)
        return bad(error, "no URL to load, such as ws://127.0.0.1:8080/");
    if ((o->mode == MODE_LISTEN || o->mode == MODE_BROADCAST) && o->channel_count == 0)
        o->channel_count = 1;
    if (o->url.speaks_http && o->channel_count > 0)
        return bad(error, "channels are spoken over ws:// and wss://");
    if (o->mode == MODE_BROADCAST && o->rate <= 0 && o->per_connection <= 0)
        return bad(error, "--broadcast needs --rate or --per-connection: nothing is answered that would set the pace");
    if (o->mode == MODE_BROADCAST && (o->is_binary || o->messages > 0))
        return bad(error, "--broadcast goes with neither --binary nor --messages");
    if (o->messages > 0 && (o->rate > 0 || o->per_connection > 0))
        return bad(error,
                   "--messages counts messages that follow each other: it goes without --rate and --per-connection");
    if (o->per_connection * o->connections > OPTIONS_RATE_MAX)
        return bad(error, "more than %u messages per second in all", OPTIONS_RATE_MAX);
    if (o->is_binary && o->channel_count == 0)
        return bad(error, "--binary goes with --channels");
    if ((uint64_t)o->connections * o->channel_count > OPTIONS_SUBSCRIPTIONS_MAX)
        return bad(error, "more than %u channels in all", OPTIONS_SUBSCRIPTIONS_MAX);
    if (o->channel_count > 0 && !o->url.has_path) {
        char target[URL_TARGET_BYTES + 24];
        (void)snprintf(target, sizeof target, "/socket/websocket%s", o->url.target + 1);
        if (!url_set_target(&o->url, target))
            return bad(error, "the URL is too long");
    }
    for (uint32_t i = 0; i < o->param_count; i++) {
        char key[64];
        const char *sign = strchr(o->params[i], '=');
        (void)snprintf(key, sizeof key, "%.*s", (int)(sign - o->params[i]), o->params[i]);
        if (!url_add_param(&o->url, key, sign + 1))
            return bad(error, "the URL is too long with %.60s", o->params[i]);
    }
    if (o->channel_count > 0 && !url_has_param(&o->url, "vsn") && !url_add_param(&o->url, "vsn", "2.0.0"))
        return bad(error, "the URL is too long");
    return true;
}

enum options_verdict options_parse(struct options *o, int argc, const char *const *argv, char *error)
{
    static const struct {
        const char *name;
        enum options_verdict verdict;
    } questions[] = {
        {"--help", OPTIONS_HELP}, {"--list-scenarios", OPTIONS_SCENARIOS}, {"--list-figures", OPTIONS_FIGURES}};
    *o = (struct options){.mode = MODE_ECHO,
                          .connections = 100,
                          .opening_count = 128,
                          .timeout_ms = 10000,
                          .size_bytes = 128,
                          .time_ms = 10000,
                          .topic = "realtime:bench",
                          .event = "broadcast",
                          .heartbeat_ms = 25000,
                          .query_rate = 20,
                          .query_connections = 10};
    error[0] = '\0';
    for (int i = 1; i < argc; i++) {
        for (size_t q = 0; q < sizeof questions / sizeof questions[0]; q++) {
            if (strcmp(argv[i], questions[q].name) == 0)
                return questions[q].verdict;
        }
    }
    if (!take_scenario_options(o, argc, argv, error) ||
        !take_all(o, argc > 0 ? (size_t)argc - 1 : 0, argv + 1, error) || !complete(o, error))
        return OPTIONS_BAD;
    return OPTIONS_RUN;
}
