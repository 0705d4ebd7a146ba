/* Serial number arithmetic of RFC 1982 with 32 bits. */
#include "health/serial.h"

#define HALF_CIRCLE 0x80000000u

bool serial_is_newer(uint32_t a, uint32_t b)
{
    const uint32_t ahead = a - b;
    return ahead != 0 && ahead < HALF_CIRCLE;
}

uint32_t serial_next(uint32_t last, uint32_t wish)
{
    const uint32_t next = wish != 0 && serial_is_newer(wish, last) ? wish : last + 1;
    return next != 0 ? next : 1;
}
