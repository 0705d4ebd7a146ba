/* What a file may do to the loader: values from outside, anchors, odd encodings, and files made to hurt. The last ones
 * must end in a clear message, soon, and in bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

#define REST                                                                                                           \
    "listen: [ { address: \"127.0.0.1:1\" } ]\n"                                                                       \
    "pools: { p: { servers: [ { name: s, url: \"ws://h\" } ] } }\n"                                                    \
    "routes: [ { pool: p } ]\n"

static struct conf *load(const char *text)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, &errors);
    if (c == NULL)
        print_error("%s", errors.text);
    conf_errors_fini(&errors);
    assert_non_null(c);
    return c;
}

static void assert_refused(const char *text, size_t len, const char *wanted)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text("t.yaml", text, len, false, &errors);
    assert_null(c);
    if (strstr(errors.text, wanted) == NULL)
        fail_msg("wanted %s, got %s", wanted, errors.text);
    conf_errors_fini(&errors);
}

/* ---- values from outside ---- */

static void test_environment(void **state)
{
    (void)state;
    setenv("TIDEGATE_TEST_NAME", "fra-1", 1);
    setenv("TIDEGATE_TEST_EMPTY", "", 1);
    unsetenv("TIDEGATE_TEST_UNSET");
    struct conf *c = load("node: { name: \"x-${TIDEGATE_TEST_NAME}-${TIDEGATE_TEST_UNSET:-none}\", "
                          "region: \"${TIDEGATE_TEST_EMPTY:-eu}\" }\n"
                          "workers: ${TIDEGATE_TEST_UNSET:-3}\n"
                          "user: \"${TIDEGATE_TEST_EMPTY}\"\n"
                          "state_dir: \"/a/$${TIDEGATE_TEST_NAME}/$b/$$\"\n" REST);
    assert_string_equal(c->node.name, "x-fra-1-none");
    assert_string_equal(c->node.region, "eu");
    assert_int_equal(c->workers, 3);
    assert_string_equal(c->user, "");
    assert_string_equal(c->state_dir, "/a/${TIDEGATE_TEST_NAME}/$b/$$");
    conf_unref(&c);
}

/* A variable is a value, never YAML. */
static void test_environment_cannot_add_structure(void **state)
{
    (void)state;
    setenv("TIDEGATE_TEST_YAML", "a\nworkers: 9", 1);
    static const char text[] = "user: ${TIDEGATE_TEST_YAML}\n" REST;
    assert_refused(text, strlen(text), "t.yaml:1:7: user: \"${TIDEGATE_TEST_YAML}\", expanded, has a character");
    setenv("TIDEGATE_TEST_YAML", "\xff", 1);
    assert_refused(text, strlen(text), "environment variable TIDEGATE_TEST_YAML has a byte that is not UTF-8");
    unsetenv("TIDEGATE_TEST_YAML");
}

static void test_an_environment_too_big_is_refused(void **state)
{
    (void)state;
    char *big = mem_alloc(100001);
    memset(big, 'a', 100000);
    setenv("TIDEGATE_TEST_BIG", big, 1);
    struct strbuf text;
    strbuf_init(&text, 65536);
    strbuf_puts(&text, "trusted_proxies:\n");
    for (int i = 0; i < 100; i++)
        strbuf_puts(&text, "  - ${TIDEGATE_TEST_BIG}\n");
    assert_refused(text.data, text.len, "t.yaml:43:5: trusted_proxies[41]: brings in too much");
    strbuf_fini(&text);
    unsetenv("TIDEGATE_TEST_BIG");
    mem_free(big);
}

struct directory {
    char path[64];
    char conf[96];
};

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static int make_directory(void **state)
{
    struct directory *d = mem_alloc(sizeof *d);
    strcpy(d->path, "/tmp/tidegate-conf-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    snprintf(d->conf, sizeof d->conf, "%s/t.yaml", d->path);
    *state = d;
    return 0;
}

static int remove_directory(void **state)
{
    struct directory *d = *state;
    static const char *const names[] = {"t.yaml", "name", "fifo", "big", "binary"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", d->path, names[i]);
        unlink(path);
    }
    int failed = rmdir(d->path);
    mem_free(d);
    return failed;
}

static void put(const struct directory *d, const char *name, const char *text, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    write_file(path, text, len);
}

static void test_files_are_found_beside_the_configuration(void **state)
{
    const struct directory *d = *state;
    static const char text[] = "node: { name: !file name, region: !file \"${TIDEGATE_TEST_UNSET:-name}\" }\n"
                               "log: { file: gate.log }\nstate_dir: /absolute\n" REST;
    put(d, "name", "from-file\r\n", 11);
    write_file(d->conf, text, strlen(text));
    struct conf_errors errors;
    struct conf *c = conf_load_file(d->conf, &errors);
    assert_non_null(c);
    assert_string_equal(c->path, d->conf);
    assert_string_equal(c->node.name, "from-file");
    assert_string_equal(c->node.region, "from-file");
    char log_path[128];
    snprintf(log_path, sizeof log_path, "%s/gate.log", d->path);
    assert_string_equal(c->log.file, log_path);
    assert_string_equal(c->state_dir, "/absolute");
    conf_unref(&c);
}

static void assert_file_refused(const struct directory *d, const char *name, const char *wanted)
{
    char text[512];
    snprintf(text, sizeof text, "node: { name: !file %s }\n" REST, name);
    write_file(d->conf, text, strlen(text));
    struct conf_errors errors;
    assert_null(conf_load_file(d->conf, &errors));
    if (strstr(errors.text, wanted) == NULL)
        fail_msg("wanted %s, got %s", wanted, errors.text);
    conf_errors_fini(&errors);
}

/* Nobody writes to the FIFO: reading it as a file would wait for ever. */
static void test_files_that_are_not_text_are_refused(void **state)
{
    const struct directory *d = *state;
    char fifo[128];
    snprintf(fifo, sizeof fifo, "%s/fifo", d->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_file_refused(d, "fifo", "not a regular file");
    assert_file_refused(d, "nowhere", "No such file or directory");
    assert_file_refused(d, ".", "not a regular file");
    put(d, "binary", "\x7f\x45\x4c\x46\x00", 5);
    assert_file_refused(d, "binary", "has a control character");
    char *big = mem_alloc((1 << 20) + 1);
    memset(big, 'a', (1 << 20) + 1);
    put(d, "big", big, (1 << 20) + 1);
    mem_free(big);
    assert_file_refused(d, "big", "longer than 1 MiB");
}

static void test_a_configuration_that_cannot_be_read(void **state)
{
    const struct directory *d = *state;
    struct conf_errors errors;
    assert_null(conf_load_file("/nonexistent/t.yaml", &errors));
    assert_string_equal(errors.text, "/nonexistent/t.yaml:1:1: cannot be read: No such file or directory, expected a "
                                     "readable file\n");
    conf_errors_fini(&errors);
    assert_null(conf_load_file(d->path, &errors));
    assert_non_null(strstr(errors.text, "Is a directory"));
    conf_errors_fini(&errors);
    size_t len = ((size_t)4 << 20) + 1;
    char *text = mem_alloc(len);
    memset(text, '\n', len);
    write_file(d->conf, text, len);
    assert_null(conf_load_file(d->conf, &errors));
    assert_non_null(strstr(errors.text, "t.yaml:1:1: is longer than 4 MiB, expected a configuration\n"));
    conf_errors_fini(&errors);
    text[0] = '{';
    write_file(d->conf, text, len - 1);
    assert_null(conf_load_file(d->conf, &errors));
    assert_null(strstr(errors.text, "is longer"));
    conf_errors_fini(&errors);
    mem_free(text);
}

/* `tidegate -t -c /dev/stdin`; and a FIFO nobody writes to is an empty file instead of a wait for ever. */
static void test_a_configuration_from_a_pipe(void **state)
{
    const struct directory *d = *state;
    int ends[2];
    char path[128];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* two pieces: the reader has to wait for the second */
        bool is_fine = write(ends[1], REST, 10) == 10 && write(ends[1], &REST[10], sizeof REST - 11) > 0;
        _exit(is_fine ? 0 : 1);
    }
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    struct conf_errors errors;
    struct conf *c = conf_load_file(path, &errors);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_non_null(c);
    conf_unref(&c);
    close(ends[0]);

    snprintf(path, sizeof path, "%s/fifo", d->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(conf_load_file(path, &errors));
    assert_non_null(strstr(errors.text, "listen: is missing"));
    conf_errors_fini(&errors);
}

/* ---- YAML ---- */

static void test_anchors_and_aliases(void **state)
{
    (void)state;
    struct conf *c = load("listen: [ { address: \"127.0.0.1:1\" } ]\n"
                          "pools:\n"
                          "  a: { check: &check { type: http, path: /health }, servers: &servers [ { name: s, url: "
                          "\"ws://h\", weight: &w 7 } ] }\n"
                          "  b: { check: *check, servers: *servers, max_retries: *w }\n"
                          "routes: [ { pool: a }, { pool: b, path: /b } ]\n");
    const struct conf_pool *b = conf_find_pool(c, "b");
    assert_string_equal(b->check.path, "/health");
    assert_int_equal(b->server_count, 1);
    assert_string_equal(b->servers[0].slot_name, "b/s");
    assert_int_equal(b->servers[0].weight, 7);
    assert_int_equal(b->max_retries, 7);
    conf_unref(&c);
}

static void test_ways_to_write_the_same(void **state)
{
    (void)state;
    struct conf *c = load("\xef\xbb\xbf# with a byte order mark\n"
                          "%YAML 1.1\n---\n"
                          "workers: \"2\"\n"
                          "log: { access: 'false' }\n"
                          "node:\n"
                          "  name: >-\n"
                          "    folded\n"
                          "  region: !!str eu\n"
                          "limits:\n"
                          "drain: ~\n" REST "...\n");
    assert_int_equal(c->workers, 2);
    assert_false(c->log.access);
    assert_string_equal(c->node.name, "folded");
    assert_string_equal(c->node.region, "eu");
    conf_unref(&c);
}

static void test_encodings(void **state)
{
    (void)state;
    assert_refused("\xff\xfew\0o\0", 6, "t.yaml:1:1: UTF-16 text, expected UTF-8\n");
    assert_refused("\xfe\xff\0w\0o", 6, "t.yaml:1:1: UTF-16 text, expected UTF-8\n");
    assert_refused("w\0o\0r\0", 6, "t.yaml:1:2: a NUL byte, expected UTF-8 text\n");
    assert_refused("a: 1\nb: \xc3\xa4\xff\n", 12, "t.yaml:2:5: a byte that is not UTF-8, expected UTF-8 text\n");
    assert_refused("a: \xc0\xaf\n", 6, "t.yaml:1:4: a byte that is not UTF-8");         /* overlong */
    assert_refused("a: \xed\xa0\x80\n", 7, "t.yaml:1:4: a byte that is not UTF-8");     /* surrogate */
    assert_refused("a: \xf4\x90\x80\x80\n", 8, "t.yaml:1:4: a byte that is not UTF-8"); /* above U+10FFFF */
    assert_refused("a: \xf0\x9f\x98", 6, "t.yaml:1:4: a byte that is not UTF-8");       /* cut off */
    assert_refused("a: \x1b[2J\n", 8, "t.yaml:1:4: a control character");
    assert_refused("a: \xc2\x9b\n", 6, "t.yaml:1:4: a control character");
    assert_refused("a: \xef\xbf\xbf\n", 7, "t.yaml:1:4: a control character");
}

/* ---- files made to hurt ---- */

#define NASTY_RSS_KIB ((long)96 * 1024)
#define NASTY_MS      5000

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define HAS_SHADOW_MEMORY 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(HAS_SHADOW_MEMORY)
#define HAS_PLAIN_MEMORY 0 /* shadow memory and quarantine say nothing about ours */
#else
#define HAS_PLAIN_MEMORY 1
#endif

static void load_and_exit(const char *text, size_t len, const char *wanted)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text("t.yaml", text, len, false, &errors);
    bool is_fine = c == NULL && strstr(errors.text, wanted) != NULL && strlen(errors.text) < 100000;
    if (c == NULL && !is_fine)
        fprintf(stderr, "wanted %s, got %.2000s\n", wanted, errors.text);
    _exit(is_fine ? 0 : 1);
}

/* In a child, whose largest resident size is all its own. */
static void assert_harmless(const struct strbuf *text, const char *wanted)
{
    assert_false(text->failed);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        load_and_exit(text->data, text->len, wanted);
    int status = 0;
    struct rusage used;
    assert_int_equal(wait4(pid, &status, 0, &used), pid);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    if (HAS_PLAIN_MEMORY)
        assert_in_range(used.ru_maxrss, 0, NASTY_RSS_KIB);
    assert_in_range((after.tv_sec - before.tv_sec) * 1000, 0, NASTY_MS);
}

static void repeat(struct strbuf *b, const char *s, size_t up_to_bytes)
{
    size_t len = strlen(s);
    while (b->len + len <= up_to_bytes)
        strbuf_add(b, s, len);
}

#define FULL ((size_t)4 << 20)

static void test_repetition_is_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *start, *again, *wanted;
    } rows[] = {
        {"", "[", "t.yaml:1:33: nested too deep, expected at most 32 levels\n"},
        {"", "{a: ", "nested too deep"},
        {"", "- ", "nested too deep"},
        {"a", "? ", "t.yaml:1:1"},
        {"", "a: 1\n", "too many values"},
        {"pools: {", "a,", "too many values"},
        {"trusted_proxies: [", "x, ", "too many values"},
        {"x: &a [", "*a, ", "*a stands inside what it names"},
        {"x:\n", " - &a 1\n", "too many anchors, expected at most 256"},
        {"x: \"", "\\n", "not YAML: found unexpected end of stream"},
        {"x: |\n", "  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "x: unknown key"},
        {"", "a", "is not a section"},
        {"", "\n", "listen: is missing"},
        {"", "#", "listen: is missing"},
        {"x: ", "\t", "listen: is missing"},
        {"", "--- a\n", "t.yaml:2:1: a second document"},
        {"", "a: b: ", "not YAML"},
        {"", "!<tag:", "t.yaml:1:"},
        {"", "%TAG ! x\n", "found duplicate %TAG directive"},
        {"", "\"", "t.yaml:1:"},
        {"user: ", "${", "user: has a ${ without }"},
        {"user: ", "${A:-a}", "user: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct strbuf text;
        strbuf_init(&text, FULL);
        strbuf_puts(&text, rows[i].start);
        repeat(&text, rows[i].again, FULL);
        assert_harmless(&text, rows[i].wanted);
        strbuf_fini(&text);
    }
}

/* Ten aliases of ten aliases of ten ...: 10^9 values in a few hundred bytes. */
static void test_aliases_do_not_explode(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text, FULL);
    strbuf_puts(&text, "a0: &a0 [ x, x, x, x, x, x, x, x, x, x ]\n");
    for (int i = 1; i < 9; i++) {
        strbuf_printf(&text, "a%d: &a%d [ ", i, i);
        for (int j = 0; j < 10; j++)
            strbuf_printf(&text, "%s*a%d", j > 0 ? ", " : "", i - 1);
        strbuf_puts(&text, " ]\n");
    }
    assert_harmless(&text,
                    "t.yaml:5:31: too many values (aliases count each time), expected at most 65536 in one file\n");
    strbuf_fini(&text);
}

static void test_many_different_unknown_keys_are_harmless(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text, FULL);
    for (int i = 0; i < 65000; i++)
        strbuf_printf(&text, "unknown-key-with-a-long-name-%d: 1\n", i);
    assert_harmless(&text, "... and 64903 more");
    strbuf_fini(&text);
}

static void test_many_servers_and_routes_are_harmless(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text, FULL);
    strbuf_puts(&text, "listen: [ { address: \"127.0.0.1:1\" } ]\nroutes:\n");
    for (int i = 0; i < 9000; i++)
        strbuf_puts(&text, "  - { pool: p }\n");
    strbuf_puts(&text, "pools:\n  p:\n    servers:\n");
    for (int i = 0; i < 9000; i++)
        strbuf_puts(&text, "      - { name: s, url: \"ws://h\" }\n");
    assert_harmless(&text, "has 9000 items");
    strbuf_fini(&text);
}

static void test_ten_megabytes_of_garbage(void **state)
{
    (void)state;
    size_t len = (size_t)10 << 20;
    char *garbage = mem_alloc(len);
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        garbage[i] = (char)x;
    }
    assert_refused(garbage, len, "t.yaml:1:1: a file of 10485760 bytes, expected at most 4194304\n");
    assert_refused(garbage, len / 4, "expected UTF-8");
    mem_free(garbage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_cannot_add_structure),
        cmocka_unit_test(test_an_environment_too_big_is_refused),
        cmocka_unit_test_setup_teardown(test_files_are_found_beside_the_configuration, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_files_that_are_not_text_are_refused, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_a_configuration_that_cannot_be_read, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_a_configuration_from_a_pipe, make_directory, remove_directory),
        cmocka_unit_test(test_anchors_and_aliases),
        cmocka_unit_test(test_ways_to_write_the_same),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_repetition_is_harmless),
        cmocka_unit_test(test_aliases_do_not_explode),
        cmocka_unit_test(test_many_different_unknown_keys_are_harmless),
        cmocka_unit_test(test_many_servers_and_routes_are_harmless),
        cmocka_unit_test(test_ten_megabytes_of_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
