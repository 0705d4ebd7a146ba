/* What the load tester says, and what it must hear. What all connections say alike is built once, so that saying it is
 * one system call and checking the answer one comparison; the rest is put together when it is said. */
#ifndef GATEWAY_BENCH_WORDS_H
#define GATEWAY_BENCH_WORDS_H

#include <stdint.h>

#include "base/buf.h"
#include "gateway/bench/options.h"

#define WORDS_FRAME_BYTES (2u << 20) /* room for the longest message with all that goes around it */
#define WORDS_PUSH_REF    "1007"     /* of every acknowledged message: one is under way at a time */
#define WORDS_BEAT_REF    "beat"

struct words {
    uint8_t *message; /* as sent: a frame, or a request */
    uint32_t message_len;
    uint8_t *echo; /* the frame that must come back; HTTP: NULL */
    uint32_t echo_len;
};

struct vocabulary {
    const struct options *options;
    char *request; /* the handshake */
    uint32_t request_len;
    struct words *messages; /* to be said in turn: one for each channel, else one */
    uint32_t message_count; /* 0: connections differ in their topics */
    char *padding;          /* letters, as many as the payload has */
    uint32_t run;           /* a number that tells our broadcasts from those of another run */
    struct strbuf text;     /* of the message that is put together */
};

void vocabulary_init(struct vocabulary *v, const struct options *o, uint32_t run);
void vocabulary_fini(struct vocabulary *v);

/* Each puts one frame into `frame`, whose bound is at least WORDS_FRAME_BYTES, in place of what is there. */
void words_join(struct vocabulary *v, struct strbuf *frame, uint32_t channel, uint32_t topic);
/* A message that is answered, as the prebuilt ones. */
void words_push(struct vocabulary *v, struct strbuf *frame, uint32_t channel, uint32_t topic);
/* A numbered broadcast that is due at `due_ns`. */
void words_broadcast(struct vocabulary *v, struct strbuf *frame, uint32_t channel, uint32_t topic, uint64_t number,
                     int64_t due_ns);
void words_heartbeat(struct vocabulary *v, struct strbuf *frame);

#endif
