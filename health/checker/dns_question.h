/* One question to a name server and the judgement of its answer. Pure: bytes out, bytes in (RFC 1035 section 4). */
#ifndef HEALTH_CHECKER_DNS_QUESTION_H
#define HEALTH_CHECKER_DNS_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

#define DNS_QUESTION_BYTES 272u /* header, a name of 255, type and class */
#define DNS_ANSWER_BYTES   1500u
#define DNS_CAUSE_BYTES    64u

struct dns_question {
    size_t len; /* 0: the name cannot be asked for */
    uint8_t packet[DNS_QUESTION_BYTES];
};

/* Asks with recursion desired, which a server that has the zone ignores. */
void dns_question_make(struct dns_question *q, uint16_t id, const char *name, uint16_t type);

/* FOREIGN: not an answer to `q`; wait on. */
enum dns_judgement { DNS_GOOD = 0, DNS_BAD, DNS_FOREIGN };
/* `cause` (DNS_CAUSE_BYTES) says what was wrong with a bad one. A truncated answer counts as one: who can say that it
 * has more to say works. */
enum dns_judgement dns_question_judge(const struct dns_question *q, enum conf_dns_expect expect, const uint8_t *answer,
                                      size_t len, char *cause);

#endif
