/* The one thread pool. Work is cut by the caller in a way that does not depend on the number of
 * threads, so that neither do results. */
#ifndef INGOT_POOL_H
#define INGOT_POOL_H

#include "format/ingot.h"

struct ingot_pool;

/* n_threads counts the calling thread; 0 takes one per available core. */
ingot_status ingot_pool_create(uint32_t n_threads, const ingot_allocator *allocator,
                               struct ingot_pool **pool, ingot_error *error);
/* Takes NULL. */
void ingot_pool_close(struct ingot_pool *pool);
uint32_t ingot_pool_n_threads(const struct ingot_pool *pool);

/* Calls task(context, i) once for every i in [0, n_tasks), on the pool's threads and the calling
 * one, in no particular order, and returns when all have ended. One run at a time. */
void ingot_pool_run(struct ingot_pool *pool, uint64_t n_tasks,
                    void (*task)(void *context, uint64_t i), void *context);

/* The same in two halves: after the first the pool's threads are at work, while the calling one
 * does something else; in the second it helps, and returns when all tasks have ended. A run that
 * was begun is ended by the next one as well, and by nothing but these: `context` lives until then.
 */
void ingot_pool_begin(struct ingot_pool *pool, uint64_t n_tasks,
                      void (*task)(void *context, uint64_t i), void *context);
/* Does nothing when no run was begun. */
void ingot_pool_end(struct ingot_pool *pool);

#endif
