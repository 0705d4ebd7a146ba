/* What a server answers to a heartbeat and to a canary, cut anywhere. The first byte says where each message is cut and
 * to which side it goes. Laws: where a message is cut makes no difference, and nobody crosses without our number. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "health/checker/canary.h"
#include "health/checker/phoenix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t random_bytes[CANARY_NONCE_BYTES / 2] = "0123456789abcde";

static void read_pieces(const char *text, size_t len, size_t cut)
{
    struct phoenix_reader *whole = mem_alloc(sizeof *whole), *cut_up = mem_alloc(sizeof *cut_up);
    enum phoenix_reply first = phoenix_read(whole, text, len, true);

    ASSERT(phoenix_read(cut_up, text, cut, false) == PHOENIX_OTHER);
    ASSERT(phoenix_read(cut_up, text + cut, len - cut, true) == first);
    ASSERT(phoenix_read(whole, text, len, true) == first); /* nothing is left of the message before */
    mem_free(whole);
    mem_free(cut_up);
}

static void speak(struct canary *c)
{
    for (int side = CANARY_HERE; side <= CANARY_THERE; side++)
        while (canary_wants_to_say(c, (enum canary_side)side)) {
            struct strbuf out;
            strbuf_init(&out, 4096);
            canary_say(c, (enum canary_side)side, &out, 0);
            ASSERT(!out.failed && out.data[0] == '[' && out.data[out.len - 1] == ']');
            strbuf_fini(&out);
        }
}

/* One message a line, said on one side or on both. */
static void hear_lines(const char *text, size_t len, uint8_t how)
{
    struct canary *c = canary_create("realtime:canary", random_bytes);

    canary_up(c, CANARY_HERE);
    canary_up(c, CANARY_THERE);
    for (unsigned line = 0; len > 0; line++) {
        const char *end = memchr(text, '\n', len);
        size_t n = end != NULL ? (size_t)(end - text) : len;
        enum canary_side side = (how >> (line % 8) & 1) != 0 ? CANARY_THERE : CANARY_HERE;

        speak(c);
        canary_hear(c, side, text, n / 2, false);
        canary_hear(c, side, text + n / 2, n - n / 2, true);
        text += n + (end != NULL);
        len -= n + (end != NULL);
    }
    speak(c);
    (void)canary_outcome(c);
    canary_destroy(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    const char *text = (const char *)data + 1;
    read_pieces(text, len - 1, len > 1 ? data[0] % len : 0);
    hear_lines(text, len - 1, data[0]);
    return 0;
}
