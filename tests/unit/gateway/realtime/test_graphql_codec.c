/* Messages of graphql-transport-ws, and which kind of operation a GraphQL document asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/realtime/graphql_codec.h"

static enum graphql_read read_text(struct graphql_message *m, const char *text)
{
    return graphql_message_read(m, (const uint8_t *)text, strlen(text), true);
}

static void assert_text(struct json_text t, const char *expected)
{
    if (expected == NULL) {
        assert_null(t.data);
        return;
    }
    assert_int_equal(t.len, strlen(expected));
    assert_memory_equal(t.data, expected, t.len);
}

static void test_messages(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *text;
        enum graphql_read read;
        enum graphql_type type;
        const char *id, *payload;
    } rows[] = {
        {"{\"type\":\"connection_init\"}", GRAPHQL_READ_OK, GRAPHQL_CONNECTION_INIT, NULL, NULL},
        {"{\"type\":\"connection_ack\",\"payload\":{}}", GRAPHQL_READ_OK, GRAPHQL_CONNECTION_ACK, NULL, NULL},
        {"{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":\"{a}\"}}", GRAPHQL_READ_OK, GRAPHQL_SUBSCRIBE, "\"1\"", "{\"query\":\"{a}\"}"},
        {"{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":1}}", GRAPHQL_READ_OK, GRAPHQL_NEXT, "\"1\"", NULL},
        {"{\"payload\":{\"data\":{\"type\":\"error\",\"id\":\"9\"}},\"type\":\"next\",\"id\":\"1\"}", GRAPHQL_READ_OK, GRAPHQL_NEXT, "\"1\"", "{\"data\":{\"type\":\"error\",\"id\":\"9\"}}"},
        {"{\"id\":\"1\",\"type\":\"error\",\"payload\":[]}", GRAPHQL_READ_OK, GRAPHQL_ERROR, "\"1\"", NULL},
        {" {\"type\" : \"complete\" , \"id\" : \"\\u0061\" } ", GRAPHQL_READ_OK, GRAPHQL_COMPLETE, "\"\\u0061\"", NULL},
        {"{\"type\":\"ping\",\"payload\":{\"a\":[1]}}", GRAPHQL_READ_OK, GRAPHQL_PING, NULL, "{\"a\":[1]}"},
        {"{\"type\":\"\\u0070ong\"}", GRAPHQL_READ_OK, GRAPHQL_PONG, NULL, NULL},
        {"{\"type\":\"start\"}", GRAPHQL_READ_OK, GRAPHQL_OTHER, NULL, NULL},
        {"{\"type\":\"complete\"}", GRAPHQL_READ_BAD, GRAPHQL_COMPLETE, NULL, NULL},
        {"{\"id\":1,\"type\":\"subscribe\",\"payload\":{}}", GRAPHQL_READ_BAD, GRAPHQL_SUBSCRIBE, "1", "{}"},
        {"{\"id\":\"1\"}", GRAPHQL_READ_BAD, GRAPHQL_OTHER, "\"1\"", NULL},
        {"[\"type\",\"ping\"]", GRAPHQL_READ_BAD, GRAPHQL_OTHER, NULL, NULL},
        {"", GRAPHQL_READ_BAD, GRAPHQL_OTHER, NULL, NULL},
        {"{\"type\":\"ping\"", GRAPHQL_READ_BAD, GRAPHQL_PING, NULL, NULL},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct graphql_message m;
        assert_int_equal(read_text(&m, rows[i].text), rows[i].read);
        assert_int_equal(m.type, rows[i].type);
        assert_text(m.id, rows[i].id);
        assert_text(m.payload, rows[i].payload);
    }
}

static void test_the_beginning_of_a_result_is_enough(void **state)
{
    (void)state;
    static const char begin[] = "{\"id\":\"a\",\"type\":\"next\",\"payload\":{\"data\":{\"lo";
    struct graphql_message m;
    for (size_t len = 0; len < sizeof begin - 1; len++) {
        const enum graphql_read r = graphql_message_read(&m, (const uint8_t *)begin, len, false);
        assert_int_equal(r, len < strlen("{\"id\":\"a\",\"type\":\"next\"") ? GRAPHQL_READ_MORE : GRAPHQL_READ_OK);
    }
    /* Of what is recorded all must be there. */
    static const char subscribe[] = "{\"id\":\"a\",\"type\":\"subscribe\",\"payload\":{\"query\":\"{a";
    assert_int_equal(graphql_message_read(&m, (const uint8_t *)subscribe, sizeof subscribe - 1, false),
                     GRAPHQL_READ_MORE);
}

static void test_kinds_of_operations(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *document, *name;
        enum graphql_kind kind;
    } rows[] = {
        {"{ a }", "", GRAPHQL_QUERY},
        {"query { a }", "", GRAPHQL_QUERY},
        {"query Q { a }", "Q", GRAPHQL_QUERY},
        {"query Q($a: In = {b: [\"}\"]}) @d(x: {y: 1}) { a(b: $a) { c } }", "Q", GRAPHQL_QUERY},
        {"mutation { a }", "", GRAPHQL_MUTATION},
        {"mutation($a: Int!) { a(b: $a) }", "", GRAPHQL_MUTATION},
        {"subscription { a }", "", GRAPHQL_SUBSCRIPTION},
        {"subscription OnA($x: ID!) { a(x: $x) { b } }", "OnA", GRAPHQL_SUBSCRIPTION},
        {"\xef\xbb\xbf# mutation { x }\n,, subscription{a}", "", GRAPHQL_SUBSCRIPTION},
        {"# only { a comment\rquery{a}", "", GRAPHQL_QUERY},
        {"query A { a } mutation B { b } subscription C { c }", "A", GRAPHQL_QUERY},
        {"query A { a } mutation B { b } subscription C { c }", "B", GRAPHQL_MUTATION},
        {"query A { a } mutation B { b } subscription C { c }", "C", GRAPHQL_SUBSCRIPTION},
        {"query A { a } mutation B { b }", "", GRAPHQL_UNKNOWN},
        {"query A { a } mutation B { b }", "X", GRAPHQL_UNKNOWN},
        {"query A { a } mutation A { b }", "A", GRAPHQL_UNKNOWN},
        {"fragment F on T { mutation } query Q { ...F }", "", GRAPHQL_QUERY},
        {"query Q { ...F } fragment F on T { subscription { x } }", "Q", GRAPHQL_QUERY},
        {"query { a(s: \"\\\" } mutation M { x\") }", "", GRAPHQL_QUERY},
        {"query { a(s: \"\"\"x \\\"\"\" } \" mutation { \"\"\") }", "", GRAPHQL_QUERY},
        {"query { mutation { subscription } }", "", GRAPHQL_QUERY},
        {"query { ... @defer { a } }", "", GRAPHQL_SUBSCRIPTION},
        {"query @live { a }", "", GRAPHQL_SUBSCRIPTION},
        {"query { list @stream(initialCount: 1) { a } }", "", GRAPHQL_SUBSCRIPTION},
        {"mutation @live { a }", "", GRAPHQL_MUTATION},
        {"query { live defer stream }", "", GRAPHQL_QUERY},
        {"", "", GRAPHQL_UNKNOWN},
        {"# nothing", "", GRAPHQL_UNKNOWN},
        {"query", "", GRAPHQL_UNKNOWN},
        {"query { a", "", GRAPHQL_UNKNOWN},
        {"query { a } }", "", GRAPHQL_UNKNOWN},
        {"query { a } mutation", "", GRAPHQL_UNKNOWN},
        {"type T { a: Int }", "", GRAPHQL_UNKNOWN},
        {"quer\xc3\xbf { a }", "", GRAPHQL_UNKNOWN},
        {"\"query { a }\"", "", GRAPHQL_UNKNOWN},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const enum graphql_kind k =
            graphql_document_kind(rows[i].document, strlen(rows[i].document), rows[i].name, strlen(rows[i].name));
        if (k != rows[i].kind)
            print_error("%s\n", rows[i].document);
        assert_int_equal(k, rows[i].kind);
    }
}

static enum graphql_kind payload_kind(const char *text)
{
    return graphql_payload_kind((struct json_text){text, strlen(text)});
}

static void test_payloads(void **state)
{
    (void)state;
    assert_int_equal(payload_kind("{\"query\":\"mutation { a }\"}"), GRAPHQL_MUTATION);
    assert_int_equal(payload_kind("{\"query\":\"\\n# x\\nmut\\u0061tion { a(b: \\\"}\\\") }\"}"), GRAPHQL_MUTATION);
    assert_int_equal(payload_kind("{\"operationName\":\"B\",\"query\":\"query A{a} subscription B{b}\"}"),
                     GRAPHQL_SUBSCRIPTION);
    assert_int_equal(payload_kind("{\"operationName\":\"\\u0042\",\"query\":\"query A{a} subscription B{b}\"}"),
                     GRAPHQL_SUBSCRIPTION);
    assert_int_equal(payload_kind("{\"operationName\":null,\"query\":\"query A{a}\"}"), GRAPHQL_QUERY);
    assert_int_equal(payload_kind("{\"operationName\":\"\",\"query\":\"query A{a}\"}"), GRAPHQL_QUERY);
    assert_int_equal(payload_kind("{\"extensions\":{\"persistedQuery\":{}}}"), GRAPHQL_UNKNOWN);
    assert_int_equal(payload_kind("{\"query\":null}"), GRAPHQL_UNKNOWN);
    assert_int_equal(payload_kind("{\"query\":{\"query\":\"{a}\"}}"), GRAPHQL_UNKNOWN);
    assert_int_equal(graphql_payload_kind((struct json_text){NULL, 0}), GRAPHQL_UNKNOWN);
}

static void test_what_the_gateway_says(void **state)
{
    (void)state;
    struct strbuf out;
    const struct json_text id = {"\"a\\n\"", 5};
    strbuf_init(&out, 1024);
    graphql_write_error(&out, id, "he said \"no\"");
    assert_string_equal(out.data,
                        "{\"id\":\"a\\n\",\"type\":\"error\",\"payload\":[{\"message\":\"he said \\\"no\\\"\"}]}");
    strbuf_clear(&out);
    graphql_write_complete(&out, id);
    assert_string_equal(out.data, "{\"id\":\"a\\n\",\"type\":\"complete\"}");
    strbuf_clear(&out);
    graphql_write_beat(&out, GRAPHQL_PONG, (struct json_text){"{\"n\":1}", 7});
    assert_string_equal(out.data, "{\"type\":\"pong\",\"payload\":{\"n\":1}}");
    strbuf_clear(&out);
    graphql_write_beat(&out, GRAPHQL_PING, (struct json_text){NULL, 0});
    assert_string_equal(out.data, "{\"type\":\"ping\"}");
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_the_beginning_of_a_result_is_enough),
        cmocka_unit_test(test_kinds_of_operations),
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_what_the_gateway_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
