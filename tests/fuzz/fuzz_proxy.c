/* PROXY headers. Laws: the verdict does not depend on how the bytes are cut, nor on what follows the header; a header
 * is never longer than what there is; who is not local has an address that means somebody. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_addresses(const struct proxy_header *h)
{
    char source[ADDR_TEXT_BYTES], destination[ADDR_TEXT_BYTES];
    if (h->is_local) {
        ASSERT(h->source.len == 0 && h->destination.len == 0);
        return;
    }
    ASSERT(h->source.sa.sa_family == h->destination.sa.sa_family);
    (void)addr_text(&h->source, source, sizeof source);
    (void)addr_text(&h->destination, destination, sizeof destination);
    ASSERT(strncmp(source, "[::]", 4) != 0 && strncmp(source, "0.0.0.0:", 8) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct proxy_header whole, part;
    const enum proxy_result r = proxy_parse(&whole, data, len);
    ASSERT(r != PROXY_MORE || len < PROXY_V2_BYTES_MAX);
    ASSERT(r != PROXY_BAD || whole.error_reason != NULL);
    for (size_t have = 0; have < len && have < 300; have++) {
        const enum proxy_result early = proxy_parse(&part, data, have);
        ASSERT(early == PROXY_MORE || early == r);
        ASSERT(early != PROXY_DONE || part.len == whole.len);
    }
    if (r != PROXY_DONE)
        return 0;
    ASSERT(whole.len > 0 && whole.len <= len);
    ASSERT(proxy_parse(&part, data, whole.len) == PROXY_DONE && part.len == whole.len);
    check_addresses(&whole);
    return 0;
}
