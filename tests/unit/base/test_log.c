/* The log as its readers see it: lines in a file, a pipe or a socket. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define TIME_LEN 24u /* 2026-01-02T03:04:05.678Z */

struct sink {
    int fds[2]; /* lines are written to [1] and read from [0] */
    char text[65536];
};

static void sink_open(struct sink *s, enum log_level level, enum log_format format)
{
    assert_int_equal(pipe2(s->fds, O_CLOEXEC | O_NONBLOCK), 0);
    log_open("worker-1", level, format, NULL);
    log_use_fd(s->fds[1]); /* belongs to the log now */
}

/* What was written since the last call. */
static const char *sink_read(struct sink *s)
{
    ssize_t got = read(s->fds[0], s->text, sizeof s->text - 1);

    s->text[got > 0 ? got : 0] = '\0';
    return s->text;
}

static void sink_close(struct sink *s)
{
    log_close();
    close(s->fds[0]);
}

static void is_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";

    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd')
            assert_in_range(text[i], '0', '9');
        else
            assert_int_equal(text[i], form[i]);
    }
}

/* The rest of a text line after its time. */
static const char *after_time(const char *line)
{
    is_time(line);
    assert_int_equal(line[TIME_LEN], ' ');
    return line + TIME_LEN + 1;
}

static void a_line_says_when_how_bad_who_and_what(void **state)
{
    struct sink s;

    (void)state;
    sink_open(&s, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    LOG_WARN("peer marked down", KV_STR("peer", "api-2"), KV_INT("delta", -3), KV_UINT("next_check_ms", 2000),
             KV_BOOL("forced", false));
    assert_string_equal(after_time(sink_read(&s)),
                        "WARN worker-1 peer marked down peer=api-2 delta=-3 next_check_ms=2000 forced=false\n");
    LOG_INFO("started");
    assert_string_equal(after_time(sink_read(&s)), "INFO worker-1 started\n");
    LOG_DEBUG("numbers", KV_INT("min", INT64_MIN), KV_UINT("max", UINT64_MAX));
    assert_string_equal(after_time(sink_read(&s)),
                        "DEBUG worker-1 numbers min=-9223372036854775808 max=18446744073709551615\n");
    sink_close(&s);
}

static void levels_below_the_wanted_one_are_silent(void **state)
{
    struct sink s;

    (void)state;
    sink_open(&s, LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    LOG_DEBUG("no");
    LOG_INFO("no");
    assert_string_equal(sink_read(&s), "");
    assert_false(log_enabled(LOG_LEVEL_INFO));
    LOG_ERR("yes");
    assert_string_equal(after_time(sink_read(&s)), "ERROR worker-1 yes\n");
    sink_close(&s);
}

static void values_cannot_forge_a_line(void **state)
{
    static const struct {
        const char *value;
        const char *text;
    } rows[] = {
        {"plain-1.2:3/x", "plain-1.2:3/x"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"x\n2026-01-02T03:04:05.678Z ERROR forged", "\"x\\n2026-01-02T03:04:05.678Z ERROR forged\""},
        {"\x1b[2J\r\t\x7f", "\"\\x1b[2J\\x0d\\x09\\x7f\""},
        {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"\xc2\x9b"
         "31m",
         "\"\\xc2\\x9b31m\""}, /* C1: some terminals take it for ESC [ */
        {"\xff\xfe", "\"\\xff\\xfe\""},
    };
    struct sink s;
    char expected[200];

    (void)state;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LOG_INFO("e", KV_STR("v", rows[i].value));
        snprintf(expected, sizeof expected, "INFO worker-1 e v=%s\n", rows[i].text);
        assert_string_equal(after_time(sink_read(&s)), expected);
    }
    LOG_INFO("in\nthe sentence", KV_STR("none", NULL), KV_STRN("part", "abcdef", 3), KV_STRN("nul", "a\0b", 3));
    assert_string_equal(after_time(sink_read(&s)),
                        "INFO worker-1 in\\nthe sentence none=\"\" part=abc nul=\"a\\x00b\"\n");
    sink_close(&s);
}

static void json_lines_are_one_object_each(void **state)
{
    static const char head[] = "{\"time\":\"";
    struct sink s;
    const char *line;

    (void)state;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LOG_ERR("it \"broke\"", KV_STR("path", "/a\nb\xff"), KV_INT("n", -1), KV_UINT("u", 7), KV_BOOL("b", true));
    line = sink_read(&s);
    assert_memory_equal(line, head, strlen(head));
    is_time(line + strlen(head));
    assert_string_equal(line + strlen(head) + TIME_LEN,
                        "\",\"level\":\"error\",\"role\":\"worker-1\",\"msg\":\"it \\\"broke\\\"\","
                        "\"path\":\"/a\\nb\xef\xbf\xbd\",\"n\":-1,\"u\":7,\"b\":true}\n");
    LOG_INFO("bare");
    line = sink_read(&s);
    assert_string_equal(line + strlen(head) + TIME_LEN,
                        "\",\"level\":\"info\",\"role\":\"worker-1\",\"msg\":\"bare\"}\n");
    sink_close(&s);
}

/* ---- bounds ---- */
static void a_long_value_is_cut_between_characters(void **state)
{
    struct sink s;
    char value[3000];
    const char *line;

    (void)state;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    memset(value, 'a', sizeof value);
    LOG_INFO("e", KV_STRN("v", value, sizeof value), KV_INT("after", 1));
    line = after_time(sink_read(&s));
    assert_int_equal(strlen(line), strlen("INFO worker-1 e v= after=1\n") + 512);
    assert_string_equal(line + strlen(line) - strlen(" after=1\n"), " after=1\n");
    value[0] = 'x'; /* puts the bound into the middle of a character */
    for (size_t i = 1; i + 1 < sizeof value; i += 2)
        memcpy(value + i, "\xc3\xa9", 2);
    LOG_INFO("e", KV_STRN("v", value, sizeof value));
    line = after_time(sink_read(&s));
    assert_string_equal(line + strlen(line) - 4, "\xc3\xa9\"\n");
    sink_close(&s);
}

/* Many fields of the worst kind: the line stays within what a pipe takes at once, and readable. */
static void a_long_line_is_cut_between_fields(enum log_format format, const char *end)
{
    struct sink s;
    char value[512];
    const char *line;

    memset(value, 0x01, sizeof value);
    sink_open(&s, LOG_LEVEL_INFO, format);
    LOG_INFO("e", KV_STRN("v1", value, 300), KV_STRN("v2", value, 300), KV_STRN("v3", value, 300),
             KV_STRN("v4", value, 300), KV_INT("v5", 1));
    line = sink_read(&s);
    assert_in_range(strlen(line), 1000, PIPE_BUF);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_string_equal(line + strlen(line) - strlen(end), end);
    assert_null(strstr(line, "v5"));
    LOG_INFO("e");
    assert_non_null(strstr(sink_read(&s), "worker-1")); /* the next line is whole again */
    sink_close(&s);
}

static void a_long_text_line_is_cut_between_fields(void **state)
{
    (void)state;
    a_long_line_is_cut_between_fields(LOG_FORMAT_TEXT, "\\x01\" cut=true\n");
}

static void a_long_json_line_is_cut_between_fields(void **state)
{
    (void)state;
    a_long_line_is_cut_between_fields(LOG_FORMAT_JSON, "\\u0001\",\"cut\":true}\n");
}

static void the_worst_sentence_fits(void **state)
{
    struct sink s;
    char what[4096];

    (void)state;
    memset(what, 0x01, sizeof what - 1);
    what[sizeof what - 1] = '\0';
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LOG_INFO(what, KV_STRN("v", what, sizeof what - 1));
    const char *line = sink_read(&s);
    assert_in_range(strlen(line), 512, PIPE_BUF);
    assert_string_equal(line + strlen(line) - 13, ",\"cut\":true}\n");
    sink_close(&s);
}

/* ---- sinks ---- */
static void a_full_pipe_drops_lines_and_counts_them(void **state)
{
    struct sink s;
    uint64_t before = log_dropped_count(), lines = 0;

    (void)state;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    while (log_dropped_count() == before) {
        LOG_INFO("filling the pipe up", KV_UINT("line", lines));
        assert_true(++lines < 1000000);
    }
    LOG_INFO("no room for this either");
    assert_int_equal(log_dropped_count(), before + 2);
    while (*sink_read(&s) != '\0')
        continue;
    LOG_INFO("room again");
    assert_string_equal(after_time(sink_read(&s)), "INFO worker-1 room again\n");
    assert_int_equal(log_dropped_count(), before + 2);
    sink_close(&s);
}

/* The pipe belongs to others, too, who rely on its being blocking: the log gets out of the way by itself. */
static void a_full_blocking_pipe_is_neither_changed_nor_waited_for(void **state)
{
    struct sink s;
    uint64_t before = log_dropped_count();

    (void)state;
    assert_int_equal(pipe2(s.fds, O_CLOEXEC), 0);
    int shared = dup(s.fds[1]);
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    log_use_fd(s.fds[1]);
    for (int lines = 0; log_dropped_count() == before; lines++) {
        LOG_INFO("filling the pipe up");
        assert_true(lines < 1000000);
    }
    assert_int_equal(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    close(shared);
    sink_close(&s);
}

static void a_reader_that_went_away_is_no_reason_to_die(void **state)
{
    struct sink s;
    uint64_t before = log_dropped_count();

    (void)state;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    close(s.fds[0]);
    LOG_INFO("is anybody there?");
    assert_int_equal(log_dropped_count(), before + 1);
    log_close();
}

/* Fills the socket until it takes the beginning of a long line only. How much goes before depends on the kernel's
 * book-keeping, so that every number of short lines is tried. */
static bool tear_a_line(struct sink *s)
{
    char v[500];

    memset(v, 'v', sizeof v);
    for (int lead_count = 0; lead_count < 200; lead_count++) {
        for (int i = 0; i < lead_count; i++)
            LOG_INFO("short");
        LOG_INFO("long", KV_STRN("a", v, 500), KV_STRN("b", v, 500), KV_STRN("c", v, 500), KV_STRN("d", v, 500),
                 KV_STRN("e", v, 500), KV_STRN("f", v, 500), KV_STRN("g", v, 500));
        const char *text = sink_read(s);
        if (text[strlen(text) - 1] == 'v')
            return true;
    }
    return false;
}

static void a_torn_line_is_ended_before_the_next_one(void **state)
{
    struct sink s;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s.fds), 0);
    assert_int_equal(setsockopt(s.fds[1], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0); /* the least there is */
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    log_use_fd(s.fds[1]);
    assert_true(tear_a_line(&s));
    uint64_t dropped = log_dropped_count();
    LOG_INFO("after");
    const char *text = sink_read(&s);
    assert_int_equal(text[0], '\n');
    assert_string_equal(after_time(text + 1), "INFO worker-1 after\n");
    assert_int_equal(log_dropped_count(), dropped);
    sink_close(&s);
}

static void file_path(char *out, size_t cap_bytes, const char *name)
{
    snprintf(out, cap_bytes, "/tmp/tidegate-test-log-%d-%s", (int)getpid(), name);
}

static size_t count_lines(const char *path)
{
    FILE *f = fopen(path, "re");
    size_t count = 0;

    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        count += c == '\n';
    fclose(f);
    return count;
}

static void a_rotated_file_is_opened_again(void **state)
{
    char path[128], rotated[128];

    (void)state;
    file_path(path, sizeof path, "new");
    file_path(rotated, sizeof rotated, "old");
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path);
    LOG_INFO("one");
    assert_int_equal(rename(path, rotated), 0);
    LOG_INFO("two");
    log_reopen();
    LOG_INFO("three");
    log_close();
    assert_int_equal(count_lines(rotated), 2);
    assert_int_equal(count_lines(path), 1);
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path); /* appends */
    LOG_INFO("four");
    log_close();
    assert_int_equal(count_lines(path), 2);
    unlink(path);
    unlink(rotated);
}

static void when_reopening_fails_the_old_file_stays(void **state)
{
    char dir[128], path[160], moved[128], moved_path[160];

    (void)state;
    file_path(dir, sizeof dir, "dir");
    file_path(moved, sizeof moved, "moved");
    snprintf(path, sizeof path, "%s/log", dir);
    snprintf(moved_path, sizeof moved_path, "%s/log", moved);
    assert_int_equal(mkdir(dir, 0700), 0);
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path);
    assert_int_equal(rename(dir, moved), 0);
    log_reopen();
    log_close();
    assert_int_equal(count_lines(moved_path), 1); /* that it could not */
    unlink(moved_path);
    rmdir(moved);
}

/* ---- the journal ---- */
static void the_journal_gets_a_priority_instead_of_the_time(void **state)
{
    struct sink s;
    struct stat st;
    char stream[64];

    (void)state;
    assert_int_equal(pipe2(s.fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(fstat(s.fds[1], &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    log_use_fd(s.fds[1]);
    LOG_WARN("degraded", KV_INT("n", 1));
    assert_string_equal(sink_read(&s), "<4>worker-1 degraded n=1\n");
    sink_close(&s);
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT); /* another pipe: not the journal's */
    LOG_WARN("degraded");
    assert_string_equal(after_time(sink_read(&s)), "WARN worker-1 degraded\n");
    sink_close(&s);
    unsetenv("JOURNAL_STREAM");
}

/* ---- rate limit ---- */
static void a_burst_passes_then_one_line_per_interval(void **state)
{
    struct log_limit l = {0};
    int64_t now_ms = 5000;
    uint32_t suppressed = 99;

    (void)state;
    for (uint32_t i = 0; i < LOG_LIMIT_BURST; i++)
        assert_true(log_limit_pass(&l, now_ms, &suppressed));
    assert_int_equal(suppressed, 0);
    for (int i = 0; i < 7; i++)
        assert_false(log_limit_pass(&l, now_ms + 999, NULL));
    assert_true(log_limit_pass(&l, now_ms + 1000, &suppressed));
    assert_int_equal(suppressed, 7);
    assert_false(log_limit_pass(&l, now_ms + 1999, NULL));
    assert_true(log_limit_pass(&l, now_ms + 2000, &suppressed));
    assert_int_equal(suppressed, 1);
}

static void silence_earns_a_new_burst(void **state)
{
    struct log_limit l = {0};

    (void)state;
    for (uint32_t i = 0; i < LOG_LIMIT_BURST; i++)
        assert_true(log_limit_pass(&l, 0, NULL));
    for (uint32_t i = 0; i < 3; i++) /* three intervals, three lines */
        assert_true(log_limit_pass(&l, 3 * LOG_LIMIT_INTERVAL_MS, NULL));
    assert_false(log_limit_pass(&l, 3 * LOG_LIMIT_INTERVAL_MS, NULL));
    for (uint32_t i = 0; i < LOG_LIMIT_BURST; i++)
        assert_true(log_limit_pass(&l, 100 * LOG_LIMIT_INTERVAL_MS, NULL));
    assert_false(log_limit_pass(&l, 100 * LOG_LIMIT_INTERVAL_MS, NULL));
}

static void a_limited_line_says_what_was_held_back(void **state)
{
    struct sink s;
    struct log_limit l = {0};

    (void)state;
    sink_open(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    LOG_LIMITED(&l, 0, LOG_LEVEL_WARN, "bad peer", KV_INT("n", 1));
    assert_string_equal(after_time(sink_read(&s)), "WARN worker-1 bad peer n=1\n");
    for (uint32_t i = 0; i < LOG_LIMIT_BURST + 4; i++)
        LOG_LIMITED(&l, 0, LOG_LEVEL_WARN, "bad peer");
    sink_read(&s);
    LOG_LIMITED(&l, 1000, LOG_LEVEL_WARN, "bad peer");
    assert_string_equal(after_time(sink_read(&s)), "WARN worker-1 bad peer suppressed=5\n");
    LOG_LIMITED(&l, 90000, LOG_LEVEL_DEBUG, "not wanted, not counted");
    assert_int_equal(l.suppressed_count, 0);
    sink_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_when_how_bad_who_and_what),
        cmocka_unit_test(levels_below_the_wanted_one_are_silent),
        cmocka_unit_test(values_cannot_forge_a_line),
        cmocka_unit_test(json_lines_are_one_object_each),
        cmocka_unit_test(a_long_value_is_cut_between_characters),
        cmocka_unit_test(a_long_text_line_is_cut_between_fields),
        cmocka_unit_test(a_long_json_line_is_cut_between_fields),
        cmocka_unit_test(the_worst_sentence_fits),
        cmocka_unit_test(a_full_pipe_drops_lines_and_counts_them),
        cmocka_unit_test(a_full_blocking_pipe_is_neither_changed_nor_waited_for),
        cmocka_unit_test(a_reader_that_went_away_is_no_reason_to_die),
        cmocka_unit_test(a_torn_line_is_ended_before_the_next_one),
        cmocka_unit_test(a_rotated_file_is_opened_again),
        cmocka_unit_test(when_reopening_fails_the_old_file_stays),
        cmocka_unit_test(the_journal_gets_a_priority_instead_of_the_time),
        cmocka_unit_test(a_burst_passes_then_one_line_per_interval),
        cmocka_unit_test(silence_earns_a_new_burst),
        cmocka_unit_test(a_limited_line_says_what_was_held_back),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
