/* The rows of the table in protocol.c, each made in its own file. */
#ifndef GATEWAY_REALTIME_PROTOCOL_ROWS_H
#define GATEWAY_REALTIME_PROTOCOL_ROWS_H

#include "gateway/realtime/protocol.h"

extern const struct protocol protocol_phoenix;
extern const struct protocol protocol_graphql;
extern const struct protocol protocol_mqtt;

#endif
