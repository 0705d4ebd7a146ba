/* MQTT control packets, versions 3.1.1 and 5.0 (OASIS), as far as a gateway has to know them. Pure: bytes in, views
 * out; views live as long as the bytes.
 *
 * What is read is judged only as far as it is looked at: a broker does the rest. */
#ifndef GATEWAY_REALTIME_MQTT_CODEC_H
#define GATEWAY_REALTIME_MQTT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH,
};

enum mqtt_level { MQTT_3_1_1 = 4, MQTT_5 = 5 };

/* Reason codes of version 5 (section 2.4) that are looked at or said. */
enum mqtt_reason {
    MQTT_SUCCESS = 0x00,
    MQTT_UNSPECIFIED = 0x80,
    MQTT_NOT_ALLOWED = 0x87,
    MQTT_UNAVAILABLE = 0x88,
    MQTT_BUSY = 0x89,
    MQTT_SHUTTING_DOWN = 0x8b,
    MQTT_SILENT = 0x8d,
    MQTT_QUOTA = 0x97,
    MQTT_ANOTHER_SERVER = 0x9c,
    MQTT_SERVER_MOVED = 0x9d,
    MQTT_RATE_EXCEEDED = 0x9f,
    MQTT_TOO_LONG_CONNECTED = 0xa0,
};

struct mqtt_view {
    const uint8_t *data; /* NULL: there is none */
    size_t len;
};

enum mqtt_read { MQTT_READ_OK = 0, MQTT_READ_MORE, MQTT_READ_BAD };

struct mqtt_packet {
    enum mqtt_type type;
    uint8_t flags;          /* the lower half of the first byte */
    struct mqtt_view whole; /* with MQTT_READ_MORE: `len` is what it will be, 0 when that cannot be told yet */
    struct mqtt_view body;  /* behind the fixed header */
};

#define MQTT_PACKET_ID_ANY 65535u /* the highest */

/* The packet that `bytes` begin with. */
enum mqtt_read mqtt_packet_read(struct mqtt_packet *p, const uint8_t *bytes, size_t len);

struct mqtt_connect {
    uint8_t level; /* others than enum mqtt_level may come; then nothing but it is told */
    uint8_t flags;
    bool is_clean;
    uint16_t keep_alive_s;
    uint32_t session_expiry_s;
    bool has_topic_aliases; /* allows the server some */
    bool has_auth_method;
    struct mqtt_view properties; /* without their length; version 3.1.1 has none */
    struct mqtt_view client_id;
    struct mqtt_view rest; /* of the payload: will, user name, password */
};
bool mqtt_connect_read(struct mqtt_connect *c, const struct mqtt_packet *p);
/* The same again, with this client identifier, and without topic aliases. */
void mqtt_connect_write(struct strbuf *out, const struct mqtt_connect *c, struct mqtt_view client_id);

struct mqtt_connack {
    uint8_t flags;
    uint8_t reason; /* 0: accepted */
    bool has_keep_alive;
    bool has_topic_aliases;
    uint16_t keep_alive_s;
    struct mqtt_view assigned_id;
    struct mqtt_view properties;
};
bool mqtt_connack_read(struct mqtt_connack *c, const struct mqtt_packet *p, enum mqtt_level level);
/* The same again, without topic aliases. */
void mqtt_connack_write(struct strbuf *out, const struct mqtt_connack *c);

struct mqtt_publish {
    uint8_t qos;
    bool is_retained;
    uint16_t packet_id; /* of QoS 1 and 2 */
    struct mqtt_view topic;
    struct mqtt_view payload;
};
bool mqtt_publish_read(struct mqtt_publish *m, const struct mqtt_packet *p, enum mqtt_level level);
#define MQTT_FLAG_DUP 0x08u /* of a PUBLISH's first byte */

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
    uint16_t packet_id;
    uint8_t reason;
};
bool mqtt_ack_read(struct mqtt_ack *a, const struct mqtt_packet *p);

/* SUBSCRIBE and UNSUBSCRIBE: one filter after the other. */
struct mqtt_filters {
    uint16_t packet_id;
    uint32_t identifier; /* subscription identifier; 0: none */
    bool has_options;
    struct mqtt_view left;
};
struct mqtt_filter {
    struct mqtt_view text;
    uint8_t options; /* of SUBSCRIBE */
};
#define MQTT_RETAIN_MASK  0x30u /* of the options: retain handling (version 5, section 3.8.3.1) ... */
#define MQTT_RETAIN_NEVER 0x20u /* ... what is retained is not sent for this */
bool mqtt_filters_read(struct mqtt_filters *f, const struct mqtt_packet *p, enum mqtt_level level);
/* MQTT_READ_MORE: that were all. */
enum mqtt_read mqtt_filters_next(struct mqtt_filters *f, struct mqtt_filter *out);

/* SUBACK and UNSUBACK. */
struct mqtt_suback {
    uint16_t packet_id;
    struct mqtt_view codes; /* one a filter; none in version 3.1.1's UNSUBACK */
};
bool mqtt_suback_read(struct mqtt_suback *a, const struct mqtt_packet *p, enum mqtt_level level);

/* Of version 5's DISCONNECT; 0: none. */
uint8_t mqtt_disconnect_reason(const struct mqtt_packet *p);

/* ---- what the gateway says itself ---- */

void mqtt_ack_write(struct strbuf *out, enum mqtt_type type, enum mqtt_level level, uint16_t packet_id, uint8_t reason);
/* PINGREQ, PINGRESP. */
void mqtt_ping_write(struct strbuf *out, enum mqtt_type type);
/* Only version 5's servers say it. */
void mqtt_disconnect_write(struct strbuf *out, uint8_t reason);
void mqtt_subscribe_write(struct strbuf *out, enum mqtt_level level, uint16_t packet_id, uint32_t identifier,
                          const struct mqtt_filter *filters, size_t count);
/* Refuses all that a SUBSCRIBE or UNSUBSCRIBE asks for; version 3.1.1 cannot refuse the latter. */
void mqtt_refusal_write(struct strbuf *out, enum mqtt_type answer, enum mqtt_level level, uint16_t packet_id,
                        size_t count);

#endif
