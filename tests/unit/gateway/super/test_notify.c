/* What a service manager hears, over a path and over an abstract name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/super/notify.h"

struct fixture {
    struct loop *loop;
    char dir[64];
    char path[108];
    int manager_fd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    f->loop = loop_create();
    strcpy(f->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/notify", f->dir);
    strcpy(a.sun_path, f->path);
    f->manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->manager_fd, (struct sockaddr *)&a, sizeof a), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->manager_fd);
    unlink(f->path);
    rmdir(f->dir);
    loop_destroy(&f->loop);
    free(f);
    return 0;
}

static const char *heard(int fd, char text[512])
{
    ssize_t n = recv(fd, text, 511, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void test_the_manager_hears_each_step(void **state)
{
    struct fixture *f = *state;
    char text[512];
    struct notify *n = notify_create(f->loop, f->path, 0);
    notify_ready(n);
    assert_string_equal(heard(f->manager_fd, text), "READY=1");
    int64_t before_us = loop_fresh_us(f->loop);
    notify_reloading(n);
    assert_int_equal(strncmp(heard(f->manager_fd, text), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    assert_in_range(strtoll(text + 27, NULL, 10), before_us, loop_fresh_us(f->loop));
    notify_stopping(n);
    assert_string_equal(heard(f->manager_fd, text), "STOPPING=1");
    notify_status(n, "two\nlines"); /* a second line would be another assignment */
    assert_string_equal(heard(f->manager_fd, text), "STATUS=two lines");
    notify_destroy(&n);
}

static void test_the_watchdog_is_fed_without_being_asked(void **state)
{
    struct fixture *f = *state;
    char text[512];
    struct notify *n = notify_create(f->loop, f->path, 20000);
    assert_string_equal(heard(f->manager_fd, text), "WATCHDOG=1");
    loop_run_once(f->loop, true);
    for (int pass = 0; pass < 100 && heard(f->manager_fd, text)[0] == '\0'; pass++)
        loop_run_once(f->loop, true);
    assert_string_equal(text, "WATCHDOG=1");
    notify_destroy(&n);
}

static void test_an_abstract_name_works_too(void **state)
{
    struct fixture *f = *state;
    char text[512], name[64];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int len = snprintf(name, sizeof name, "@tidegate-test-%d", (int)getpid());
    memcpy(a.sun_path, name, (size_t)len);
    a.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    struct notify *n = notify_create(f->loop, name, 0);
    notify_ready(n);
    assert_string_equal(heard(fd, text), "READY=1");
    notify_destroy(&n);
    close(fd);
}

static void test_without_a_manager_nothing_happens(void **state)
{
    struct fixture *f = *state;
    char long_path[300];
    memset(long_path, 'x', sizeof long_path);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    const char *const paths[] = {NULL, "", "/", "relative", "/nonexistent/notify", long_path};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct notify *n = notify_create(f->loop, paths[i], 0);
        notify_ready(n);
        notify_destroy(&n);
    }
}

static void test_children_do_not_inherit_the_manager(void **state)
{
    struct fixture *f = *state;
    char text[512], pid[32];
    setenv("NOTIFY_SOCKET", f->path, 1);
    setenv("WATCHDOG_USEC", "20000", 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid() + 1); /* the watchdog waits for somebody else */
    setenv("WATCHDOG_PID", pid, 1);
    struct notify *n = notify_create_from_environment(f->loop);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_string_equal(heard(f->manager_fd, text), "");
    notify_ready(n);
    assert_string_equal(heard(f->manager_fd, text), "READY=1");
    notify_destroy(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_manager_hears_each_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_watchdog_is_fed_without_being_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_abstract_name_works_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_manager_nothing_happens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_children_do_not_inherit_the_manager, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
