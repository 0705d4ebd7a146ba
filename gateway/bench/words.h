/* What the load tester says and what it must hear: built once for all connections, so that saying it is one system call
 * and checking the answer one comparison. */
#ifndef GATEWAY_BENCH_WORDS_H
#define GATEWAY_BENCH_WORDS_H

#include <stdint.h>

#include "gateway/bench/options.h"

struct words {
    uint8_t *message; /* as sent: a frame, or a request */
    uint32_t message_len;
    uint8_t *echo; /* the frame that must come back; HTTP: NULL */
    uint32_t echo_len;
};

struct vocabulary {
    char *request; /* the handshake */
    uint32_t request_len;
    uint32_t channel_count; /* Phoenix: of each connection; 0: it is not spoken */
    struct words *joins;    /* channel_count of them, to be said first */
    struct words *messages; /* to be said in turn: one for each channel, else one */
    uint32_t message_count;
};

void vocabulary_init(struct vocabulary *v, const struct options *o);
void vocabulary_fini(struct vocabulary *v);

#endif
