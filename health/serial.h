/* SOA serials: numbers on a circle (RFC 1982), so that "newer" has a meaning after the wrap. The owner keeps the last
 * one he answered and stores the next one before he answers it. */
#ifndef HEALTH_SERIAL_H
#define HEALTH_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

/* True when `a` comes after `b`: less than half the circle ahead of it. Half a circle apart neither does. */
bool serial_is_newer(uint32_t a, uint32_t b);
/* The serial after `last`: `wish` (the seconds of a clock, or what a peer answers; 0: none) when that is newer, else
 * the next number. Never 0, which some take for "none". */
uint32_t serial_next(uint32_t last, uint32_t wish);

#endif
