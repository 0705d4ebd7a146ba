/* The journal on disk: what is there after an append, a rotation, a crash, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/super/journal.h"

static const struct journal_limits roomy = {.file_bytes = 1u << 20, .file_count = 3, .sync = JOURNAL_SYNC_NEVER};

struct fixture {
    struct loop *loop;
    char dir[64];
    struct strbuf told; /* the lines journal_open() told, each with a line feed */
};

static void on_line(void *arg, const char *line, size_t len)
{
    struct fixture *f = arg;

    strbuf_add(&f->told, line, len);
    strbuf_puts(&f->told, "\n");
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);

    f->loop = loop_create();
    strcpy(f->dir, "/tmp/tidegate-journal-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    strbuf_init(&f->told, 4u << 20);
    *state = f;
    return 0;
}

static char *path_of(const struct fixture *f, const char *name)
{
    return mem_printf("%s/%s", f->dir, name);
}

static int teardown(void **state)
{
    static const char *const names[] = {"events.jsonl", "events.jsonl.1", "events.jsonl.2", "events.jsonl.3"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = path_of(f, names[i]);
        unlink(path);
        mem_free(path);
    }
    rmdir(f->dir);
    strbuf_fini(&f->told);
    loop_destroy(&f->loop);
    mem_free(f);
    return 0;
}

static void put(const struct fixture *f, const char *name, const char *text, size_t len)
{
    char *path = path_of(f, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
    mem_free(path);
}

static void assert_file(const struct fixture *f, const char *name, const char *text)
{
    char got[8192] = "";
    char *path = path_of(f, name);
    int fd = open(path, O_RDONLY);

    if (text == NULL) {
        assert_int_equal(fd, -1);
    } else {
        assert_true(fd >= 0);
        assert_true(read(fd, got, sizeof got - 1) >= 0);
        close(fd);
        assert_string_equal(got, text);
    }
    mem_free(path);
}

static struct journal *open_journal(struct fixture *f, const struct journal_limits *limits)
{
    strbuf_clear(&f->told);
    return journal_open(f->loop, f->dir, limits, on_line, f);
}

static void test_lines_stay(void **state)
{
    struct fixture *f = *state;
    struct journal *j = open_journal(f, &roomy);

    assert_int_equal(f->told.len, 0);
    assert_true(journal_append(j, "one", 3));
    assert_true(journal_append(j, "two", 3));
    journal_close(&j);
    assert_file(f, "events.jsonl", "one\ntwo\n");
    j = open_journal(f, &roomy);
    assert_string_equal(f->told.data, "one\ntwo\n");
    assert_true(journal_append(j, "three", 5));
    journal_close(&j);
    assert_file(f, "events.jsonl", "one\ntwo\nthree\n");
}

static void test_what_a_crash_cut_off_is_removed(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *kept;
    } cases[] = {
        {"one\ntw", 6, "one\n"},       {"on", 2, ""},
        {"one\n\0\0\0\0", 8, "one\n"}, /* the length was on disk, the line was not */
        {"one\n", 4, "one\n"},         {"", 0, ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *after = mem_printf("%snext\n", cases[i].kept);
        put(f, "events.jsonl", cases[i].text, cases[i].len);
        struct journal *j = open_journal(f, &roomy);
        assert_string_equal(f->told.len > 0 ? f->told.data : "", cases[i].kept);
        assert_true(journal_append(j, "next", 4));
        journal_close(&j);
        assert_file(f, "events.jsonl", after);
        mem_free(after);
    }
}

static void test_full_files_are_put_aside_and_the_oldest_goes(void **state)
{
    const struct journal_limits tight = {.file_bytes = 10, .file_count = 3, .sync = JOURNAL_SYNC_EACH};
    const struct journal_limits tighter = {.file_bytes = 10, .file_count = 1, .sync = JOURNAL_SYNC_SECOND};
    static const char *const lines[] = {"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff", "gggg"};
    struct fixture *f = *state;
    struct journal *j = open_journal(f, &tight);

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_true(journal_append(j, lines[i], 4));
    assert_file(f, "events.jsonl", "gggg\n");
    assert_file(f, "events.jsonl.1", "eeee\nffff\n");
    assert_file(f, "events.jsonl.2", "cccc\ndddd\n");
    assert_file(f, "events.jsonl.3", NULL);
    journal_close(&j);
    j = open_journal(f, &tight);
    assert_string_equal(f->told.data, "eeee\nffff\ngggg\n");
    assert_true(journal_append(j, "a line longer than a file", 25)); /* is not lost */
    assert_file(f, "events.jsonl", "a line longer than a file\n");
    journal_set_limits(j, &tighter);
    assert_file(f, "events.jsonl.1", NULL);
    assert_file(f, "events.jsonl.2", NULL);
    assert_true(journal_append(j, "hhhh", 4));
    assert_file(f, "events.jsonl", "hhhh\n");
    journal_close(&j);
    assert_file(f, "events.jsonl.1", NULL);
}

static void test_a_full_disk_leaves_no_half_line(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, little;
    struct journal *j = open_journal(f, &roomy);

    assert_true(journal_append(j, "one", 3));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 6; /* room for two bytes more */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_false(journal_append(j, "two", 3));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_file(f, "events.jsonl", "one\n");
    assert_true(journal_append(j, "three", 5));
    journal_close(&j);
    assert_file(f, "events.jsonl", "one\nthree\n");
}

static void test_only_the_tail_of_a_long_file_is_told(void **state)
{
    struct fixture *f = *state;
    const struct journal_limits long_files = {.file_bytes = 1u << 30, .file_count = 2, .sync = JOURNAL_SYNC_NEVER};
    const size_t count = JOURNAL_TAIL_BYTES / 8 + 100;
    char *text = mem_alloc(count * 8 + 1);

    for (size_t i = 0; i < count; i++)
        snprintf(text + i * 8, 9, "%07zu\n", i);
    put(f, "events.jsonl", text, count * 8);
    struct journal *j = open_journal(f, &long_files);
    assert_true(f->told.len <= JOURNAL_TAIL_BYTES && f->told.len >= JOURNAL_TAIL_BYTES - 8);
    assert_memory_equal(f->told.data + f->told.len - 16, text + count * 8 - 16, 16);
    journal_close(&j);
    mem_free(text);
}

static void test_no_directory_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    struct journal *j = journal_open(f->loop, "", &roomy, on_line, f);

    assert_false(journal_append(j, "one", 3));
    journal_close(&j);
    j = journal_open(f->loop, "/nonexistent/directory", &roomy, on_line, f);
    assert_false(journal_append(j, "one", 3));
    journal_close(&j);
}

static void test_links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    char *victim = path_of(f, "events.jsonl.3"), *link = path_of(f, "events.jsonl");

    put(f, "events.jsonl.3", "mine", 4);
    assert_int_equal(symlink(victim, link), 0);
    const struct journal_limits limits = {.file_bytes = 1u << 20, .file_count = 5, .sync = JOURNAL_SYNC_NEVER};
    struct journal *j = open_journal(f, &limits);
    assert_false(journal_append(j, "one", 3));
    journal_close(&j);
    assert_file(f, "events.jsonl.3", "mine");
    mem_free(victim);
    mem_free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        T(test_lines_stay),
        T(test_what_a_crash_cut_off_is_removed),
        T(test_full_files_are_put_aside_and_the_oldest_goes),
        T(test_a_full_disk_leaves_no_half_line),
        T(test_only_the_tail_of_a_long_file_is_told),
        T(test_no_directory_keeps_nothing),
        T(test_links_are_not_followed),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
