/* The bytes stand here as they go over the wire; the comment names the rule they break. */
#include "tests/region/wrong.h"

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* clang-format off */
static const uint8_t big_ping[4 + 126] = {0x89, 0x7e, 0x00, 0x7e};

const struct wrong_frame wrong_frames[] = {
    {"", NULL, 0, WRONG_THEN_STAY},
    {"bad-rsv", BYTES(0xc1, 2, 'h', 'i'), WRONG_THEN_STAY},                 /* 5.2: RSV1 without an extension */
    {"bad-opcode", BYTES(0x83, 0), WRONG_THEN_STAY},                        /* 5.2: reserved data opcode */
    {"bad-control", BYTES(0x8b, 0), WRONG_THEN_STAY},                       /* 5.2: reserved control opcode */
    {"masked", BYTES(0x81, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2), WRONG_THEN_STAY}, /* 5.1: a server never masks */
    {"big-ping", big_ping, sizeof(big_ping), WRONG_THEN_STAY},              /* 5.5: control frames carry 125 bytes at most */
    {"split-ping", BYTES(0x09, 0), WRONG_THEN_STAY},                        /* 5.5: control frames are not fragmented */
    {"lone-continuation", BYTES(0x80, 2, 'h', 'i'), WRONG_THEN_STAY},       /* 5.4: nothing to continue */
    {"text-in-text", BYTES(0x01, 1, 'a', 0x81, 1, 'b'), WRONG_THEN_STAY},   /* 5.4: a message inside a message */
    {"long-length", BYTES(0x81, 0x7e, 0, 2, 'h', 'i'), WRONG_THEN_STAY},    /* 5.2: not the shortest form */
    {"huge-length", BYTES(0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 1), WRONG_THEN_STAY}, /* 5.2: top bit of the length */
    {"bad-utf8", BYTES(0x81, 2, 0xc3, 0x28), WRONG_THEN_STAY},              /* 8.1 */
    {"short-close", BYTES(0x88, 1, 3), WRONG_THEN_STAY},                    /* 5.5.1: half a status code */
    {"reserved-close", BYTES(0x88, 2, 0x03, 0xed), WRONG_THEN_STAY},        /* 7.4.1: 1005 is never sent */
    {"half-frame", BYTES(0x81, 5, 'h', 'e'), WRONG_THEN_CUT},
    {"garbage", BYTES('H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '5', '0', '0', '\r', '\n'), WRONG_THEN_STAY},
    {"cut", NULL, 0, WRONG_THEN_CUT},                                       /* 7.1.5: abnormal closure */
    {"reset", NULL, 0, WRONG_THEN_RESET},
    {"pong", BYTES(0x8a, 2, 'h', 'i'), WRONG_THEN_STAY},                    /* allowed: nobody asked for it */
    {"ping", BYTES(0x89, 2, 'h', 'i'), WRONG_THEN_STAY},                    /* allowed */
    {"empty-close", BYTES(0x88, 0), WRONG_THEN_STAY},                       /* allowed: no status code */
    {"empty-fragments", BYTES(0x01, 0, 0x00, 0, 0x80, 0), WRONG_THEN_STAY}, /* allowed */
};
/* clang-format on */
const size_t wrong_frame_count = sizeof(wrong_frames) / sizeof(wrong_frames[0]);
