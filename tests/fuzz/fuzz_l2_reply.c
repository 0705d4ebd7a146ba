/* What anybody behind the address of a Redis may say. The first byte chooses how the rest is cut; what came in pieces
 * must make the replies that it makes whole. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "cache/l2_wire.h"

#define REPLY_BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A sum over all a reply has; touches every byte of it. */
static uint64_t sum_of(const struct l2_reply *r, unsigned depth)
{
    uint64_t sum = (uint64_t)r->kind * 31 + (uint64_t)r->integer + r->len;
    ASSERT(depth < 9);
    if (r->kind == L2_ARRAY)
        for (size_t i = 0; i < r->len; i++)
            sum = sum * 33 + sum_of(r->elements[i], depth + 1);
    else if (r->kind == L2_STATUS || r->kind == L2_ERROR || r->kind == L2_BULK)
        for (size_t i = 0; i <= r->len; i++)
            sum = sum * 33 + (uint8_t)r->text[i];
    ASSERT((l2_reply_fault(r) == L2_FAULT_NONE) == (r->kind != L2_ERROR));
    return sum;
}

struct outcome {
    size_t count;
    uint64_t sum;
    enum err end;
};

static struct outcome parse(const uint8_t *data, size_t len, size_t piece)
{
    struct l2_parser *p = l2_parser_create(REPLY_BYTES_MAX);
    struct outcome o = {.end = ERR_AGAIN};
    for (size_t at = 0; at < len && o.end == ERR_AGAIN; at += piece) {
        struct l2_reply *r = NULL;
        o.end = l2_parser_feed(p, data + at, len - at < piece ? len - at : piece);
        while (o.end == ERR_NONE) {
            o.end = l2_parser_next(p, &r);
            ASSERT((o.end == ERR_NONE) == (r != NULL));
            if (r == NULL)
                break;
            o.count++;
            o.sum = o.sum * 33 + sum_of(r, 0);
            l2_reply_destroy(&r);
        }
    }
    l2_parser_destroy(&p);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1 || len >= REPLY_BYTES_MAX)
        return 0;
    const struct outcome whole = parse(data + 1, len - 1, len);
    const struct outcome pieces = parse(data + 1, len - 1, 1 + data[0] % 32u);
    ASSERT(whole.count == pieces.count && whole.sum == pieces.sum && whole.end == pieces.end);
    return 0;
}
