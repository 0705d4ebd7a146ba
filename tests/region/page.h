/* What a region answers over plain HTTP, a table of paths. */
#ifndef REGION_PAGE_H
#define REGION_PAGE_H

struct client;

/* The request is complete, its body in c->in. */
void page_serve(struct client *c);

#endif
