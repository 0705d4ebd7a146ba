/* Shared tables keep their size, sealed texts keep their content, and readers insist on both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/shm.h"

static void test_what_one_process_writes_the_other_reads(void **state)
{
    (void)state;
    struct shm a, b;
    assert_int_equal(shm_create(&a, "test", 10000), ERR_NONE);
    assert_int_equal(((const char *)a.base)[9999], 0);
    assert_int_equal(shm_attach(&b, dup(a.fd), 10000, true), ERR_NONE);
    strcpy(a.base, "tide");
    assert_string_equal(b.base, "tide");
    shm_fini(&b);
    shm_fini(&a);
    assert_null(a.base);
}

static void test_a_table_cannot_be_resized(void **state)
{
    (void)state;
    struct shm a;
    assert_int_equal(shm_create(&a, "test", 4096), ERR_NONE);
    assert_int_equal(ftruncate(a.fd, 0), -1);
    assert_int_equal(ftruncate(a.fd, 8192), -1);
    shm_fini(&a);
}

static void test_the_reader_s_descriptor_cannot_be_written_through(void **state)
{
    (void)state;
    struct shm a;
    int fd = -1;
    assert_int_equal(shm_create(&a, "test", 4096), ERR_NONE);
    assert_int_equal(shm_reopen_read_only(&a, &fd), ERR_NONE);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(errno, EACCES);
    struct shm b;
    assert_int_equal(shm_attach(&b, fd, 4096, true), ERR_NONE);
    shm_fini(&b);
    shm_fini(&a);
}

static void test_attach_refuses_what_is_no_table(void **state)
{
    (void)state;
    struct shm a, b;
    int pair[2];
    assert_int_equal(shm_create(&a, "test", 4096), ERR_NONE);
    assert_int_equal(shm_attach(&b, dup(a.fd), 4097, true), ERR_INVALID);
    shm_fini(&a);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(shm_attach(&b, pair[0], 1, true), ERR_INVALID);
    close(pair[1]);
    int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(loose, 4096), 0);
    assert_int_equal(shm_attach(&b, loose, 4096, true), ERR_INVALID);
}

static void test_a_sealed_text_is_read_whole_and_by_several(void **state)
{
    (void)state;
    int fd = -1;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(shm_seal_bytes("conf", "a: 1\n", 5, &fd), ERR_NONE);
    for (int reader = 0; reader < 2; reader++) {
        assert_int_equal(shm_read_sealed(fd, 5, &text, &len), ERR_NONE);
        assert_int_equal(len, 5);
        assert_string_equal(text, "a: 1\n");
        mem_free(text);
    }
    assert_int_equal(shm_read_sealed(fd, 4, &text, &len), ERR_LIMIT);
    assert_int_equal(pwrite(fd, "b", 1, 0), -1);
    close(fd);

    assert_int_equal(shm_seal_bytes("conf", "", 0, &fd), ERR_NONE);
    assert_int_equal(shm_read_sealed(fd, 4, &text, &len), ERR_NONE);
    assert_int_equal(len, 0);
    mem_free(text);
    close(fd);
}

static void test_a_text_that_could_still_change_is_not_read(void **state)
{
    (void)state;
    struct shm a;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(shm_create(&a, "test", 16), ERR_NONE);
    assert_int_equal(shm_read_sealed(a.fd, 100, &text, &len), ERR_DENIED);
    shm_fini(&a);
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(shm_read_sealed(pair[0], 100, &text, &len), ERR_DENIED);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_one_process_writes_the_other_reads),
        cmocka_unit_test(test_a_table_cannot_be_resized),
        cmocka_unit_test(test_the_reader_s_descriptor_cannot_be_written_through),
        cmocka_unit_test(test_attach_refuses_what_is_no_table),
        cmocka_unit_test(test_a_sealed_text_is_read_whole_and_by_several),
        cmocka_unit_test(test_a_text_that_could_still_change_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
