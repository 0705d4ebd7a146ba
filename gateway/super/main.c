/* tidegate: the program the operator starts. Reads the command line; all modes but one print something and end. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "gateway/super/check.h"
#include "gateway/super/super.h"

#define DEFAULT_CONF         "/etc/tidegate/tidegate.yaml"
#define COMPLAINTS_BYTES_MAX (1u << 20)

enum mode { MODE_RUN = 0, MODE_CHECK, MODE_DUMP, MODE_VERSION, MODE_BUILD, MODE_REFERENCE, MODE_HELP };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 't'},
    {"dump", no_argument, NULL, 'T'},         {"version", no_argument, NULL, 'v'},
    {"build", no_argument, NULL, 'V'},        {"reference", no_argument, NULL, 'R'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

static const char usage[] =
    "usage: tidegate [-c FILE] [-t | -T | -v | -V | --reference]\n"
    "\n"
    "  -c, --config FILE  configuration (" DEFAULT_CONF ")\n"
    "  -t, --check        check the configuration and exit: 0 good, 78 not\n"
    "  -T, --dump         print the effective configuration, secrets masked\n"
    "  -v, --version      print the version\n"
    "  -V, --build        print how this program was built\n"
    "      --reference    print the manual of all configuration keys, as Markdown\n"
    "  -h, --help         print this\n"
    "\n"
    "Runs in the foreground. Signals: TERM and INT stop, QUIT drains and stops, HUP reloads the\n"
    "configuration, USR1 opens the log file again.\n";

/* The configuration, or NULL after printing every complaint. */
static struct conf *load(const char *path)
{
    struct conf_errors errors = {.count = 0};
    struct strbuf complaints;
    struct conf *c = conf_load_file(path, &errors);
    strbuf_init(&complaints, COMPLAINTS_BYTES_MAX);
    if (c == NULL)
        fputs(errors.text != NULL ? errors.text : "the configuration cannot be read\n", stderr);
    else if (!check_conf(c, &complaints)) {
        fputs(complaints.data, stderr);
        conf_unref(&c);
    }
    conf_errors_fini(&errors);
    strbuf_fini(&complaints);
    return c;
}

static int check(const char *path)
{
    struct conf *c = load(path);
    if (c == NULL)
        return EX_CONFIG;
    printf("%s: good\n", path);
    conf_unref(&c);
    return EX_OK;
}

static int print_and_free(char *text)
{
    int rc = fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    mem_free(text);
    return rc;
}

static int dump(const char *path)
{
    struct conf *c = load(path);
    if (c == NULL)
        return EX_CONFIG;
    char *text = conf_dump(c);
    conf_unref(&c);
    return print_and_free(text);
}

static int print_build(void)
{
#ifdef __clang__
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
#ifdef __SANITIZE_ADDRESS__
    const char *kind = "with sanitizers";
#else
    const char *kind = "plain";
#endif
    printf("tidegate %s\ncompiler: %s\nC: %ld\nbuild: %s\n", TIDEGATE_VERSION, compiler, __STDC_VERSION__, kind);
    return EX_OK;
}

/* Started without standard descriptors, ours would take their numbers, and children get something else there. */
static bool fill_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

static int run(const char *path)
{
    int exit_code = EX_OK;
    if (!fill_standard_fds())
        return EX_OSERR;
    struct loop *l = loop_create();
    log_open(role_name(ROLE_SUPERVISOR), LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    struct super *s = super_create(l, path, &exit_code);
    if (s != NULL) {
        exit_code = super_run(s);
        super_destroy(&s);
    }
    loop_destroy(&l);
    log_close();
    return exit_code;
}

static int run_mode(enum mode mode, const char *path)
{
    switch (mode) {
    case MODE_RUN:
        return run(path);
    case MODE_CHECK:
        return check(path);
    case MODE_DUMP:
        return dump(path);
    case MODE_VERSION:
        printf("tidegate %s\n", TIDEGATE_VERSION);
        return EX_OK;
    case MODE_BUILD:
        return print_build();
    case MODE_REFERENCE:
        return print_and_free(conf_reference());
    case MODE_HELP:
        fputs(usage, stdout);
        return EX_OK;
    }
    return EX_SOFTWARE;
}

int main(int argc, char **argv)
{
    static const char letters[] = "tTvVRh";
    const char *path = DEFAULT_CONF;
    enum mode mode = MODE_RUN;
    for (int option; (option = getopt_long(argc, argv, "c:tTvVh", long_options, NULL)) != -1;) {
        const char *letter = strchr(letters, option);
        if (option == 'c') {
            path = optarg;
        } else if (option != '?' && letter != NULL) {
            mode = (enum mode)(MODE_CHECK + (letter - letters));
        } else {
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "tidegate: what is \"%s\"?\n%s", argv[optind], usage);
        return EX_USAGE;
    }
    return run_mode(mode, path);
}
