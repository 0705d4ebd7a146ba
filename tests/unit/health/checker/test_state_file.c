/* The verdict file on a real disk: replaced as a whole, and no damage stops a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "health/checker/state_file.h"

struct place {
    char dir[64];
    char path[80];
    struct persist p;
};

static int setup(void **state)
{
    struct place *t = calloc(1, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/tidegate-state-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->path, sizeof t->path, "%s/verdicts", t->dir);
    log_use_fd(open("/dev/null", O_WRONLY | O_CLOEXEC)); /* warnings are expected here */
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct place *t = *state;
    log_close();
    unlink(t->path);
    rmdir(t->path);
    rmdir(t->dir); /* fails when something was left behind */
    assert_int_not_equal(access(t->dir, F_OK), 0);
    free(t);
    return 0;
}

static void load(struct place *t)
{
    struct state_file *f = state_file_open(t->dir);
    state_file_load(f, &t->p);
    state_file_close(&f);
}

static void put(const struct place *t, const void *data, size_t len)
{
    int fd = open(t->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void test_saved_verdicts_are_loaded(void **state)
{
    struct place *t = *state;
    struct state_file *f = state_file_open(t->dir);
    state_file_load(f, &t->p);
    assert_int_equal(t->p.count, 0);
    persist_add(&t->p, &(struct persist_entry){.state = VERDICT_DOWN, .since_wall_ms = 123, .name = "pool/a"});
    state_file_save(f, &t->p, 0);
    persist_add(&t->p, &(struct persist_entry){.state = VERDICT_UP, .since_wall_ms = 456, .name = "pool/b"});
    state_file_save(f, &t->p, 0);
    state_file_close(&f);
    load(t);
    assert_int_equal(t->p.count, 2);
    assert_int_equal(persist_find(&t->p, "pool/a")->state, VERDICT_DOWN);
    assert_int_equal(persist_find(&t->p, "pool/b")->since_wall_ms, 456);
}

static void test_no_directory_no_memory(void **state)
{
    struct place *t = *state;
    static const char *const dirs[] = {"", "/nonexistent/tidegate"};
    for (size_t i = 0; i < 2; i++) {
        struct state_file *f = state_file_open(dirs[i]);
        t->p.count = 5;
        state_file_load(f, &t->p);
        assert_int_equal(t->p.count, 0);
        state_file_save(f, &t->p, 0);
        state_file_close(&f);
    }
}

static void test_damaged_files(void **state)
{
    struct place *t = *state;
    static const char half[] = "tidegate verdicts 1\nup 1 pool/a\ndown 17";
    put(t, "", 0);
    load(t);
    assert_int_equal(t->p.count, 0);
    put(t, half, sizeof half - 1);
    load(t);
    assert_int_equal(t->p.count, 1);
    char *big = malloc(PERSIST_BYTES_MAX * 2);
    memset(big, '\n', PERSIST_BYTES_MAX * 2);
    put(t, big, PERSIST_BYTES_MAX * 2);
    load(t);
    assert_int_equal(t->p.count, 0);
    free(big);
}

static void test_things_that_are_not_files(void **state)
{
    struct place *t = *state;
    assert_int_equal(mkdir(t->path, 0700), 0);
    load(t);
    assert_int_equal(t->p.count, 0);
    rmdir(t->path);
    assert_int_equal(mkfifo(t->path, 0600), 0); /* whose reader would wait for a writer */
    load(t);
    assert_int_equal(t->p.count, 0);
    unlink(t->path);
    assert_int_equal(symlink("/etc/passwd", t->path), 0);
    load(t);
    assert_int_equal(t->p.count, 0);
}

static void test_other_files_are_kept_beside(void **state)
{
    struct place *t = *state;
    struct state_file *f = state_file_open(t->dir);
    struct strbuf text;
    char path[80];
    strbuf_init(&text, 16);
    assert_true(state_file_read(f, "other", &text)); /* there is none */
    assert_int_equal(text.len, 0);
    assert_true(state_file_write(f, "other", "first", 5, 0));
    assert_true(state_file_write(f, "other", "second", 6, 0));
    assert_true(state_file_read(f, "other", &text));
    assert_string_equal(text.data, "second");
    strbuf_clear(&text);
    assert_true(state_file_write(f, "other", "more than sixteen", 17, 0));
    assert_false(state_file_read(f, "other", &text));
    state_file_close(&f);
    strbuf_clear(&text);
    f = state_file_open("");
    assert_false(state_file_write(f, "other", "x", 1, 0));
    assert_true(state_file_read(f, "other", &text));
    assert_int_equal(text.len, 0);
    state_file_close(&f);
    strbuf_fini(&text);
    snprintf(path, sizeof path, "%s/other", t->dir);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_saved_verdicts_are_loaded),
        T(test_no_directory_no_memory),
        T(test_damaged_files),
        T(test_things_that_are_not_files),
#undef T
        cmocka_unit_test_setup_teardown(test_other_files_are_kept_beside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
