/* Masking against the definition, byte for byte, for every phase, length and alignment that could matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ws/mask.h"

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

static void the_example_of_the_rfc(void **state)
{
    uint8_t hello[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};

    (void)state;
    ws_mask(hello, sizeof hello, key, 0);
    assert_memory_equal(hello, "Hello", 5);
}

static void each_byte_meets_its_part_of_the_key(void **state)
{
    uint8_t in[80], out[80], copy[80];

    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    for (size_t offset = 0; offset < 9; offset++) {
        for (size_t len = 0; len + offset <= 70; len++) {
            for (size_t phase = 0; phase < 6; phase++) {
                memcpy(out, in, sizeof in);
                memcpy(copy, in, sizeof in);
                ws_mask(out + offset, len, key, phase);
                ws_mask_copy(copy + offset, in + offset, len, key, phase);
                for (size_t i = 0; i < sizeof in; i++) {
                    const bool is_inside = i >= offset && i < offset + len;
                    const uint8_t part = is_inside ? key[(phase + i - offset) % 4] : 0;
                    assert_int_equal(out[i], in[i] ^ part);
                }
                assert_memory_equal(out, copy, sizeof out);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(each_byte_meets_its_part_of_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
