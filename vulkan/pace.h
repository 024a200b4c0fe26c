/* How much work one submission holds, so that it ends well before a driver takes the device for
 * hung. Knows no device. */
#ifndef INGOT_VULKAN_PACE_H
#define INGOT_VULKAN_PACE_H

#include <stdint.h>

/* No submission is expected to take longer. */
#define MOST_SUBMIT_SECONDS 0.2

/* The weights that the next submission may visit, when a submission of so many was allowed
 * `allowed` and took so long. */
uint64_t ingot_vk_pace_next(uint64_t allowed, uint64_t n_weights, double seconds);

#endif
