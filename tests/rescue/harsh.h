/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef HARSH_H
#define HARSH_H
/* Kinds of damage that take more than a block, and pools made for them. */
#include "rescue.h"

#define HISTORY 6

/* The images of a pool after its last commits, the newest last; none for pools from files. */
struct history {
	uint8_t *state[HISTORY];
	uint8_t *later; /* of a commit that was not completed, as if it had been; or NULL */
	uint32_t nr, nr_blocks;
	bool with_snapshots;
};

enum story_kind {
	STORY_USUAL,
	STORY_HERD, /* with many devices that nobody writes to */
	STORY_ANEW, /* in the end written anew, as thin_restore does; some are used on */
	STORY_CRASH, /* ends within a commit: the superblock is that before, of the new blocks all or some are there */
};
/*
 * @many: the mappings of a device that is made first, 0: none; @index_first: commits write a bitmap behind the metadata map's index
 * block, as those of version 1.0.0 did.
 */
void fresh_pool(struct pool *p, struct history *h, uint64_t seed, uint32_t many, enum story_kind kind, bool index_first);
void history_free(struct history *h);

struct harm {
	struct rng rng;
	const struct pool *pool, *other; /* other: a pool that the device held before, for its leftovers */
	const struct history *history;
	uint8_t *image;
	uint32_t nr_blocks; /* of the image: less than the pool's when it was cut, more when it was extended */
	uint32_t
		older; /* another state of the history that is right as well: its index + 1, or 0 */
};

/*
 * Proves that the damaged image cannot tell which mappings the pool had: makes another healthy pool that differs
 * from it in nothing but blocks that the damage changed.  What differs in it, or NULL when none is found.
 */
const char *other_pool(const struct harm *h);

/* The same where the image is itself such a pool, so that it must be called whole. */
bool is_other_pool(const struct harm *h);

/* Does an older state that has not the @same mappings stand in the image of @p? */
bool other_standing(const struct pool *p, bool (*same)(const struct pool *, const struct pool *));

/*
 * Is a damaged @image of @p, of the same size, itself a healthy pool without @same mappings, in which not even a
 * block outside of the trees tells of a later state?
 */
bool other_itself(const struct pool *p, uint8_t *image,
		  bool (*same)(const struct pool *, const struct pool *));

struct kind {
	const char *name;
	/* Damages the image; false when this pool cannot be damaged so. */
	bool (*harm)(struct harm *h);
};
extern const struct kind kinds[];
extern const int nr_kinds;
extern const struct kind more_kinds[]; /* -x */
extern const int nr_more_kinds;
extern const struct kind device_kinds[]; /* -y */
extern const int nr_device_kinds;
extern const struct kind sealed_kinds[]; /* -z */
extern const int nr_sealed_kinds;
extern const struct kind stale_kinds[]; /* -w */
extern const int nr_stale_kinds;

/* A block that the pool uses. */
uint32_t harm_live_block(struct harm *h);

/* Block @b of the image. */
static inline uint8_t *harm_at(const struct harm *h, uint32_t b)
{
	return h->image + (size_t)b * 4096;
}

/* Is block @b free, whatever it holds? */
static inline bool is_unused(const struct pool *p, uint32_t b)
{
	return !p->roles[b] || p->roles[b] == 1 << ROLE_FREE;
}

#endif
