/* A file is replaced as a whole, or stays as it was. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

struct folder {
    char path[64];
    int fd;
};

static struct folder folder_make(void)
{
    struct folder f = {.path = "/tmp/tidegate-file-XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    return f;
}

static void folder_remove(struct folder *f)
{
    unlinkat(f->fd, "state", 0);
    unlinkat(f->fd, "state.new", 0);
    close(f->fd);
    assert_int_equal(rmdir(f->path), 0);
}

static void assert_content(const struct folder *f, const char *expected)
{
    char text[64] = "";
    int fd = openat(f->fd, "state", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_int_equal(n, (ssize_t)strlen(expected));
    assert_string_equal(text, expected);
}

static bool replace(const struct folder *f, const char *text)
{
    return file_replace(f->fd, "state", "state.new", 0640, text, strlen(text));
}

static void test_replaces_the_whole_content(void **state)
{
    (void)state;
    struct folder f = folder_make();
    assert_true(replace(&f, "a long first content"));
    assert_true(replace(&f, "short"));
    assert_content(&f, "short");
    assert_int_equal(faccessat(f.fd, "state.new", F_OK, 0), -1);
    folder_remove(&f);
}

static void test_keeps_the_old_file_when_the_new_one_cannot_be_written(void **state)
{
    (void)state;
    struct folder f = folder_make();
    assert_true(replace(&f, "old"));
    assert_int_equal(mkdirat(f.fd, "state.new", 0700), 0);
    assert_false(replace(&f, "new"));
    assert_int_equal(errno, EISDIR);
    assert_content(&f, "old");
    unlinkat(f.fd, "state.new", AT_REMOVEDIR);
    folder_remove(&f);
}

/* Whoever may write to the directory must not make us write elsewhere. */
static void test_does_not_follow_a_link(void **state)
{
    (void)state;
    struct folder f = folder_make();
    assert_int_equal(symlinkat("/dev/null", f.fd, "state.new"), 0);
    assert_false(replace(&f, "new"));
    assert_int_equal(errno, ELOOP);
    folder_remove(&f);
}

static void test_says_why_bytes_could_not_be_written(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_false(file_write_all(fd, "x", 1));
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaces_the_whole_content),
        cmocka_unit_test(test_keeps_the_old_file_when_the_new_one_cannot_be_written),
        cmocka_unit_test(test_does_not_follow_a_link),
        cmocka_unit_test(test_says_why_bytes_could_not_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
