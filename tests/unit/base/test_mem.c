/* Objects with magic, and the last words of a process that breaks a promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/base/child.h"

#define THING_MAGIC 0x7e57ab1eu

struct thing {
    uint32_t magic;
    int value;
};

static void memory_comes_zeroed_and_never_null(void **state)
{
    char *p = mem_alloc(64), *none = mem_alloc(0);
    int *numbers = mem_alloc_array(8, sizeof *numbers);

    (void)state;
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(p[i], 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(numbers[i], 0);
    assert_non_null(none);
    p = mem_realloc(p, 128);
    assert_int_equal(p[63], 0);
    mem_free(p);
    mem_free(none);
    mem_free(numbers);
    mem_free(NULL);
}

static void texts_are_copied(void **state)
{
    char *whole = mem_strdup("tidegate"), *part = mem_strndup("tidegate", 4), *empty = mem_strndup(NULL, 0);
    char *printed = mem_printf("%s-%d", "worker", 3);

    (void)state;
    assert_string_equal(whole, "tidegate");
    assert_string_equal(part, "tide");
    assert_string_equal(empty, "");
    assert_string_equal(printed, "worker-3");
    mem_free(whole);
    mem_free(part);
    mem_free(empty);
    mem_free(printed);
}

static void an_object_is_marked_while_it_lives(void **state)
{
    struct thing *t;

    (void)state;
    OBJ_NEW(t, THING_MAGIC);
    CHECK_OBJ(t, THING_MAGIC);
    assert_int_equal(t->value, 0);
    OBJ_FREE(&t, THING_MAGIC);
    assert_null(t);
}

static void secrets_are_overwritten(void **state)
{
    char secret[16] = "correct horse";

    (void)state;
    mem_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        assert_int_equal(secret[i], 0);
}

static void use_a_wrong_object(void *arg)
{
    struct thing t = {.magic = THING_MAGIC + 1};

    last_words_register(arg);
    CHECK_OBJ(&t, THING_MAGIC);
}

static void a_broken_promise_leaves_last_words(void **state)
{
    char said[2 * LAST_WORDS_BYTES];
    char *page = mmap(NULL, LAST_WORDS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(page, MAP_FAILED);
    assert_true(child_aborts(use_a_wrong_object, page, said, sizeof said));
    assert_non_null(strstr(page, "->magic =="));
    assert_non_null(strstr(page, "use_a_wrong_object"));
    assert_non_null(strstr(page, "test_mem.c:"));
    assert_null(strchr(page, '\n'));
    /* stderr has the same sentence as a line */
    assert_int_equal(strncmp(said, page, strlen(page)), 0);
    assert_string_equal(said + strlen(page), "\n");
    munmap(page, LAST_WORDS_BYTES);
}

static void fail_with_much_to_say(void *arg)
{
    (void)arg;
    assert_failed(
        "a condition ........................................................................................ "
        "........................................................................................ "
        "........................................................................................ "
        "........................................................................................ "
        "........................................................................................ ",
        "function", "................................................................................", 7);
}

static void last_words_are_bounded(void **state)
{
    char said[4 * LAST_WORDS_BYTES];

    (void)state;
    assert_true(child_aborts(fail_with_much_to_say, NULL, said, sizeof said));
    assert_int_equal(strlen(said), LAST_WORDS_BYTES - 1);
    assert_int_equal(said[strlen(said) - 1], '\n');
}

static void ask_for_everything(void *arg)
{
    volatile size_t everything = SIZE_MAX / 2;

    (void)arg;
    mem_free(mem_alloc(everything));
}

static void ask_for_an_impossible_array(void *arg)
{
    volatile size_t half = SIZE_MAX / 2;

    (void)arg;
    mem_free(mem_alloc_array(half, 4));
}

static void the_end_of_an_object_may_be_left_as_it_is(void **state)
{
    struct thing {
        uint32_t magic;
        char name[60];
        char room[4000];
    } * t;

    (void)state;
    for (int i = 0; i < 2; i++) { /* the second one where the first one was */
        OBJ_NEW_UP_TO(t, 0x7e57e57eu, room);
        assert_int_equal(t->magic, 0x7e57e57eu);
        for (size_t k = 0; k < sizeof t->name; k++)
            assert_int_equal(t->name[k], 0);
        memset(t->name, 'x', sizeof t->name);
        OBJ_FREE(&t, 0x7e57e57eu);
    }
}

static void out_of_memory_ends_the_process(void **state)
{
    char said[64 * 1024]; /* a sanitizer has a longer story to tell, and may tell it instead */

    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    skip();
#endif
#endif
    assert_true(child_aborts(ask_for_everything, NULL, said, sizeof said));
    assert_non_null(strstr(said, "out of memory"));
    assert_true(child_aborts(ask_for_an_impossible_array, NULL, said, sizeof said));
    assert_non_null(strstr(said, "out of memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_zeroed_and_never_null),        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(an_object_is_marked_while_it_lives),        cmocka_unit_test(secrets_are_overwritten),
        cmocka_unit_test(a_broken_promise_leaves_last_words),        cmocka_unit_test(last_words_are_bounded),
        cmocka_unit_test(the_end_of_an_object_may_be_left_as_it_is), cmocka_unit_test(out_of_memory_ends_the_process),
    };
    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
