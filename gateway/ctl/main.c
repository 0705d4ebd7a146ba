/* tidegatectl: talks to a running gateway over its control socket. A verb is one row of the table. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "gateway/ctl/alerts.h"
#include "gateway/ctl/call.h"
#include "gateway/ctl/events.h"
#include "gateway/ctl/purge.h"
#include "gateway/ctl/render.h"
#include "gateway/ctl/sessions.h"

#define SOCKET_DEFAULT    "/run/tidegate/control.sock"
#define TIMEOUT_MS        5000
#define TIMEOUT_RELOAD_MS 30000 /* processes have 10 s to take a configuration; another reload may come first */
#define TIMEOUT_TEST_MS   20000
#define PAGE_BYTES_MAX    (16u << 20)
#define LINE_BYTES        1024
#define EXIT_REFUSED      1
#define SHOWN_USUAL       50u /* when nobody says how many */
#define FOLLOW_PAUSE_MS   500

struct options;
struct verb;
static int run_purges(const struct verb *verb, int count, char *const words[], const struct options *o);
static int run_force(const struct verb *verb, int count, char *const words[], const struct options *o);
static int run_each(const struct verb *verb, int count, char *const words[], const struct options *o);
static int run_events(const struct verb *verb, int count, char *const words[], const struct options *o);
static int run_ack(const struct verb *verb, int count, char *const words[], const struct options *o);
static int run_alerts(const struct verb *verb, int count, char *const words[], const struct options *o);
static int run_sessions(const struct verb *verb, int count, char *const words[], const struct options *o);

struct verb {
    const char *name;
    const char *command; /* what the gateway is sent */
    int64_t timeout_ms;
    const char *about;
    bool (*render)(const char *json, size_t len, struct strbuf *out); /* NULL: the body is for people already */
    /* What follows it: NULL nothing; else it is run with the words there. */
    int (*run_words)(const struct verb *verb, int count, char *const words[], const struct options *o);
};

struct options {
    const char *socket_path;
    int64_t timeout_ms; /* 0: the verb's own */
    bool as_json;
    bool is_soft;
    bool is_following;
    uint64_t after, limit;
};

static const struct verb verbs[] = {
    {"status", "status", TIMEOUT_MS, "show processes, pools, servers and routes, and what DNS answers and why",
     render_status, NULL},
    {"reload", "reload", TIMEOUT_RELOAD_MS, "read the configuration again; says why when it is refused", NULL, NULL},
    {"purge", "purge", TIMEOUT_MS, "stop serving what is cached: tag NAME..., url URL..., prefix TEXT... or all", NULL,
     run_purges},
    {"force", "force", TIMEOUT_MS,
     "POOL/SERVER or targets/NAME up|down|auto: what it counts as, whatever the checks say", NULL, run_force},
    {"drain", "drain", TIMEOUT_MS,
     "POOL/SERVER or targets/NAME...: no new clients for it, no answers of DNS with it; what there is stays", NULL,
     run_each},
    {"undrain", "undrain", TIMEOUT_MS, "POOL/SERVER or targets/NAME...: take that back", NULL, run_each},
    {"events", "events", TIMEOUT_MS, "show what happened: --after NUMBER, --limit COUNT, --follow", events_render,
     run_events},
    {"ack", "ack", TIMEOUT_MS, "[NUMBER]: you take care of what was alerted; no more reminders", NULL, run_ack},
    {"alerts", "alerts", TIMEOUT_TEST_MS, "show what is open; test NAME: send one, and say whether it arrived",
     alerts_render, run_alerts},
    {"sessions", "sessions", TIMEOUT_MS,
     "[TEXT]: show WebSockets that outlive their servers, those with the text in client, route or server: --limit; ID: "
     "one "
     "of them, and its life",
     sessions_render, run_sessions},
    {"reopen-logs", "reopen-logs", TIMEOUT_MS, "open the log file again, after rotation", NULL, NULL},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static void print_usage(FILE *to)
{
    fprintf(to, "usage: tidegatectl [-s SOCKET] [--json] [--timeout TIME] COMMAND\n\ncommands:\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(to, "  %-12s %s\n", verbs[i].name, verbs[i].about);
    fprintf(to,
            "  %-12s show this\n\n"
            "options:\n"
            "  -s, --socket SOCKET  control socket of the gateway (%s)\n"
            "  -j, --json           print the answer as the gateway sent it\n"
            "      --soft           purge: serve it as stale once more while it is fetched again\n"
            "  -f, --follow         events: go on showing them as they happen\n"
            "      --after NUMBER   events: those after this one\n"
            "      --limit COUNT    events, sessions: so many at most (%u)\n"
            "  -t, --timeout TIME   give up after this long, e.g. 800ms or 30s (5s; reload 30s)\n"
            "  -V, --version        print the version\n\n"
            "exit codes: 0 done, 1 refused, %d wrong usage, %d no gateway answers there\n",
            "help", SOCKET_DEFAULT, SHOWN_USUAL, EX_USAGE, EX_UNAVAILABLE);
}

/* "800ms", "5s", "2m"; -1 when it is none of these or not above zero. */
static int64_t parse_time_ms(const char *text)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
    char *unit;
    long value = strtol(text, &unit, 10);

    if (unit == text || value <= 0 || value > 1000000)
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].unit) == 0)
            return value * units[i].ms;
    return -1;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* `what` is the verb, and what it is about when it is about several things. */
static int print_answer(const struct verb *verb, const char *what, const struct call_answer *answer, bool as_json)
{
    struct strbuf page;
    int rc = EX_OK;

    if (!answer->is_ok) {
        fprintf(stderr, "tidegatectl: %s: %s\n", what, answer->text.data);
        return EXIT_REFUSED;
    }
    if (verb->render == NULL || as_json) {
        fputs(answer->text.data, stdout);
        return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    }
    strbuf_init(&page, PAGE_BYTES_MAX);
    strbuf_puts(&page, ""); /* never NULL: there may be nothing to show */
    if (verb->render(answer->text.data, answer->text.len, &page) && !page.failed)
        fputs(page.data, stdout);
    else
        rc = EX_PROTOCOL;
    if (rc != EX_OK)
        fprintf(stderr, "tidegatectl: %s: the answer is not what this version understands; try --json\n", what);
    else if (fflush(stdout) != 0)
        rc = EX_IOERR;
    strbuf_fini(&page);
    return rc;
}

/* EX_OK: `answer` is to be freed. */
static int call(const struct verb *verb, const char *line, const struct options *o, struct call_answer *answer)
{
    const char *socket_path = o->socket_path;
    enum err e = call_gateway(socket_path, line, o->timeout_ms > 0 ? o->timeout_ms : verb->timeout_ms, answer);

    if (e == ERR_INVALID) {
        fprintf(stderr, "tidegatectl: %s: not a path that a socket can have\n", socket_path);
        return EX_USAGE;
    }
    if (e == ERR_PROTOCOL) {
        fprintf(stderr, "tidegatectl: %s: what answers there is no gateway\n", socket_path);
        return EX_PROTOCOL;
    }
    if (e == ERR_TIMEOUT) {
        fprintf(stderr, "tidegatectl: %s: no answer to %s in time\n", socket_path, verb->name);
        return EX_UNAVAILABLE;
    }
    if (e != ERR_NONE) {
        fprintf(stderr, "tidegatectl: %s: no gateway answers there: %s\n", socket_path, err_text(e));
        return EX_UNAVAILABLE;
    }
    return EX_OK;
}

static int run(const struct verb *verb, const char *line, const char *what, const struct options *o)
{
    struct call_answer answer;
    int rc = call(verb, line, o, &answer);

    if (rc != EX_OK)
        return rc;
    rc = print_answer(verb, what, &answer, o->as_json);
    call_answer_fini(&answer);
    return rc;
}

/* The words as they are, one blank between, and maybe more after them. */
static int run_joined(const struct verb *verb, int count, char *const words[], const char *more,
                      const struct options *o)
{
    struct strbuf line;
    int rc;

    strbuf_init(&line, LINE_BYTES);
    strbuf_puts(&line, verb->command);
    for (int i = 0; i < count; i++)
        strbuf_printf(&line, " %s", words[i]);
    strbuf_puts(&line, more);
    if (line.failed || strpbrk(line.data, "\r\n") != NULL) {
        fprintf(stderr, "tidegatectl: %s: that is no such name\n", verb->name);
        rc = EX_USAGE;
    } else {
        rc = run(verb, line.data, verb->name, o);
    }
    strbuf_fini(&line);
    return rc;
}

static int run_ack(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    char who[64], more[sizeof who + 8] = "";

    if (count > 1) {
        fprintf(stderr, "tidegatectl: %s: expected nothing, or the number of an alert\n", verb->name);
        return EX_USAGE;
    }
    alerts_who(who, sizeof who);
    if (who[0] != '\0')
        snprintf(more, sizeof more, " by %s", who);
    return run_joined(verb, count, words, more, o);
}

/* A list to be rendered, or a test whose answer is a sentence. */
static int run_alerts(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    struct verb spoken = *verb;

    if (count > 0)
        spoken.render = NULL;
    return run_joined(&spoken, count, words, "", o);
}

static int run_sessions(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    struct verb spoken = *verb;
    char limit[24], *line[] = {limit, count > 0 ? words[0] : NULL};

    if (count > 1) {
        fprintf(stderr, "tidegatectl: %s: expected nothing, a text to look for, or the id of a session\n", verb->name);
        return EX_USAGE;
    }
    if (count > 0 && sessions_is_id(words[0]))
        spoken.render = sessions_render_life;
    snprintf(limit, sizeof limit, "%" PRIu64, o->limit);
    return run_joined(&spoken, count + 1, line, "", o);
}

/* What came is shown, and what comes after it is asked for, again and again when that is wanted. */
static int run_events(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    const struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * 1000000L};
    uint64_t after = o->after;
    int rc;

    if (count > 0) {
        fprintf(stderr, "tidegatectl: events: what is \"%s\"?\n", words[0]);
        return EX_USAGE;
    }
    do {
        struct call_answer answer;
        char line[64];

        snprintf(line, sizeof line, "events %" PRIu64 " %" PRIu64, after, o->limit);
        rc = call(verb, line, o, &answer);
        if (rc != EX_OK)
            return rc;
        rc = print_answer(verb, verb->name, &answer, o->as_json);
        if (answer.is_ok && answer.text.len > 0)
            after = events_last_seq(answer.text.data, answer.text.len);
        call_answer_fini(&answer);
        if (o->is_following && rc == EX_OK)
            (void)nanosleep(&pause, NULL);
    } while (o->is_following && rc == EX_OK);
    return rc;
}

/* One purge: sent, or only looked at. */
static int purge_one(const struct verb *verb, const char *kind, const char *name, const struct options *o, bool is_sent)
{
    struct strbuf line;
    const char *why;
    int rc = EX_OK;

    strbuf_init(&line, PURGE_LINE_BYTES);
    why = purge_line(&line, kind, name, o->is_soft);
    if (why != NULL) {
        fprintf(stderr, "tidegatectl: purge %s \"%s\": %s\n", kind, name, why);
        rc = EX_USAGE;
    } else if (is_sent) {
        rc = run(verb, line.data, line.data, o);
    }
    strbuf_fini(&line);
    return rc;
}

/* Every name is looked at before the first is sent. One that is refused does not hold up the others; a gateway that
 * does not answer is not asked again. */
static int run_purges(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    const char *why = purge_check_words(count, words);
    const int first = count > 1 ? 1 : 0; /* "all" stands for its own name */
    int rc = EX_OK;

    if (why != NULL) {
        fprintf(stderr, "tidegatectl: purge: %s\n", why);
        return EX_USAGE;
    }
    for (int i = first; i < count && rc == EX_OK; i++)
        rc = purge_one(verb, words[0], words[i], o, false);
    for (int i = first; i < count && (rc == EX_OK || rc == EXIT_REFUSED); i++) {
        int one = purge_one(verb, words[0], words[i], o, true);

        if (one != EX_OK)
            rc = one;
    }
    return rc;
}

/* What is sent is one line, in which a name is one word. */
static bool is_server(const char *word)
{
    const char *slash = strchr(word, '/');

    for (const char *c = word; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return false;
    return slash != NULL && slash != word && slash[1] != '\0' && strlen(word) < LINE_BYTES / 2;
}

static int want_server(const struct verb *verb, const char *word)
{
    fprintf(stderr, "tidegatectl: %s: expected the server as POOL/SERVER or targets/NAME, not \"%s\"\n", verb->name,
            word);
    return EX_USAGE;
}

static int run_force(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    char line[LINE_BYTES];

    if (count != 2 || (strcmp(words[1], "up") != 0 && strcmp(words[1], "down") != 0 && strcmp(words[1], "auto") != 0)) {
        fprintf(stderr, "tidegatectl: %s: expected POOL/SERVER or targets/NAME, and one of up, down, auto\n",
                verb->name);
        return EX_USAGE;
    }
    if (!is_server(words[0]))
        return want_server(verb, words[0]);
    snprintf(line, sizeof line, "%s %s %s", verb->command, words[0], words[1]);
    return run(verb, line, line, o);
}

/* One command for each server. One that is refused does not hold up the others. */
static int run_each(const struct verb *verb, int count, char *const words[], const struct options *o)
{
    int rc = EX_OK;

    if (count == 0)
        return want_server(verb, "");
    for (int i = 0; i < count; i++)
        if (!is_server(words[i]))
            return want_server(verb, words[i]);
    for (int i = 0; i < count && (rc == EX_OK || rc == EXIT_REFUSED); i++) {
        char line[LINE_BYTES];

        snprintf(line, sizeof line, "%s %s", verb->command, words[i]);
        int one = run(verb, line, line, o);
        if (one != EX_OK)
            rc = one;
    }
    return rc;
}

/* Fills `o`; true when that was all there is to do, with the exit code in *rc. */
static bool parse_options(int argc, char **argv, struct options *o, int *rc)
{
    enum { OPTION_SOFT = 256, OPTION_AFTER, OPTION_LIMIT };
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'},
        {"soft", no_argument, NULL, OPTION_SOFT},
        {"follow", no_argument, NULL, 'f'},
        {"after", required_argument, NULL, OPTION_AFTER},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *rc = EX_OK;
    while ((c = getopt_long(argc, argv, "s:jt:fhV", options, NULL)) != -1) {
        if (c == 's') {
            o->socket_path = optarg;
        } else if (c == 'j') {
            o->as_json = true;
        } else if (c == OPTION_SOFT) {
            o->is_soft = true;
        } else if (c == 'f') {
            o->is_following = true;
        } else if (c == OPTION_AFTER || c == OPTION_LIMIT) {
            if (!parse_number(optarg, c == OPTION_AFTER ? &o->after : &o->limit)) {
                fprintf(stderr, "tidegatectl: %s: expected a number\n", optarg);
                *rc = EX_USAGE;
                return true;
            }
        } else if (c == 't') {
            o->timeout_ms = parse_time_ms(optarg);
            if (o->timeout_ms < 0) {
                fprintf(stderr, "tidegatectl: --timeout %s: expected a time such as 800ms, 5s or 1m\n", optarg);
                *rc = EX_USAGE;
                return true;
            }
        } else if (c == 'h') {
            print_usage(stdout);
            return true;
        } else if (c == 'V') {
            printf("tidegatectl %s\n", TIDEGATE_VERSION);
            return true;
        } else {
            *rc = EX_USAGE; /* getopt has said why */
            return true;
        }
    }
    return false;
}

static int wrong_usage(const char *what)
{
    if (what != NULL)
        fprintf(stderr, "tidegatectl: what is \"%s\"?\n", what);
    print_usage(stderr);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct options o = {.socket_path = SOCKET_DEFAULT, .limit = SHOWN_USUAL};
    const struct verb *verb;
    int rc, count;
    char **words;

    if (parse_options(argc, argv, &o, &rc))
        return rc;
    words = argv + optind;
    count = argc - optind;
    if (count == 1 && strcmp(words[0], "help") == 0) {
        print_usage(stdout);
        return EX_OK;
    }
    verb = count > 0 ? find_verb(words[0]) : NULL;
    if (verb == NULL)
        return wrong_usage(count > 0 ? words[0] : NULL);
    if (o.is_soft && verb->run_words != run_purges)
        return wrong_usage("--soft");
    if (verb->run_words != NULL)
        return verb->run_words(verb, count - 1, words + 1, &o);
    if (count > 1)
        return wrong_usage(words[1]);
    return run(verb, verb->command, verb->name, &o);
}
