/* Chunks on their way to the file: what is known of each, the steps it takes, and the batches in
 * which they wait for the pool. For chunk_writer.c and chunk_queue.c alone. */
#ifndef INGOT_CHUNK_QUEUE_H
#define INGOT_CHUNK_QUEUE_H

#include "format/chunk_writer.h"

/* Makes the room at least n_bytes large. */
ingot_status room_reserve(const struct chunk_writer *w, struct room *room, uint64_t n_bytes,
                          ingot_error *error);
void room_release(const struct chunk_writer *w, struct room *room);

/* A chunk, or the end of a stream. */
struct chunk_item {
    struct stream_writer *stream;
    bool ends;          /* the stream: there are no bytes */
    uint32_t repeat_of; /* the chunk that these bytes were first, or INGOT_NONE */
    const uint8_t *raw;
    uint64_t n_bytes;
    uint8_t *packed;
    struct packing packing;
    uint64_t checksum;   /* of what is stored: of the raw bytes before it is packed */
    ingot_status status; /* of packing */
    ingot_error why;
};

/* Packs: reads the item alone, and may be called on any thread with a packer of its own. */
void item_pack(struct chunk_item *item, struct packer *packer);
/* Writes it out and notes it in the records; items in the order in which they came. */
ingot_status item_finish(struct chunk_writer *w, struct chunk_item *item, ingot_error *error);
/* Frees the stream of an item that ends it and was not finished. */
void item_abandon(struct chunk_item *item);

ingot_status queue_create(struct chunk_writer *w, struct ingot_pool *pool,
                          struct chunk_queue **queue, ingot_error *error);
/* As chunks_room says. A failure of an earlier item may show here. */
ingot_status queue_room(struct chunk_queue *q, uint64_t room_bytes, uint32_t n_chunks,
                        uint8_t **room, ingot_error *error);
/* Takes an item whose bytes, if it has any, are next in the room. */
ingot_status queue_put(struct chunk_queue *q, const struct chunk_item *item, ingot_error *error);
ingot_status queue_flush(struct chunk_queue *q, ingot_error *error);
/* Waits for the pool and drops what waits. Takes NULL. */
void queue_close(struct chunk_queue *q);
/* The same, but the queue stays, and fails from now on. */
void queue_abandon(struct chunk_queue *q);

#endif
