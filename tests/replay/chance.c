/* Chance, in every replay program: the same in every run. REPLAY_SEED=n chooses another one, to look for what comes to
 * pass once in a thousand. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t state;
static bool is_seeded;

/* In the place of the C library's, which all code under test asks. */
ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
    uint8_t *out = buf;

    (void)flags;
    if (!is_seeded) {
        const char *seed = getenv("REPLAY_SEED");

        state = seed != NULL ? strtoull(seed, NULL, 10) : 1;
        is_seeded = true;
    }
    for (size_t i = 0; i < len; i += sizeof state) {
        /* splitmix64 */
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        memcpy(out + i, &z, len - i < sizeof z ? len - i : sizeof z);
    }
    return (ssize_t)len;
}
