/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Runs the instructions of a packed block.  Believes nothing: every read and write is bounded. */
#include <string.h>

#include "base/cpu.h"
#include "base/u64x4.h"
#include "pdata/block/format.h"
#include "pool/pack/impl.h"

/* Built for CPUs with AVX2, and for others. */
#define INLINE inline __attribute__((always_inline))

struct coder {
	const uint8_t *in, *end;
	uint64_t base;
	const char *fault;
};

/* What becomes of a number: eight bytes, their upper 40 bits, or their lower 24 beside these. */
enum part { WHOLE, HIGH, LOW };

/* Where numbers go: @nr of at most @max so far. */
struct numbers {
	uint8_t *to; /* of any alignment */
	size_t nr, max;
	enum part part;
};

static bool fail(struct coder *c, const char *fault)
{
	c->fault = fault;
	return false;
}

static bool get_le(struct coder *c, unsigned width, uint64_t *v)
{
	le64 le = { 0 };

	if (width != 1 && width != 2 && width != 4 && width != 8)
		return fail(c, "a number of impossible width");
	if ((size_t)(c->end - c->in) < width)
		return fail(c, "the record ends too early");
	memcpy(&le, c->in, width);
	c->in += width;
	*v = le64_get(le);
	return true;
}

static INLINE void put(uint8_t *to, enum part part, uint64_t v)
{
	le64 le = le64_make(part == HIGH ? v << 24 : v);

	if (part == LOW) {
		memcpy(&le, to, sizeof(le));
		le = le64_make(le64_get(le) | (v & 0xffffff));
	}
	memcpy(to, &le, sizeof(le));
}

/* How numbers are put: known where functions are built, so that nothing asks at run time. */
struct how {
	enum part part;
	bool wide; /* in vectors of four */
};

typedef uint64_t u64x2 __attribute__((vector_size(16)));

static INLINE void put_pair(uint8_t *to, u64x2 v)
{
	v = (u64x2) { htole64(v[0]), htole64(v[1]) };
	memcpy(to, &v, sizeof(v));
}

/* @first, @first + @step and so on, @nr of them, which four divides. */
static INLINE void put_fours(struct how how, uint8_t *to, uint64_t first, uint64_t step, size_t nr)
{
	u64x4 four = { first, first + step, first + 2 * step, first + 3 * step };
	u64x2 two = { first, first + step };

	if (how.wide) {
#pragma GCC unroll 8
		for (size_t i = 0; i < nr; i += 4, four += 4 * step)
			u64x4_store(to + i * 8, &four);
		return;
	}
#pragma GCC unroll 8
	for (size_t i = 0; i < nr; i += 4, two += 4 * step) {
		put_pair(to + i * 8, two);
		put_pair(to + i * 8 + 16, two + 2 * step);
	}
}

/* Sets the lower bits of @count numbers. */
static INLINE void fill_low(uint8_t *to, uint64_t first, uint64_t by, size_t count)
{
	const u64x2 bits = { htole64(first & 0xffffff), htole64(first & 0xffffff) };
	u64x2 v;

	for (; !by && count >= 2; count -= 2, to += 16) {
		memcpy(&v, to, sizeof(v));
		v |= bits;
		memcpy(to, &v, sizeof(v));
	}
	for (; count; count--, to += 8, first += by)
		put(to, LOW, first);
}

#define FEW 16

/* @first, @first + @by and so on, @count of them, at most @room, which all will be put. */
static INLINE void fill(struct how how, uint8_t *to, uint64_t first, uint64_t by, size_t count,
			size_t room)
{
	/* shifted, the sums stay sums; of lower bits this is not true */
	const unsigned shift = how.part == HIGH ? 24 : 0;
	size_t fours = count & ~(size_t)3;

	if (how.part == LOW) {
		/* most pools have no snapshots, and no bits to set */
		if (by || first & 0xffffff)
			fill_low(to, first, by, count);
		return;
	}
	/*
	 * How many there are cannot be predicted where runs are short, so no branch depends on it.
	 * What follows overwrites the rest.
	 */
	if (count <= FEW && room >= FEW) {
		put_fours(how, to, first << shift, by << shift, FEW);
		return;
	}
	put_fours(how, to, first << shift, by << shift, fours);
	for (first += fours * by; fours < count; fours++, first += by)
		put(to + fours * 8, how.part, first);
}

static bool put_run(struct coder *c, struct numbers *out, uint64_t first, uint64_t by,
		    uint64_t count)
{
	uint8_t *to = out->to + out->nr * 8;

	if (count > out->max - out->nr)
		return fail(c, "more numbers than there is room for");
	fill((struct how) { .part = out->part }, to, first, by, count, out->max - out->nr);
	out->nr += count;
	return true;
}

/* Tags 0 to 4, done @times: the base is set, raised or lowered, and given each time. */
static bool step(struct coder *c, unsigned tag, unsigned n, uint64_t times, struct numbers *out)
{
	uint64_t v = n, base = c->base;

	if (tag > 4)
		return fail(c, "an instruction that cannot be repeated");
	if (tag % 2 == 0 && !get_le(c, n, &v))
		return false;
	if (tag == 0) {
		base = v;
		v = 0;
	} else if (tag > 2) {
		v = -v;
	}
	if (!put_run(c, out, base + v, v, times))
		return false;
	if (times)
		c->base = base + times * v;
	return true;
}

static bool get_tag(struct coder *c, unsigned *tag, unsigned *n)
{
	if (c->in == c->end)
		return fail(c, "the record ends too early");
	*tag = *c->in >> 4;
	*n = *c->in++ & 15;
	return true;
}

/* One instruction that gives numbers: tags 0 to 8. */
static bool number_instruction(struct coder *c, unsigned tag, unsigned n, struct numbers *out)
{
	uint64_t count = n, low;

	if (tag == 6 || tag == 8) {
		if (!get_le(c, 1, &low))
			return false;
		count = (uint64_t)n << 8 | low;
	}
	if (tag == 5 || tag == 6)
		return put_run(c, out, c->base, 0, count);
	if (tag == 7 || tag == 8)
		return get_tag(c, &tag, &n) && step(c, tag, n, count, out);
	return step(c, tag, n, 1, out);
}

#define LONGEST (2 + 1 + 8) /* bytes of an instruction that gives numbers */

/*
 * One of tags 0 to 4 at @in.  Which it is cannot be predicted where blocks lie scattered, so no
 * branch depends on it.  False: none of them, or a wrong width.
 */
static INLINE bool read_step(const uint8_t **in, uint64_t *base, uint64_t *step)
{
	static const uint64_t mask[16] = {
		[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = UINT64_MAX
	};
	unsigned tag = **in >> 4, n = **in & 15;
	uint64_t wide = -(uint64_t)(~tag & 1), negative = -(uint64_t)(tag > 2), by;
	le64 le;

	if (tag > 4 || !(mask[n] | ~wide))
		return false;
	memcpy(&le, *in + 1, sizeof(le));
	by = (le64_get(le) & mask[n] & wide) | (n & ~wide);
	*base &= -(uint64_t)(tag > 0);
	*step = (by ^ negative) - negative;
	*in += 1 + (n & wide);
	return true;
}

/* Four times "set to a number of 4 bytes", which is most of a pool whose blocks lie scattered. */
static INLINE bool read_four(const uint8_t **in, enum part part, uint8_t *to, uint64_t *base)
{
	const uint8_t *p = *in;
	le32 le[4];

	if ((p[0] ^ 4) | (p[5] ^ 4) | (p[10] ^ 4) | (p[15] ^ 4))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		memcpy(&le[i], p + 1 + i * 5, sizeof(le[i]));
		put(to + i * 8, part, le32_get(le[i]));
	}
	*base = le32_get(le[3]);
	*in += 20;
	return true;
}

static INLINE bool two_small_steps(const uint8_t *p)
{
	return !(((p[0] ^ 0x10) | (p[1] ^ 0x10)) & 0xf0);
}

/*
 * The first of the two small steps at *@in is done @count times, the second once.  How many numbers that
 * gives; 0, and nothing is read: @count is 0 or more than @most, or there is no room to put @most and one.
 */
static INLINE size_t put_small_steps(struct how how, const uint8_t **in, size_t count, size_t most,
				     uint8_t *to, size_t room, uint64_t *base)
{
	const unsigned shift = how.part == HIGH ? 24 : 0;
	const uint64_t by = **in & 15;

	if (count - 1 >= most || room <= most)
		return 0;
	put_fours(how, to, (*base + by) << shift, by << shift, most);
	*base += count * by + ((*in)[1] & 15);
	put(to + count * 8, how.part, *base);
	*in += 2;
	return count + 1;
}

/*
 * "So many times a small step up", then one more such step, which is most of a pool with short runs.
 * Where such runs follow one another the branches can be predicted, and the CPU begins with the next run
 * before it has read how long this one is.  How many numbers, or 0.
 */
static INLINE size_t read_run(struct how how, const uint8_t **in, uint8_t *to, size_t room,
			      uint64_t *base)
{
	const uint8_t *p = *in, *steps = p + 1;
	size_t nr = 0;

	if (p[0] >> 4 == 7 && two_small_steps(steps)) {
		nr = put_small_steps(how, &steps, p[0] & 15, FEW, to, room, base);
	} else if (p[0] == 0x80 && two_small_steps(p + 2)) {
		steps = p + 2;
		nr = put_small_steps(how, &steps, p[1], 2 * FEW, to, room, base);
	}
	if (nr)
		*in = steps;
	return nr;
}

/*
 * Runs instructions that give numbers as long as any would fit into what is left of the input, they
 * are right, and there is room.  number_instruction() does the rest, and says what is wrong.
 */
static INLINE void run_part(struct how how, struct coder *c, struct numbers *out)
{
	const uint8_t *in = c->in, *p;
	uint64_t base = c->base, by;
	size_t nr = out->nr, count;
	unsigned two; /* bytes, not one */

	while (nr < out->max && c->end - in >= 2 * LONGEST) {
		uint8_t *to = out->to + nr * 8;
		unsigned tag = *in >> 4, n = *in & 15;

		if (out->max - nr >= 4 && read_four(&in, how.part, to, &base)) {
			nr += 4;
			continue;
		}
		count = how.part == LOW ? 0 : read_run(how, &in, to, out->max - nr, &base);
		if (count) {
			nr += count;
			continue;
		}
		if (read_step(&in, &base, &by)) {
			base += by;
			put(to, how.part, base);
			nr++;
			continue;
		}
		if (tag < 5 || tag > 8)
			break;
		p = in + 1;
		two = ~tag & 1;
		count = (uint64_t)n << 8 * two | (*p & -two);
		p += two;
		if (!count || count > out->max - nr)
			break;
		by = 0;
		if (tag > 6) {
			bool set = *p >> 4 == 0;

			if (!read_step(&p, &base, &by))
				break;
			base += by;
			by &= set - (uint64_t)1;
		}
		fill(how, to, base, by, count, out->max - nr);
		base += (count - 1) * by;
		in = p;
		nr += count;
	}
	out->nr = nr;
	c->in = in;
	c->base = base;
}

#define DEFINE_RUN_MANY(name, attributes, wide)                           \
	static attributes void name(struct coder *c, struct numbers *out) \
	{                                                                 \
		if (out->part == WHOLE)                                   \
			run_part((struct how) { WHOLE, wide }, c, out);   \
		else if (out->part == HIGH)                               \
			run_part((struct how) { HIGH, wide }, c, out);    \
		else                                                      \
			run_part((struct how) { LOW, wide }, c, out);     \
	}

DEFINE_RUN_MANY(run_many_plain, , false)
#ifdef __x86_64__
DEFINE_RUN_MANY(run_many_avx2, __attribute__((target("avx2"))), true)
#endif

static void run_many(struct coder *c, struct numbers *out)
{
#ifdef __x86_64__
	if (cpu_has(CPU_HAS_AVX2)) {
		run_many_avx2(c, out);
		return;
	}
#endif
	run_many_plain(c, out);
}

/* Exactly @nr numbers. */
static bool number_list(struct coder *c, uint8_t *to, size_t nr, enum part part)
{
	struct numbers out = { .to = to, .max = nr, .part = part };
	unsigned tag, n;

	for (;;) {
		run_many(c, &out);
		if (out.nr == nr)
			return true;
		if (!get_tag(c, &tag, &n))
			return false;
		if (tag > 8)
			return fail(c, "bytes where numbers should be");
		if (!number_instruction(c, tag, n, &out))
			return false;
	}
}

static bool shifted(struct coder *c, unsigned n, uint8_t *to, size_t room, size_t *done)
{
	uint64_t count;

	if (!get_le(c, 1, &count))
		return false;
	count |= (uint64_t)n << 8;
	if (count > room / 8)
		return fail(c, "more bytes than a block has");
	*done = count * 8;
	return number_list(c, to, count, HIGH) && number_list(c, to, count, LOW);
}

static bool literal(struct coder *c, unsigned tag, unsigned n, uint8_t *to, size_t room,
		    size_t *done)
{
	uint64_t len = n;

	if (tag == 10 && !get_le(c, n, &len))
		return false;
	if (len > room)
		return fail(c, "more bytes than a block has");
	if (len > (size_t)(c->end - c->in))
		return fail(c, "the record ends too early");
	memcpy(to, c->in, len);
	c->in += len;
	*done = len;
	return true;
}

/* Numbers as long as there are any, or one other instruction, which make *@done bytes of @room. */
static bool instructions(struct coder *c, uint8_t *to, size_t room, size_t *done)
{
	struct numbers out = { .to = to, .max = room / 8, .part = WHOLE };
	unsigned tag, n;

	run_many(c, &out);
	*done = out.nr * 8;
	if (*done)
		return true;
	if (!get_tag(c, &tag, &n))
		return false;
	if (tag == 11)
		return shifted(c, n, to, room, done);
	if (tag > 11)
		return fail(c, "an unknown instruction");
	if (tag >= 9)
		return literal(c, tag, n, to, room, done);
	if (!number_instruction(c, tag, n, &out))
		return false;
	*done = out.nr * 8;
	return true;
}

const char *pack_decode(const uint8_t **in, const uint8_t *end, mblock_t *nr, void *block)
{
	struct coder c = { .in = *in, .end = end };
	size_t at = 0, done;

	if (!get_le(&c, 8, nr))
		return c.fault;
	for (; at < MBLOCK_SIZE; at += done) {
		done = 0;
		if (!instructions(&c, (uint8_t *)block + at, MBLOCK_SIZE - at, &done))
			return c.fault;
	}
	*in = c.in;
	return NULL;
}
