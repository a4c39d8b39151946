/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The format gives instructions, not rules for using them.  These pay off: keys and block numbers
 * as differences (mostly runs of equal ones), the 40 bits of data block apart from the 24 bits of
 * time, and plain bytes for the rest.  A number without a near neighbour is set afresh rather than
 * as a difference of the same width: then the instruction byte is always the same, and deflate's
 * codes for it get shorter.
 *
 * A block that looks like a node is coded as one, even with a bad checksum: the instructions give
 * back exactly its bytes in any case.
 */
#include <string.h>

#include "pdata/block/format.h"
#include "pool/pack/impl.h"

enum tag {
	TAG_SET,
	TAG_ADD_SMALL,
	TAG_ADD,
	TAG_SUB_SMALL,
	TAG_SUB,
	TAG_SAME,
	TAG_SAME_LONG,
	TAG_REPEAT,
	TAG_REPEAT_LONG,
	TAG_LITERAL,
	TAG_LITERAL_LONG,
	TAG_SHIFTED,
};

#define SMALL_MAX 15
#define COUNT_MAX 4095
#define NUMBERS_MAX ((MBLOCK_SIZE - sizeof(struct disk_node_header)) / 8)
/* header, keys, highs and lows, all at nine bytes a number, and the tail: never more */
#define ROOM (16 + 3 * 9 * NUMBERS_MAX + 2 * MBLOCK_SIZE)

static uint8_t *put_tag(uint8_t *p, enum tag tag, unsigned n)
{
	*p = (uint8_t)(tag << 4 | n);
	return p + 1;
}

static uint8_t *put_le(uint8_t *p, uint64_t v, unsigned width)
{
	le64 le = le64_make(v);

	memcpy(p, &le, width);
	return p + width;
}

static unsigned width_of(uint64_t v)
{
	return v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
}

static uint8_t *put_wide(uint8_t *p, enum tag tag, uint64_t v)
{
	unsigned w = width_of(v);

	return put_le(put_tag(p, tag, w), v, w);
}

/* @short_tag or its long form, which is the tag after it; @count <= COUNT_MAX. */
static uint8_t *put_count(uint8_t *p, enum tag short_tag, size_t count)
{
	if (count <= SMALL_MAX)
		return put_tag(p, short_tag, (unsigned)count);
	p = put_tag(p, (enum tag)(short_tag + 1), (unsigned)(count >> 8));
	*p = (uint8_t)count;
	return p + 1;
}

/* From @base to @v, once. */
static uint8_t *put_step(uint8_t *p, uint64_t base, uint64_t v, bool repeated)
{
	uint64_t up = v - base, down = base - v, by = MIN(up, down);

	if (by <= SMALL_MAX)
		return put_tag(p, up <= down ? TAG_ADD_SMALL : TAG_SUB_SMALL, (unsigned)by);
	if (!repeated && width_of(v) <= width_of(by))
		return put_wide(p, TAG_SET, v);
	return put_wide(p, up <= down ? TAG_ADD : TAG_SUB, by);
}

/* @nr numbers, 1 <= nr <= COUNT_MAX. */
static uint8_t *put_numbers(uint8_t *p, const uint64_t *v, size_t nr)
{
	size_t i, n;

	p = put_wide(p, TAG_SET, v[0]);
	for (i = 1; i < nr; i += n) {
		uint64_t step = v[i] - v[i - 1];

		for (n = 1; i + n < nr && v[i + n] - v[i + n - 1] == step; n++)
			;
		if (!step) {
			p = put_count(p, TAG_SAME, n);
			continue;
		}
		if (n > 1)
			p = put_count(p, TAG_REPEAT, n);
		p = put_step(p, v[i - 1], v[i], n > 1);
	}
	return p;
}

static uint8_t *put_literal(uint8_t *p, const void *from, size_t len)
{
	if (!len)
		return p;
	p = len <= SMALL_MAX ? put_tag(p, TAG_LITERAL, (unsigned)len) :
			       put_wide(p, TAG_LITERAL_LONG, len);
	memcpy(p, from, len);
	return p + len;
}

/* @nr numbers, at least one. */
static void read_numbers(uint64_t *v, const uint8_t *from, size_t nr)
{
	le64 le;
	size_t i = 0;

	do {
		memcpy(&le, from + i * 8, 8);
		v[i] = le64_get(le);
	} while (++i < nr);
}

static uint8_t *put_shifted(uint8_t *p, const uint64_t *v, size_t nr)
{
	uint64_t part[NUMBERS_MAX];
	size_t i = 0;

	p = put_tag(p, TAG_SHIFTED, (unsigned)(nr >> 8));
	*p++ = (uint8_t)nr;
	do
		part[i] = v[i] >> 24;
	while (++i < nr);
	p = put_numbers(p, part, nr);
	for (i = 0; i < nr; i++)
		part[i] = v[i] & 0xffffff;
	return put_numbers(p, part, nr);
}

/* Values that are numbers of eight bytes, as mappings or as blocks; other values are bytes. */
static uint8_t *put_values(uint8_t *p, const uint8_t *from, size_t nr, bool leaf)
{
	uint64_t v[NUMBERS_MAX];

	read_numbers(v, from, nr);
	return leaf ? put_shifted(p, v, nr) : put_numbers(p, v, nr);
}

static bool looks_like_node(const struct disk_node *n)
{
	uint32_t flags = le32_get(n->h.flags), max = le32_get(n->h.max_entries);
	uint32_t size = le32_get(n->h.value_size);

	return (flags == NODE_LEAF || flags == NODE_INTERNAL) && max && max <= NUMBERS_MAX &&
	       size <= MBLOCK_SIZE && (size_t)max * (8 + size) <= MBLOCK_SIZE - sizeof(n->h);
}

static uint8_t *put_node(uint8_t *p, const struct disk_node *n)
{
	const uint8_t *block = (const uint8_t *)n, *values;
	uint32_t max = le32_get(n->h.max_entries), size = le32_get(n->h.value_size);
	uint64_t keys[NUMBERS_MAX];

	p = put_literal(p, n, sizeof(n->h));
	read_numbers(keys, block + sizeof(n->h), max);
	p = put_numbers(p, keys, max);
	values = block + sizeof(n->h) + (size_t)max * 8;
	if (size == 8)
		p = put_values(p, values, max, le32_get(n->h.flags) == NODE_LEAF);
	else
		p = put_literal(p, values, (size_t)max * size);
	values += (size_t)max * size;
	return put_literal(p, values, (size_t)(block + MBLOCK_SIZE - values));
}

size_t pack_encode(mblock_t nr, const void *block, uint8_t *out)
{
	uint8_t buf[ROOM], *p = put_le(buf, nr, 8);

	if (looks_like_node(block))
		p = put_node(p, block);
	if (p == buf + 8 || p > buf + PACK_RECORD_MAX)
		p = put_literal(buf + 8, block, MBLOCK_SIZE);
	memcpy(out, buf, (size_t)(p - buf));
	return (size_t)(p - buf);
}
