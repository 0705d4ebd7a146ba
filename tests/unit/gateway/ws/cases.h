/* Reads tests/data/rfc6455.txt, whose own head says what its columns are. */
#ifndef TESTS_UNIT_GATEWAY_WS_CASES_H
#define TESTS_UNIT_GATEWAY_WS_CASES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES_PATH      "tests/data/rfc6455.txt"
#define CASE_BYTES      8192u
#define CASES_MAX_BYTES 4096u /* the message limit the cases are written for */

enum case_outcome { CASE_PASS = 0, CASE_CLOSE, CASE_FAIL };

struct ws_case {
    bool is_server;
    enum case_outcome outcome;
    uint16_t code; /* of CLOSE and FAIL */
    char name[64];
    uint8_t bytes[CASE_BYTES];
    size_t len;
};

static inline void case_add(struct ws_case *c, const char *group)
{
    const char *star = strchr(group, '*');
    const size_t digit_count = star != NULL ? 2 : strlen(group);
    const unsigned long times = star != NULL ? strtoul(star + 1, NULL, 10) : 1;

    for (unsigned long n = 0; n < times; n++) {
        for (size_t i = 0; i + 1 < digit_count && c->len < CASE_BYTES; i += 2) {
            const char pair[3] = {group[i], group[i + 1], '\0'};
            c->bytes[c->len++] = (uint8_t)strtoul(pair, NULL, 16);
        }
    }
}

/* The next case of the file; false at its end. Lines longer than the buffer do not occur. */
static inline bool case_next(FILE *f, struct ws_case *c)
{
    char line[1024], *save = NULL;
    while (fgets(line, sizeof line, f) != NULL) {
        const char *sender = strtok_r(line, " \n", &save);
        if (sender == NULL || sender[0] == '#')
            continue;
        const char *outcome = strtok_r(NULL, " \n", &save);
        const char *name = strtok_r(NULL, " \n", &save);
        const char *equals = strchr(outcome, '=');
        c->is_server = strcmp(sender, "server") == 0;
        c->outcome = outcome[0] == 'p' ? CASE_PASS : outcome[0] == 'c' ? CASE_CLOSE : CASE_FAIL;
        c->code = equals != NULL ? (uint16_t)strtoul(equals + 1, NULL, 10) : 0;
        snprintf(c->name, sizeof c->name, "%s", name);
        c->len = 0;
        for (const char *group; (group = strtok_r(NULL, " \n", &save)) != NULL;)
            case_add(c, group);
        return true;
    }
    return false;
}

#endif
