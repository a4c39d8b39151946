/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PDATA_REFMAP_H
#define PDATA_REFMAP_H
/*
 * Reference counts in memory: 2 bits a block (0, 1, 2, "3 or more") and a hash
 * table of the larger ones.  Memory: nr_blocks / 4 bytes, touched only where counts
 * are set, plus 16 to 32 bytes for each block with a count above two.
 *
 * Threads: refmap_inc* may run on any number of threads at once when the map was
 * made with @shared (lock-free on the 2 bits, a lock per shard of the table);
 * everything else wants the map to itself.
 */
#include "base/err.h"
#include "base/units.h"

struct refmap;

struct refmap *refmap_new(uint64_t nr_blocks, bool shared);
void refmap_free(struct refmap *m);
uint64_t refmap_nr_blocks(const struct refmap *m);

/* Adds one reference; returns the count before, saturated at 3. @b must be < nr_blocks. */
unsigned refmap_inc(struct refmap *m, uint64_t b);
/* Adds one reference to each of [b, b+len). */
void refmap_inc_run(struct refmap *m, uint64_t b, uint64_t len);
uint32_t refmap_get(const struct refmap *m, uint64_t b);
/* Sets a count outright. */
void refmap_set(struct refmap *m, uint64_t b, uint32_t count);
/* Has an allocation of the table failed?  Then counts above two are not to be trusted. */
bool refmap_failed(const struct refmap *m);

/* Number of blocks with a non-zero count. */
uint64_t refmap_nr_allocated(const struct refmap *m);
/* First block >= @from with a count of zero, or nr_blocks. */
uint64_t refmap_find_free(const struct refmap *m, uint64_t from);
/* First block >= @from with a non-zero count, or nr_blocks. */
uint64_t refmap_find_used(const struct refmap *m, uint64_t from);

/*
 * Writes the counts of blocks [index * 16320, ...) as the 4080 bytes of an on-disk bitmap
 * (entries at or past nr_blocks are 0).  *nr_used: entries with a non-zero count.
 * *first_free: position of the first zero entry below nr_blocks, else 0 entries seen.
 */
void refmap_to_bitmap(const struct refmap *m, uint64_t index, uint8_t bits[4080],
		      uint32_t *nr_used, uint32_t *first_free);

/* Counts of three and more, in ascending block order; fn < 0 stops. -ENOMEM or fn's return. */
int refmap_each_overflow(const struct refmap *m, int (*fn)(void *ctx, uint64_t b, uint32_t count),
			 void *ctx);

#endif
