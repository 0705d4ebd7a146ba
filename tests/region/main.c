/* region: see region.h. Prints one line when it listens, and stops on TERM or INT after its WebSockets are closed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tests/region/region.h"

#define STOP_TIMEOUT_MS 500
#define STOP_LOOK_MS    10

struct program {
    struct loop *loop;
    struct region *region;
    struct timer stop;
    int64_t stop_by_ms; /* 0: runs */
};

static const char usage[] =
    "usage: region --listen ADDRESS:PORT --name NAME [--redis redis://HOST:PORT/DB | --redis unix:PATH] [--knob "
    "NAME=VALUE]...\n"
    "Knobs (also POST /_knobs?name=value&..., clear=1 for all off, once=1 for close and frame):\n";

_Noreturn static void wrong_usage(void)
{
    fputs(usage, stdout);
    knobs_print_help();
    exit(EX_USAGE);
}

static void set_knob(struct knobs *k, char *text)
{
    char *value = strchr(text, '=');
    const char *error = "NAME=VALUE is expected";

    if (value != NULL)
        *value++ = '\0';
    if (value == NULL || !knobs_set(k, text, value, &error)) {
        fprintf(stderr, "region: --knob %s: %s\n", text, error);
        exit(EX_USAGE);
    }
}

static void parse_options(struct region_options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            wrong_usage();
        if (strcmp(argv[i], "--listen") == 0)
            o->listen = argv[i + 1];
        else if (strcmp(argv[i], "--name") == 0)
            o->name = argv[i + 1];
        else if (strcmp(argv[i], "--redis") == 0)
            o->redis = argv[i + 1];
        else if (strcmp(argv[i], "--knob") == 0)
            set_knob(&o->knobs, argv[i + 1]);
        else
            wrong_usage();
    }
    if (o->listen == NULL || o->name == NULL || strlen(o->name) > 63 ||
        o->name[strspn(o->name, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] != '\0')
        wrong_usage();
}

/* WebSockets take a moment to say good-bye; the moment is bounded. */
static void on_stop_look(void *arg)
{
    struct program *p = arg;

    if (p->region->open_count == 0 || loop_now_ms(p->loop) >= p->stop_by_ms)
        loop_stop(p->loop);
    else
        timer_start(&p->stop, STOP_LOOK_MS);
}

static void on_signal(void *arg, int signo)
{
    struct program *p = arg;

    if (p->stop_by_ms != 0)
        return;
    LOG_INFO("stopping", KV_INT("signal", signo));
    p->stop_by_ms = loop_now_ms(p->loop) + STOP_TIMEOUT_MS + knobs_number(&p->region->knobs, KNOB_DRAIN);
    region_drain(p->region);
    timer_start(&p->stop, STOP_LOOK_MS);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        LOG_WARN("file limit not raised");
}

int main(int argc, char **argv)
{
    struct region_options o = {0};
    struct program p = {0};
    struct sig term, interrupt;

    parse_options(&o, argc, argv);
    log_open(o.name, LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    p.loop = loop_create();
    p.region = region_create(p.loop, &o);
    if (p.region == NULL)
        return EX_OSERR;
    timer_init(&p.stop, p.loop, on_stop_look, &p);
    sig_init(&term, p.loop, SIGTERM, on_signal, &p);
    sig_init(&interrupt, p.loop, SIGINT, on_signal, &p);
    printf("region ready name=%s port=%u\n", o.name, (unsigned)region_port(p.region));
    fflush(stdout);
    loop_run(p.loop);
    timer_cancel(&p.stop);
    sig_fini(&term);
    sig_fini(&interrupt);
    region_destroy(&p.region);
    loop_destroy(&p.loop);
    log_close();
    return 0;
}
