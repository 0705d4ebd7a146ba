/* Which protocols the gateway speaks. */
#include "gateway/realtime/protocol.h"

#include "base/assert.h"
#include "gateway/realtime/protocol_rows.h"

static const struct protocol *const protocols[] = {
    [WS_PROTOCOL_OPAQUE] = NULL,
    [WS_PROTOCOL_PHOENIX] = &protocol_phoenix,
    [WS_PROTOCOL_GRAPHQL] = &protocol_graphql,
    [WS_PROTOCOL_MQTT] = &protocol_mqtt,
};
_Static_assert(sizeof protocols / sizeof protocols[0] == WS_PROTOCOL_COUNT, "one row per protocol");

const struct protocol *protocol_of(enum conf_ws_protocol p)
{
    ASSERT(p < WS_PROTOCOL_COUNT);
    return protocols[p];
}
