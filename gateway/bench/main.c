/* tidegate-bench: points load at a gateway and tells what it was like. `tidegate-bench --help` prints the options. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/bench/report.h"
#include "gateway/bench/serve.h"
#include "gateway/bench/target.h"

enum { STATUS_GOOD = 0, STATUS_THRESHOLD = 1, STATUS_USAGE = 2, STATUS_CANNOT_RUN = 3 };

static int complain(int status, const char *what)
{
    fprintf(stderr, "tidegate-bench: %s\n", what);
    if (status == STATUS_USAGE)
        fputs("tidegate-bench --help shows the options\n", stderr);
    return status;
}

static int list_scenarios(void)
{
    for (size_t i = 0; i < scenario_count(); i++) {
        const struct scenario *s = scenario_at(i);
        printf("%-15s%s\n%-15s", s->name, s->summary, "");
        for (size_t w = 0; s->options[w] != NULL; w++)
            printf("%s%s", s->options[w], s->options[w + 1] != NULL ? " " : "\n");
    }
    return STATUS_GOOD;
}

static int list_figures(void)
{
    for (size_t i = 0; i < metric_count(); i++)
        printf("%-24s%s\n", metric_at(i)->key, metric_at(i)->help);
    return STATUS_GOOD;
}

/* A long run should not end with this. */
static bool may_write(const char *file)
{
    FILE *to = fopen(file, "ae");
    return to != NULL && fclose(to) == 0;
}

static bool write_report(const char *file, const struct strbuf *json)
{
    FILE *to = fopen(file, "we");
    const bool is_written = to != NULL && fwrite(json->data, 1, json->len, to) == json->len;
    const int why = errno;
    const bool is_kept = (to == NULL || fclose(to) == 0) && is_written;
    if (!is_kept)
        fprintf(stderr, "tidegate-bench: cannot write %s: %s\n", file, strerror(is_written ? errno : why));
    return is_kept;
}

static int tell(const struct options *o, const struct result *r)
{
    struct strbuf json, text;
    strbuf_init(&json, REPORT_BYTES);
    strbuf_init(&text, REPORT_BYTES);
    report_json(&json, o, r);
    report_text(&text, o, r);
    if (o->is_json || r->opened > 0)
        fputs(o->is_json ? json.data : text.data, stdout);
    (void)fflush(stdout);
    const bool is_written = o->report_file == NULL || write_report(o->report_file, &json);
    strbuf_fini(&json);
    strbuf_fini(&text);
    if (r->opened == 0) {
        fprintf(stderr, "tidegate-bench: not one connection could be opened: %s\n", r->first_error);
        return STATUS_CANNOT_RUN;
    }
    if (!is_written)
        return STATUS_CANNOT_RUN;
    return report_failure_count(o, r) > 0 ? STATUS_THRESHOLD : STATUS_GOOD;
}

static int load(const struct options *o)
{
    char error[OPTIONS_ERROR_BYTES];
    struct addr address;
    if (!target_find(&address, &o->url, error))
        return complain(STATUS_CANNOT_RUN, error);
    if (o->report_file != NULL && !may_write(o->report_file)) {
        (void)snprintf(error, sizeof error, "cannot write %.200s: %s", o->report_file, strerror(errno));
        return complain(STATUS_CANNOT_RUN, error);
    }
    struct result *r = mem_alloc(sizeof *r);
    const int status = load_run(o, &address, r, error) ? tell(o, r) : complain(STATUS_CANNOT_RUN, error);
    mem_free(r);
    return status;
}

int main(int argc, char **argv)
{
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* TLS writes without MSG_NOSIGNAL */
    switch (options_parse(&o, argc, (const char *const *)argv, error)) {
    case OPTIONS_HELP:
        options_print_usage(stdout);
        return STATUS_GOOD;
    case OPTIONS_SCENARIOS:
        return list_scenarios();
    case OPTIONS_FIGURES:
        return list_figures();
    case OPTIONS_BAD:
        return complain(STATUS_USAGE, error);
    case OPTIONS_RUN:
        break;
    }
    if (o.mode == MODE_SERVE)
        return serve_run(&o) ? STATUS_GOOD : STATUS_CANNOT_RUN;
    return load(&o);
}
