/* tidegatectl: talks to a running gateway over its control socket. A verb is one row of the table. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "gateway/ctl/call.h"
#include "gateway/ctl/render.h"

#define SOCKET_DEFAULT    "/run/tidegate/control.sock"
#define TIMEOUT_MS        5000
#define TIMEOUT_RELOAD_MS 30000 /* processes have 10 s to take a configuration; another reload may come first */
#define PAGE_BYTES_MAX    (16u << 20)
#define EXIT_REFUSED      1

struct verb {
    const char *name;
    const char *command; /* what the gateway is sent */
    int64_t timeout_ms;
    const char *about;
    bool (*render)(const char *json, size_t len, struct strbuf *out); /* NULL: the body is for people already */
};

static const struct verb verbs[] = {
    {"status", "status", TIMEOUT_MS, "show processes, pools, servers and routes", render_status},
    {"reload", "reload", TIMEOUT_RELOAD_MS, "read the configuration again; says why when it is refused", NULL},
    {"reopen-logs", "reopen-logs", TIMEOUT_MS, "open the log file again, after rotation", NULL},
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
            "  -t, --timeout TIME   give up after this long, e.g. 800ms or 30s (5s; reload 30s)\n"
            "  -V, --version        print the version\n\n"
            "exit codes: 0 done, 1 refused, %d wrong usage, %d no gateway answers there\n",
            "help", SOCKET_DEFAULT, EX_USAGE, EX_UNAVAILABLE);
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

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int print_answer(const struct verb *verb, const struct call_answer *answer, bool as_json)
{
    struct strbuf page;
    int rc = EX_OK;

    if (!answer->is_ok) {
        fprintf(stderr, "tidegatectl: %s: %s\n", verb->name, answer->text.data);
        return EXIT_REFUSED;
    }
    if (verb->render == NULL || as_json) {
        fputs(answer->text.data, stdout);
        return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    }
    strbuf_init(&page, PAGE_BYTES_MAX);
    if (verb->render(answer->text.data, answer->text.len, &page) && !page.failed)
        fputs(page.data, stdout);
    else
        rc = EX_PROTOCOL;
    if (rc != EX_OK)
        fprintf(stderr, "tidegatectl: %s: the answer is not what this version understands; try --json\n", verb->name);
    else if (fflush(stdout) != 0)
        rc = EX_IOERR;
    strbuf_fini(&page);
    return rc;
}

static int run(const struct verb *verb, const char *socket_path, int64_t timeout_ms, bool as_json)
{
    struct call_answer answer;
    enum err e = call_gateway(socket_path, verb->command, timeout_ms, &answer);
    int rc;

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
    rc = print_answer(verb, &answer, as_json);
    call_answer_fini(&answer);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},  {"json", no_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0},
    };
    const char *socket_path = SOCKET_DEFAULT;
    int64_t timeout_ms = 0; /* the verb's own */
    const struct verb *verb;
    bool as_json = false;
    int c;

    while ((c = getopt_long(argc, argv, "s:jt:hV", options, NULL)) != -1) {
        if (c == 's') {
            socket_path = optarg;
        } else if (c == 'j') {
            as_json = true;
        } else if (c == 't') {
            timeout_ms = parse_time_ms(optarg);
            if (timeout_ms < 0) {
                fprintf(stderr, "tidegatectl: --timeout %s: expected a time such as 800ms, 5s or 1m\n", optarg);
                return EX_USAGE;
            }
        } else if (c == 'h') {
            print_usage(stdout);
            return EX_OK;
        } else if (c == 'V') {
            printf("tidegatectl %s\n", TIDEGATE_VERSION);
            return EX_OK;
        } else {
            return EX_USAGE; /* getopt has said why */
        }
    }
    if (optind + 1 == argc && strcmp(argv[optind], "help") == 0) {
        print_usage(stdout);
        return EX_OK;
    }
    verb = optind + 1 == argc ? find_verb(argv[optind]) : NULL;
    if (verb == NULL) {
        if (optind < argc)
            fprintf(stderr, "tidegatectl: what is \"%s\"?\n", argv[optind + 1 == argc ? optind : optind + 1]);
        print_usage(stderr);
        return EX_USAGE;
    }
    return run(verb, socket_path, timeout_ms > 0 ? timeout_ms : verb->timeout_ms, as_json);
}
