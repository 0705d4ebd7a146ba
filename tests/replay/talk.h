/* Saying something at a socket of the rig, and expecting something there; include after cmocka.h. */
#ifndef TESTS_REPLAY_TALK_H
#define TESTS_REPLAY_TALK_H

#include <stdio.h>
#include <string.h>

#include "tests/replay/rig.h"

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* What has come at `fd`, as a string in `buf`; "" for nothing. */
static inline const char *text_at(struct rig *r, int fd, char *buf, size_t cap)
{
    buf[0] = '\0';
    (void)rig_read(r, fd, buf, cap);
    return buf;
}

static inline void expect_at(struct rig *r, int fd, const char *part)
{
    char buf[65536];
    if (strstr(text_at(r, fd, buf, sizeof buf), part) == NULL)
        fail_msg("expected %s, got: %s", part, buf);
}

static inline void expect_status(struct rig *r, int fd, int status)
{
    char start[32], buf[65536];
    (void)snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
    if (strncmp(text_at(r, fd, buf, sizeof buf), start, strlen(start)) != 0)
        fail_msg("expected %s, got: %s", start, buf);
}

static inline void expect_nothing(struct rig *r, int fd)
{
    char buf[4096];
    if (rig_read(r, fd, buf, sizeof buf) != -1)
        fail_msg("expected nothing, got: %s", buf);
}

static inline void expect_end(struct rig *r, int fd)
{
    char buf[4096];
    int n = rig_read(r, fd, buf, sizeof buf);
    if (n != 0)
        fail_msg("expected the end, got %d: %s", n, n > 0 ? buf : "");
}

static inline void say(struct rig *r, int fd, const char *text)
{
    rig_write(r, fd, text, strlen(text));
}

#endif
