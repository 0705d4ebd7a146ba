/* Options, as one table: name, where the number goes, its bounds. */
#include "gateway/bench/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct number_option {
    const char *name;
    size_t offset;
    bool is_time; /* given in seconds, kept in int64_t milliseconds */
    double min, max;
    const char *help;
};

#define COUNT(field) offsetof(struct options, field), false
#define TIME(field)  offsetof(struct options, field), true
static const struct number_option number_options[] = {
    {"--connections", COUNT(connections), 1, 200000, "how many (default 100)"},
    {"--channels", COUNT(channel_count), 0, 100,
     "speak Phoenix: join so many on each connection and push on them in turn (default 0: bare echoes)"},
    {"--messages", COUNT(messages), 0, 1e9, "round trips per connection, instead of --seconds"},
    {"--seconds", TIME(time_ms), 0.1, 3600, "length of the measured part; in hold mode the longest hold (default 5)"},
    {"--warm-up", TIME(warm_up_ms), 0, 60, "seconds of echo before measuring begins (default 0)"},
    {"--size", COUNT(size_bytes), 1, 1 << 20, "payload bytes of a message (default 128)"},
    {"--pace", COUNT(pace), 0, 1e6,
     "messages per second over all connections (default 0: as fast as they are answered)"},
    {"--rate", COUNT(rate), 0, 1e6, "connections opened per second (default 0: as fast as they are accepted)"},
    {"--opening", COUNT(opening_count), 1, 10000, "handshakes under way at a time (default 128)"},
    {"--sources", COUNT(source_count), 0, 200, "client addresses 127.0.0.1.. to use in turn (default 0: no choice)"},
};
#define NUMBER_OPTION_COUNT (sizeof number_options / sizeof number_options[0])

static const struct flag_option {
    const char *name;
    size_t offset;
    const char *help;
} flag_options[] = {
    {"--http", offsetof(struct options, speaks_http), "no WebSockets: one GET after the other on each connection"},
    {"--binary", offsetof(struct options, is_binary), "with --channels: broadcasts of kind 3 instead of text"},
    {"--tls", offsetof(struct options, is_tls), "TLS 1.3; the certificate is not checked"},
    {"--resume", offsetof(struct options, resumes), "with --tls: go on with the session of an earlier connection"},
    {"--json", offsetof(struct options, is_json), "the result as a JSON object"},
};
#define FLAG_OPTION_COUNT (sizeof flag_options / sizeof flag_options[0])

static const struct {
    const char *name, *help;
} modes[MODE_COUNT] = {
    [MODE_SERVE] = {"serve", NULL},
    [MODE_ECHO] = {"echo", "ping-pong: one message in flight per connection (default)"},
    [MODE_HOLD] = {"hold", "open all, print `open=N`, hold idle until stdin ends, then one message each"},
    [MODE_CHURN] = {"churn", "each connection: open, one message, close, again"},
    [MODE_LISTEN] = {"listen", "with --channels: print `open=N`, count what is broadcast (listen.c) until stdin ends"},
};

static bool usage(const char *what, const char *which)
{
    if (what != NULL)
        fprintf(stderr, "tidegate-bench: %s: %s\n", what, which);
    fprintf(stderr, "usage: tidegate-bench --serve IP:PORT\n"
                    "       tidegate-bench --connect IP:PORT [--path /x] [--mode MODE] [options]\n");
    for (size_t i = MODE_ECHO; i < MODE_COUNT; i++)
        fprintf(stderr, "  --mode %-14s %s\n", modes[i].name, modes[i].help);
    for (size_t i = 0; i < FLAG_OPTION_COUNT; i++)
        fprintf(stderr, "  %-21s %s\n", flag_options[i].name, flag_options[i].help);
    for (size_t i = 0; i < NUMBER_OPTION_COUNT; i++)
        fprintf(stderr, "  %-21s %s\n", number_options[i].name, number_options[i].help);
    return false;
}

static bool set_number(struct options *o, const struct number_option *n, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= n->min && value <= n->max)) {
        fprintf(stderr, "tidegate-bench: %s takes a number from %g to %g\n", n->name, n->min, n->max);
        return false;
    }
    void *field = (char *)o + n->offset;
    if (n->is_time)
        *(int64_t *)field = (int64_t)(value * 1000);
    else
        *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool set_flag(struct options *o, const char *name)
{
    for (size_t i = 0; i < FLAG_OPTION_COUNT; i++) {
        if (strcmp(name, flag_options[i].name) == 0)
            return *(bool *)((char *)o + flag_options[i].offset) = true;
    }
    return false;
}

static bool set_mode(struct options *o, const char *text)
{
    for (enum mode m = MODE_ECHO; m < MODE_COUNT; m++) {
        if (strcmp(modes[m].name, text) == 0) {
            o->mode = m;
            return true;
        }
    }
    return usage("no such mode", text);
}

static bool set_address(struct options *o, const char *text)
{
    o->authority = text;
    return addr_parse(&o->address, text) || usage("not an address with port", text);
}

static bool set_one(struct options *o, const char *name, const char *value)
{
    for (size_t i = 0; i < NUMBER_OPTION_COUNT; i++) {
        if (strcmp(name, number_options[i].name) == 0)
            return set_number(o, &number_options[i], value);
    }
    if (strcmp(name, "--mode") == 0)
        return set_mode(o, value);
    if (strcmp(name, "--path") == 0) {
        o->path = value;
        return true;
    }
    if (strcmp(name, "--serve") == 0)
        o->mode = MODE_SERVE;
    else if (strcmp(name, "--connect") != 0)
        return usage("unknown option", name);
    return set_address(o, value);
}

bool options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .mode = MODE_ECHO, .path = "/", .connections = 100, .time_ms = 5000, .size_bytes = 128, .opening_count = 128};
    for (int i = 1; i < argc; i++) {
        if (set_flag(o, argv[i]))
            continue;
        if (i + 1 == argc)
            return usage("needs a value, or is unknown", argv[i]);
        if (!set_one(o, argv[i], argv[i + 1]))
            return false;
        i++;
    }
    if (o->mode == MODE_LISTEN && o->channel_count == 0)
        return usage("missing", "--channels");
    return o->authority != NULL || usage("missing", "--serve or --connect");
}
