/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Our deflate streams, read by zlib with the window of 4 KiB that readers of qcow2 have. */
#include <errno.h>
#include <zlib.h>

#include "base/units.h"
#include "random.h"
#include "tap.h"
#include "volume/compress/compress.h"
#include "volume/compress/deflate.h"
#include "volume/compress/huffman.h"

#define MAX_LEN DEFLATE_MAX_INPUT
#define STEP	1000 /* bytes that zlib may give out at once, so that it needs its window */
#define MARK	0xa5

static uint8_t in[MAX_LEN], out[MAX_LEN + 1024], back[MAX_LEN];

/* Bytes by chance of a few values, runs, and repetitions from near and far: also 4095, 4096 and 4097. */
static void fill(size_t len)
{
	uint32_t values = 1 + rnd(256), literals = rnd(12), n, distance;
	size_t at = 0;

	while (at < len) {
		n = 1 + rnd(rnd(8) ? 20 : 600);
		n = MIN(n, (uint32_t)(len - at));
		distance = rnd(4) ? 1 + rnd(5000) : rnd(4) ? 4094 + rnd(4) : 1;
		for (; n; n--, at++)
			in[at] = rnd(12) < literals || distance > at ? (uint8_t)(rnd(values) * 37)
								     : in[at - distance];
	}
}

static void read_back(size_t packed, size_t len)
{
	z_stream z = { 0 };
	int r = Z_OK;

	check(inflateInit2(&z, -12) == Z_OK);
	z.next_in = out;
	z.avail_in = (uInt)packed;
	z.next_out = back;
	while (r == Z_OK) {
		z.avail_out = (uInt)MIN(len - z.total_out, (size_t)STEP);
		r = inflate(&z, Z_SYNC_FLUSH);
		if (r == Z_BUF_ERROR && z.total_out < len)
			break;
	}
	if (r != Z_STREAM_END)
		printf("# %zu bytes: %d %s after %lu\n", len, r, z.msg ? z.msg : "", z.total_out);
	check(r == Z_STREAM_END);
	check_eq(z.total_out, len);
	check_eq(z.avail_in, 0);
	inflateEnd(&z);
	check(!memcmp(in, back, len));
}

static void one(struct deflate *d, size_t len)
{
	size_t packed = deflate_compress(d, in, len, out, sizeof(out)), room;

	check(packed && packed <= len + len / 16384 * 5 + 64);
	read_back(packed, len);
	room = rnd(4) ? rnd((uint32_t)packed + 40) : packed - rnd(20) % packed;
	memset(out, MARK, sizeof(out));
	packed = deflate_compress(d, in, len, out, room);
	check(packed <= room);
	for (size_t i = room; i < sizeof(out); i++)
		check(out[i] == MARK);
	if (packed)
		read_back(packed, len);
}

static void random_bytes(void)
{
	static const size_t lengths[] = { 0,   1,   2,	  3,	4,    5,     257,
					  258, 259, 4095, 4096, 4097, 65536, MAX_LEN };
	struct deflate *d = deflate_new();
	uint64_t rounds = env("ROUNDS", 300);
	size_t len;

	check(d);
	rnd_begin_any();
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		fill(lengths[i]);
		one(d, lengths[i]);
	}
	for (; rounds; rounds--) {
		len = rnd(8) ? 65536 : rnd(MAX_LEN);
		fill(len);
		one(d, len);
	}
	deflate_free(d);
}

static void incompressible(void)
{
	struct deflate *d = deflate_new();

	check(d);
	rnd_begin_any();
	for (size_t i = 0; i < 65536; i++)
		in[i] = (uint8_t)rnd(256);
	check_eq(deflate_compress(d, in, 65536, out, 65535), 0);
	/* only one half can be compressed: the output is little more than the other half */
	memset(in + 32768, 0, 32768);
	check(deflate_compress(d, in, 65536, out, 65535) < 33500);
	deflate_free(d);
}

static size_t zlib_length(const uint8_t *bytes, size_t len)
{
	z_stream z = { 0 };
	size_t n;

	check(deflateInit2(&z, 6, Z_DEFLATED, -12, 9, 0) == Z_OK);
	z.next_in = (Bytef *)(uintptr_t)bytes;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = sizeof(out);
	check(deflate(&z, Z_FINISH) == Z_STREAM_END);
	n = z.total_out;
	deflateEnd(&z);
	return n;
}

/* A program's own bytes, in clusters: what images are full of. */
static void as_small_as_zlib(void)
{
	struct deflate *d = deflate_new();
	FILE *f = fopen("/proc/self/exe", "rb");
	size_t ours = 0, theirs = 0, n;

	if (!f)
		skip("/proc/self/exe is not there");
	check(d);
	while ((n = fread(in, 1, 65536, f)) == 65536) {
		theirs += zlib_length(in, n);
		ours += deflate_compress(d, in, n, out, sizeof(out));
	}
	fclose(f);
	printf("# %zu bytes, zlib %zu\n", ours, theirs);
	check(ours <= theirs + theirs / 100);
	deflate_free(d);
}

/* Fibonacci's numbers make the deepest trees. */
static void codes(void)
{
	struct huffman_code code;
	uint32_t count[HUFFMAN_MAX], fibonacci[2];
	unsigned max, nr, used;

	rnd_begin_any();
	for (int round = 0; round < 2000; round++) {
		bool deep = rnd(2);

		max = rnd(2) ? 7 : 15;
		nr = max == 7 ? 19 : 286;
		fibonacci[0] = fibonacci[1] = 1;
		memset(count, 0, sizeof(count));
		for (unsigned i = 0, n = rnd(nr + 1); i < n; i++) {
			count[rnd(nr)] =
				deep && fibonacci[1] < 20000 ? fibonacci[1] : rnd(1 + rnd(200));
			fibonacci[1] += fibonacci[0];
			fibonacci[0] = fibonacci[1] - fibonacci[0];
		}
		huffman_make(&code, count, nr, max);
		used = 0;
		for (unsigned i = 0; i < nr; i++) {
			check(code.length[i] <= max && (code.length[i] || !count[i]));
			used += code.length[i] ? 1u << (max - code.length[i]) : 0;
			for (unsigned k = 0; k < nr; k++)
				check(count[i] <= count[k] || !count[k] ||
				      code.length[i] <= code.length[k]);
		}
		check_eq(used, 1u << max);
	}
}

/* A stored block of @len bytes. */
static size_t put_stored(uint8_t *p, unsigned len, bool last)
{
	p[0] = last;
	p[1] = (uint8_t)len;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)~p[1];
	p[4] = (uint8_t)~p[2];
	memcpy(p + 5, in, len);
	return len + 5;
}

static void damaged_streams(void)
{
	uint8_t *behind = out + 517;

	memset(in, 'x', 512);
	check_eq(put_stored(out, 512, true), 517);
	check_eq(decompress(COMPRESS_DEFLATE, out, 517, back, 512), 0);
	check(!memcmp(in, back, 512));
	/* bytes of other clusters follow, or a part of the stream that the cluster has no room for */
	memset(behind, 7, 100);
	check_eq(decompress(COMPRESS_DEFLATE, out, 617, back, 512), 0);
	put_stored(out, 512, false);
	put_stored(behind, 10, true);
	check_eq(decompress(COMPRESS_DEFLATE, out, 532, back, 512), 0);
	/* a block of no kind, before the cluster's end and behind it */
	*behind = 7;
	check(decompress(COMPRESS_DEFLATE, out, 532, back, 512) == -EUCLEAN);
	out[0] = 7;
	check(decompress(COMPRESS_DEFLATE, out, 532, back, 512) == -EUCLEAN);
	/* it ends too soon, or is cut */
	put_stored(out, 511, true);
	check(decompress(COMPRESS_DEFLATE, out, 516, back, 512) == -EUCLEAN);
	put_stored(out, 512, true);
	check(decompress(COMPRESS_DEFLATE, out, 500, back, 512) == -EUCLEAN);
}

static void damaged_frames(void)
{
	struct compressor *c = compression_is_linked(COMPRESS_ZSTD) ? compressor_new(COMPRESS_ZSTD) : NULL;
	size_t len;

	if (!c)
		skip("this program has no libzstd");
	memset(in, 'x', 512);
	len = compressor_run(c, in, 512, out, 511);
	check(len);
	check_eq(decompress(COMPRESS_ZSTD, out, len + 100, back, 512), 0);
	check(!memcmp(in, back, 512));
	/* longer, shorter, cut, and no frame */
	check(decompress(COMPRESS_ZSTD, out, len, back, 511) == -EUCLEAN);
	check(decompress(COMPRESS_ZSTD, out, len, back, 513) == -EUCLEAN);
	check(decompress(COMPRESS_ZSTD, out, len - 1, back, 512) == -EUCLEAN);
	out[0] ^= 1;
	check(decompress(COMPRESS_ZSTD, out, len, back, 512) == -EUCLEAN);
	compressor_free(c);
}

/* Also where the last bits alone have no room. */
static void each_room(void)
{
	struct deflate *d = deflate_new();

	for (size_t len = 0; len < 400; len += 1 + rnd(60)) {
		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)rnd(len % 2 ? 256 : 9);
		for (size_t room = 0, packed = 0; !packed; room++) {
			memset(out, MARK, room + 64);
			packed = deflate_compress(d, in, len, out, room);
			check(packed <= room && room < len + 64);
			for (size_t i = room; i < room + 64; i++)
				check(out[i] == MARK);
			if (packed)
				read_back(packed, len);
		}
	}
	deflate_free(d);
}

static const struct test tests[] = {
	{ "what is compressed comes back through a window of 4 KiB, and stays within its room",
	  random_bytes },
	{ "nothing is written past the end, wherever the room ends", each_room },
	{ "bytes by chance do not fit into less, and those beside them are compressed",
	  incompressible },
	{ "a program is no larger than zlib makes it", as_small_as_zlib },
	{ "codes are complete, within their limit, and shorter for what is more frequent", codes },
	{ "a stream that is damaged, cut or too short for its cluster is damage", damaged_streams },
	{ "a zstd frame that is damaged, cut or not as long as its cluster is damage", damaged_frames },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
