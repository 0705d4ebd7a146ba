/* /rest/v1/TABLE: GET reads rows, POST adds them, PATCH changes and DELETE removes those that match, in the query
 * language of PostgREST as far as a test needs it: column=eq|neq|gt|gte|lt|lte.value, order=column.asc|desc, limit=n,
 * select=a,b. */
#ifndef REGION_REST_H
#define REGION_REST_H

struct client;
struct request;

void rest_serve(struct client *c, const char *table);
/* The client is gone; the request ends by itself when its rows come. */
void rest_abandon(struct request **qp);

#endif
