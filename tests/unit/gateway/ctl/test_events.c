/* What `tidegatectl events` makes of the journal's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ctl/events.h"

static void expect(const char *lines, const char *page)
{
    struct strbuf out;

    strbuf_init(&out, 1 << 16);
    assert_true(events_render(lines, strlen(lines), &out));
    assert_string_equal(out.data, page);
    strbuf_fini(&out);
}

static void test_a_change(void **state)
{
    (void)state;
    expect("{\"seq\":7,\"time\":\"T\",\"kind\":\"up\",\"phase\":\"ends\",\"subject\":\"p/a\",\"from\":\"down\","
           "\"to\":\"up\",\"cause\":\"answered\",\"duration_ms\":1500}\n",
           "     7  T  up          p/a: down -> up after 1.5 s (answered)\n");
}

static void test_what_just_happens(void **state)
{
    (void)state;
    expect("{\"seq\":8,\"time\":\"T\",\"kind\":\"stop\",\"phase\":\"once\",\"subject\":\"fra-1\",\"from\":\"\","
           "\"to\":\"\",\"cause\":\"\"}\n",
           "     8  T  stop        fra-1\n");
}

static void test_names_and_quorum(void **state)
{
    (void)state;
    expect("{\"seq\":9,\"time\":\"T\",\"kind\":\"dns\",\"phase\":\"once\",\"subject\":\"rt.example.com\","
           "\"from\":\"us-edge\",\"to\":\"eu-edge\",\"cause\":\"us-edge down\"}\n"
           "{\"seq\":10,\"time\":\"T\",\"kind\":\"quorum\",\"phase\":\"begins\",\"subject\":\"fra-1\","
           "\"from\":\"leads\",\"to\":\"alone\",\"cause\":\"nobody leads\"}\n",
           "     9  T  dns         rt.example.com is answered with eu-edge, before us-edge (us-edge down)\n"
           "    10  T  quorum      fra-1 judges alone (nobody leads)\n");
}

/* A gateway of a later version may know more. */
static void test_a_kind_nobody_knows(void **state)
{
    (void)state;
    expect("{\"seq\":1,\"time\":\"T\",\"kind\":\"eclipse\",\"phase\":\"total\",\"subject\":\"sun\\u001b[2J\",\"to\":"
           "\"dark\"}\n",
           "     1  T  eclipse     sun [2J: dark\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change),
        cmocka_unit_test(test_what_just_happens),
        cmocka_unit_test(test_names_and_quorum),
        cmocka_unit_test(test_a_kind_nobody_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
