/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a program or a computer with a fault wrote: contents that are wrong, with the checksums and numbers that are right for them. */
#include <string.h>

#include "base/le.h"
#include "harsh.h"
#include "pdata/block/csum.h"

/* Gives the content at @b, which had the checksum of @kind, its number and its checksum. */
static void seal(struct harm *h, uint32_t b, enum csum_kind kind)
{
	static const enum csum_salt salt[] = {
		[CSUM_IS_SUPERBLOCK] = SALT_SUPERBLOCK,
		[CSUM_IS_NODE] = SALT_NODE,
		[CSUM_IS_BITMAP] = SALT_BITMAP,
		[CSUM_IS_INDEX] = SALT_INDEX,
	};

	csum_seal(harm_at(h, b), b, salt[kind]);
}

static bool is_sealed(enum csum_kind kind)
{
	return kind >= CSUM_IS_SUPERBLOCK && kind <= CSUM_IS_INDEX;
}

/* A block in use whose checksum is right; *kind: whose it is.  0 is the superblock, too. */
static uint32_t sealed_block(struct harm *h, enum csum_kind *kind)
{
	uint32_t b = harm_live_block(h);

	*kind = csum_classify(harm_at(h, b), NULL);
	if (!is_sealed(*kind)) {
		b = 0;
		*kind = csum_classify(harm_at(h, 0), NULL);
	}
	return b;
}

static bool exchanged_contents(struct harm *h)
{
	enum csum_kind of_a, of_b;
	const uint32_t a = sealed_block(h, &of_a), b = sealed_block(h, &of_b);
	uint8_t kept[4096];

	if (a == b || !is_sealed(of_a) || !is_sealed(of_b))
		return false;
	memcpy(kept, harm_at(h, a), sizeof(kept));
	memcpy(harm_at(h, a), harm_at(h, b), sizeof(kept));
	memcpy(harm_at(h, b), kept, sizeof(kept));
	seal(h, a, of_b);
	seal(h, b, of_a);
	return true;
}

/* A place of the block in which it has something: eight bytes that are not zero. */
static uint8_t *word_of(struct harm *h, uint32_t b)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint8_t *word = harm_at(h, b) + 16 + 8 * below(&h->rng, 4080 / 8);

		if (le64_get(*(const le64 *)word))
			return word;
	}
	return NULL;
}

static bool flipped_before(struct harm *h)
{
	enum csum_kind kind;
	const uint32_t b = sealed_block(h, &kind);
	uint8_t *word = is_sealed(kind) ? word_of(h, b) : NULL;

	if (word) {
		word[below(&h->rng, 8)] ^= (uint8_t)(1 << below(&h->rng, 8));
		seal(h, b, kind);
	}
	return word;
}

/* A word has the value of another one, of this block or of another. */
static bool copied_word(struct harm *h)
{
	enum csum_kind kind, ignored;
	const uint32_t b = sealed_block(h, &kind), from = below(&h->rng, 2) ? b : sealed_block(h, &ignored);
	uint8_t *word = is_sealed(kind) ? word_of(h, b) : NULL, *other = word_of(h, from);

	if (!word || !other || !memcmp(word, other, 8))
		return false;
	memcpy(word, other, 8);
	seal(h, b, kind);
	return true;
}

/* A word is the number of a block in use: a pointer that leads elsewhere. */
static bool wrong_pointer(struct harm *h)
{
	enum csum_kind kind;
	const uint32_t b = sealed_block(h, &kind);

	if (!is_sealed(kind))
		return false;
	for (int tries = 0; tries < 1000; tries++) {
		uint8_t *word = word_of(h, b);

		if (word && le64_get(*(const le64 *)word) < h->nr_blocks) {
			*(le64 *)word = le64_make(harm_live_block(h));
			seal(h, b, kind);
			return true;
		}
	}
	return false;
}

/* Several of these. */
static bool several(struct harm *h)
{
	static bool (*const harm[])(struct harm *h) = { exchanged_contents, flipped_before, copied_word, wrong_pointer };
	bool any = false;

	for (uint32_t i = 2 + below(&h->rng, 3); i--;)
		any |= harm[below(&h->rng, sizeof(harm) / sizeof(harm[0]))](h);
	return any;
}

/* One of these, and one of the usual kinds. */
static bool with_usual(struct harm *h)
{
	const bool any = several(h);

	return kinds[below(&h->rng, (uint32_t)nr_kinds)].harm(h) || any;
}

const struct kind sealed_kinds[] = {
	{ "exchanged, sealed", exchanged_contents }, { "bit flip, sealed", flipped_before }, { "copied word, sealed", copied_word },
	{ "pointer, sealed", wrong_pointer },	     { "several, sealed", several },	      { "sealed and usual", with_usual },
};
const int nr_sealed_kinds = sizeof(sealed_kinds) / sizeof(sealed_kinds[0]);
