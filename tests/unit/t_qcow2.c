/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Images written by our writer, read back by our reader, and judged by qemu-img where there is one. */
#include <errno.h>
#include <unistd.h>

#include "base/be.h"
#include "random.h"
#include "tap.h"
#include "volume/image/qcow2.h"
#include "volume/image/qcow2_format.h"
#include "volume/image/qcow2_read.h"

static struct io *temp(char *path, uint64_t size)
{
	struct io *io;
	int fd;

	snprintf(path, 100, "%s/t_qcow2.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(path);
	check(fd >= 0 && !ftruncate(fd, (off_t)size));
	io = io_file_new(fd, path, size, false);
	check(io);
	return io;
}

static enum compression compression = COMPRESS_DEFLATE;

/* 0: it does not become smaller than a cluster. */
static size_t pack(const uint8_t *data, size_t len, uint8_t *out)
{
	struct compressor *c = compressor_new(compression);
	size_t packed;

	check(c);
	packed = compressor_run(c, data, len, out, len - 1);
	compressor_free(c);
	return packed;
}

static void fill(uint8_t *p, size_t len)
{
	uint32_t kind = rnd(3);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(kind == 0 ? rnd(256) : kind == 1 ? i / 64 : rnd(3));
	p[0] |= 1;
}

/* Some clusters of data, of zeros, compressed, and none; @disk gets what must be read. */
static void write_random(struct qcow2_writer *w, uint8_t *disk, uint64_t nr, uint64_t cluster,
			 struct io *out, bool compress)
{
	uint8_t *packed = malloc(cluster);
	uint64_t k, n, host;
	size_t len;

	for (k = 0; k < nr; k += n) {
		n = 1 + rnd(rnd(4) ? 4 : 300);
		n = MIN(n, nr - k);
		switch (rnd(compress ? 6 : 3)) {
		case 0: break;
		case 1: check(!qcow2_zero(w, k * cluster, n, NULL)); break;
		case 2:
			check(!qcow2_alloc(w, k * cluster, n, &host, NULL));
			for (uint64_t i = 0; i < n; i++)
				fill(disk + (k + i) * cluster, cluster);
			check(!io_write(out, disk + k * cluster, n * cluster, host, NULL));
			break;
		default:
			n = 1;
			fill(disk + k * cluster, cluster);
			len = pack(disk + k * cluster, cluster, packed);
			if (len)
				check(!qcow2_compressed(w, k * cluster, packed, len, NULL));
			else
				memset(disk + k * cluster, 0, cluster);
		}
	}
	free(packed);
}

static void read_all(struct io *io, const uint8_t *disk, uint64_t size)
{
	struct qcow2_spot s;
	struct err err = { 0 };
	struct qcow2 q;
	uint8_t *got = malloc(size);
	uint64_t at;

	if (qcow2_open(io, &q, &err))
		printf("# %s\n", err.text);
	check_eq(q.size, size);
	for (at = 0; at < size; at += s.len) {
		if (qcow2_find(&q, at, &s, &err))
			printf("# %s\n", err.text);
		check(s.len && s.len <= size - at);
		memset(got, 0, s.len);
		if (s.kind == QCOW2_DATA || s.kind == QCOW2_COMPRESSED)
			check(!qcow2_read(&q, &s, got, s.len, at, &err));
		check(!memcmp(got, disk + at, s.len));
	}
	qcow2_close(&q);
	free(got);
}

static void judge(const char *path, const char *what)
{
	char command[300];

	if (system("command -v qemu-img >/dev/null"))
		return;
	snprintf(command, sizeof(command), "qemu-img check -q %s >&2", path);
	if (system(command)) {
		printf("# qemu-img check fails: %s\n", what);
		check(0);
	}
}

static void one_image(unsigned bits, uint64_t nr, bool compress)
{
	struct qcow2_create opt = { .size = nr << bits, .cluster_bits = bits };
	uint64_t cluster = UINT64_C(1) << bits, end;
	struct qcow2_writer *w;
	struct err err = { 0 };
	char path[100], what[100];
	uint8_t *disk = calloc(nr + 1, cluster);
	struct io *io = temp(path, 0);

	compression = opt.compression = rnd(2) && compression_is_linked(COMPRESS_ZSTD) ? COMPRESS_ZSTD : COMPRESS_DEFLATE;
	snprintf(what, sizeof(what), "%u bits, %llu clusters, compression %d", bits, (unsigned long long)nr,
		 (int)compression);
	check(disk && !qcow2_begin(io, &opt, &w, &err));
	write_random(w, disk, nr, cluster, io, compress);
	check(!qcow2_end(w, &end, &err));
	qcow2_free(w);
	check(!ftruncate(io->fd, (off_t)end));
	io->size = end;
	read_all(io, disk, opt.size);
	judge(path, what);
	unlink(path);
	io_free(io);
	free(disk);
}

static void written_and_read(void)
{
	rnd_begin_any();
	for (int i = 0; i < 12; i++)
		one_image(9, rnd(i % 2 ? 20000 : 500), i % 3);
	for (int i = 0; i < 6; i++)
		one_image(16 + rnd(4), 1 + rnd(60), i % 2);
	one_image(21, 3, true);
	one_image(16, 0, false);
}

/* An image of one data cluster, one compressed and one of zeros. */
static struct io *small(char *path, uint64_t *end, const char *backing, unsigned bits)
{
	const struct qcow2_create opt = { .size = 8ull << bits, .cluster_bits = bits, .backing = backing, .backing_format = "raw" };
	uint8_t *cluster = calloc(1, 65536), packed[65536];
	struct io *io = temp(path, 0);
	struct qcow2_writer *w;
	uint64_t host;
	size_t len;

	compression = COMPRESS_DEFLATE;
	memset(cluster, 7, 65536);
	len = pack(cluster, 1 << bits, packed);
	check(!qcow2_begin(io, &opt, &w, NULL) && !qcow2_alloc(w, 1 << bits, 1, &host, NULL));
	check(!io_write(io, cluster, 1 << bits, host, NULL) && !qcow2_compressed(w, 2 << bits, packed, len, NULL));
	check(!qcow2_zero(w, 5 << bits, 1, NULL) && !qcow2_end(w, end, NULL));
	check(!ftruncate(io->fd, (off_t)*end));
	io->size = *end;
	qcow2_free(w);
	free(cluster);
	return io;
}

struct field {
	uint64_t at;
	size_t len;
	uint64_t value;
};

/* Changes the @nr fields of the header, and wants @word in the message. */
static void refused_fields(const struct field *f, size_t nr, const char *word)
{
	char path[100];
	uint8_t raw[8];
	uint64_t end;
	struct io *io = small(path, &end, NULL, 16);
	struct err err = { 0 };
	struct qcow2 q;

	for (size_t i = 0; i < nr; i++) {
		be64_put(raw, f[i].value);
		check(!io_write(io, raw + 8 - f[i].len, f[i].len, f[i].at, NULL));
	}
	check(qcow2_open(io, &q, &err) < 0);
	if (!strstr(err.text, word))
		printf("# \"%s\" does not say \"%s\"\n", err.text, word);
	check(strstr(err.text, word));
	unlink(path);
	io_free(io);
}

static void refused(uint64_t at, size_t len, uint64_t value, const char *word)
{
	refused_fields(&(struct field){ at, len, value }, 1, word);
}

/* The file may have a name for what is not understood, in an extension behind others. */
static void names_of_features(void)
{
	const uint64_t names = HEADER_MADE + 16;
	struct field f[] = {
		{ H_INCOMPATIBLE, 8, 1 << 30 },
		{ HEADER_MADE, 8, UINT64_C(0x12345678) << 32 | 5 }, /* of an unknown kind, filled up to 8 */
		{ names, 8, (uint64_t)EXT_FEATURE_NAMES << 32 | 144 },
		{ names + 8, 8, UINT64_C(0x011e) << 48 | 0x7769736865 }, /* a compatible one */
		{ names + 56, 8, UINT64_C(0x001d) << 48 | 0x6f74686572 }, /* another bit */
		{ names + 104, 8, UINT64_C(0x001e) << 48 | 0x73687f0a7907 },
	};
	const struct field to_the_end[] = { f[0], { HEADER_MADE, 8, UINT64_C(0x12345678) << 32 | (65536 - HEADER_MADE - 8) } };

	refused_fields(f, ARRAY_SIZE(f), "feature 30 (sh??y?), which");
	f[5].value = UINT64_C(0x001f) << 48 | 0x7368696e79;
	refused_fields(f, ARRAY_SIZE(f), "feature 30 (without a name)");
	f[2].value = (uint64_t)EXT_FEATURE_NAMES << 32 | 0x7fffffff;
	refused_fields(f, ARRAY_SIZE(f), "feature 30 (without a name)");
	f[1].value = (uint64_t)EXT_FEATURE_NAMES << 32 | 8; /* too short for a name */
	f[2].value = 0;
	refused_fields(f, ARRAY_SIZE(f), "feature 30 (without a name)");
	refused_fields(to_the_end, 2, "feature 30 (without a name)"); /* extensions up to the cluster's end */
}

static void fields_together(void)
{
	refused_fields((struct field[]){ { H_INCOMPATIBLE, 8, 8 }, { H_COMPRESSION, 1, 2 } }, 2, "compressed in an unknown way");
	refused_fields((struct field[]){ { H_INCOMPATIBLE, 8, 8 }, { H_LEN, 4, H_LEN_V3 } }, 2, "compressed in an unknown way");
	refused_fields((struct field[]){ { H_SIZE, 8, UINT64_C(1) << 55 }, { H_L1_NR, 4, 1u << 27 } }, 2, "above the limit of 32 MiB");
	refused_fields((struct field[]){ { H_SIZE, 8, UINT64_C(8193) << 29 }, { H_L1_NR, 4, 8193 }, { H_L1_AT, 8, -65536ull } }, 3,
		       "L1 table outside of the file");
	refused_fields((struct field[]){ { H_BACKING_AT, 8, 200 }, { H_BACKING_LEN, 4, QCOW2_MAX_NAME + 1 } }, 2, "backing file's name");
	refused_fields((struct field[]){ { H_BACKING_AT, 8, 65537 }, { H_BACKING_LEN, 4, 1 } }, 2, "backing file's name");
	refused_fields((struct field[]){ { H_BACKING_AT, 8, 65530 }, { H_BACKING_LEN, 4, 7 } }, 2, "backing file's name");
	refused_fields((struct field[]){ { H_BACKING_AT, 8, 1000 }, { H_BACKING_LEN, 4, 7 } }, 2, "backing file's name"); /* zeros */
}

static void features(void)
{
	refused(H_MAGIC, 4, 1, "is not a qcow2 image");
	refused(H_CRYPT, 4, 1, "encrypted");
	refused(H_CRYPT, 4, 2, "encrypted");
	refused(H_INCOMPATIBLE, 8, 2, "marked corrupt");
	refused(H_INCOMPATIBLE, 8, 4, "external data file");
	refused(H_INCOMPATIBLE, 8, 16, "subclusters");
	refused(H_INCOMPATIBLE, 8, 1 << 30, "feature 30 (without a name)");
	refused(H_VERSION, 4, 1, "version 1");
	refused(H_CLUSTER_BITS, 4, 22, "impossible cluster size");
	refused(H_CLUSTER_BITS, 4, 8, "impossible cluster size");
	refused(H_SIZE, 8, UINT64_C(1) << 63, "size");
	refused(H_SIZE, 8, UINT64_C(1) << 50, "L1 table");
	refused(H_REFTABLE_AT, 8, UINT64_C(1) << 30, "refcount table");
	refused(H_L1_AT, 8, UINT64_C(1) << 40, "L1 table");
	refused(H_L1_AT, 8, 65537, "L1 table outside of the file or between clusters");
	refused(H_REFTABLE_AT, 8, 65537, "refcount table");
	refused(H_REFTABLE_AT, 8, -65536ull, "refcount table");
	refused(H_LEN, 4, 100, "length");
	refused(H_LEN, 4, 65544, "length");
	refused(HEADER_MADE, 8, (uint64_t)EXT_BACKING_FORMAT << 32 | 64, "too long a name of the backing file's format");
	refused(HEADER_MADE, 8, UINT64_C(0xe2792aca) << 32 | 0x7fffffff, "extension");
}

static void truncations(unsigned bits, uint64_t step)
{
	char path[100];
	uint64_t end, cut, at;
	struct io *io = small(path, &end, NULL, bits);
	struct qcow2_spot s;
	struct qcow2 q;
	bool opened;
	int r;

	for (cut = end - step; cut; cut -= step) {
		io->size = cut;
		r = qcow2_open(io, &q, NULL);
		opened = !r;
		for (at = 0; !r && at < q.size; at += s.len)
			r = qcow2_find(&q, at, &s, NULL);
		if (r == 0)
			printf("# cut at %llu of %llu is not noticed\n", (unsigned long long)cut,
			       (unsigned long long)end);
		check(r);
		if (opened)
			qcow2_close(&q);
	}
	unlink(path);
	io_free(io);
}

static void every_truncation(void)
{
	truncations(9, 1);
	truncations(16, 512);
}

static void backing_names(void)
{
	char path[100], longest[QCOW2_MAX_NAME + 2];
	uint64_t end;
	struct io *io;
	struct qcow2 q;

	memset(longest, 'x', sizeof(longest));
	longest[QCOW2_MAX_NAME] = 0;
	check(!qcow2_check_backing(longest, NULL));
	io = small(path, &end, longest, 16);
	check(!qcow2_open(io, &q, NULL));
	check_str(q.backing, longest);
	check_str(q.backing_format, "raw");
	qcow2_close(&q);
	unlink(path);
	io_free(io);
	longest[QCOW2_MAX_NAME] = 'x';
	longest[QCOW2_MAX_NAME + 1] = 0;
	check(qcow2_check_backing(longest, NULL) == -EDOM);
	check(qcow2_check_backing("nbd:host", NULL) == -EDOM);
	check(!qcow2_check_backing("./nbd:host", NULL));
	check(qcow2_check_backing("", NULL) == -EDOM);
}

static void entries_that_name_nothing(void)
{
	static const struct {
		uint64_t cluster, entry;
		const char *words;
	} bad[] = {
		{ 1, ENTRY_COPIED | (3 * 65536 + 512), "cluster lies between clusters" },
		{ 1, ENTRY_COPIED | UINT64_C(1) << 50, "cluster lies outside of the file" },
		{ 1, ENTRY_OFFSET, "lies between clusters" },
		{ 2, ENTRY_COMPRESSED, "compressed cluster lies outside of the file" },
		{ 2, ENTRY_COMPRESSED | UINT64_C(1) << 50, "compressed cluster lies outside of the file" },
	};
	struct qcow2_spot spot;
	struct qcow2 q;
	char path[100];
	uint8_t raw[8];
	uint64_t end, table;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct io *io = small(path, &end, NULL, 16);
		struct err err = { 0 };

		check(!qcow2_open(io, &q, &err));
		table = be64_get(q.l1) & ENTRY_OFFSET;
		be64_put(raw, bad[i].entry);
		check(!io_write(io, raw, 8, table + 8 * bad[i].cluster, NULL));
		check_eq(-qcow2_find(&q, bad[i].cluster << 16, &spot, &err), EUCLEAN);
		if (!strstr(err.text, bad[i].words))
			printf("# %s\n", err.text);
		check(strstr(err.text, bad[i].words));
		qcow2_close(&q);
		unlink(path);
		io_free(io);
	}
}

static void tables_between_clusters(void)
{
	struct qcow2_spot spot;
	struct err err = { 0 };
	struct qcow2 q;
	char path[100];
	uint64_t end;
	struct io *io = small(path, &end, NULL, 16);

	check(!qcow2_open(io, &q, &err));
	be64_put(q.l1, be64_get(q.l1) + 512);
	check_eq(-qcow2_find(&q, 1 << 16, &spot, &err), EUCLEAN);
	check(strstr(err.text, "L2 table lies outside of the file or between clusters"));
	qcow2_close(&q);
	unlink(path);
	io_free(io);
}

/* A name that is not there, or has no bytes, is none. */
static void empty_backing_names(void)
{
	char path[100];
	uint64_t end;
	struct io *io = small(path, &end, "base", 16);
	struct qcow2 q;

	check(!io_write(io, (uint8_t[4]){ 0 }, 4, H_BACKING_LEN, NULL));
	check(!qcow2_open(io, &q, NULL));
	check(!q.backing);
	qcow2_close(&q);
	unlink(path);
	io_free(io);
}

/* As large as readers take; a larger one is refused before a byte is written. */
static void the_largest(void)
{
	const uint64_t most = (uint64_t)QCOW2_MAX_L1 / 8 << (2 * 9 - 3);
	struct qcow2_create opt = { .size = most, .cluster_bits = 9 };
	struct qcow2_writer *w;
	struct err err = { 0 };
	struct qcow2 q;
	char path[100];
	uint64_t end;
	struct io *io = temp(path, 0);

	check(!qcow2_begin(io, &opt, &w, &err) && !qcow2_end(w, &end, &err));
	qcow2_free(w);
	check(!ftruncate(io->fd, (off_t)end));
	io->size = end;
	check(!qcow2_open(io, &q, &err));
	check_eq(q.size, most);
	qcow2_close(&q);
	check(!ftruncate(io->fd, 0));
	opt.size++;
	check(qcow2_begin(io, &opt, &w, &err) == -ERANGE);
	check(strstr(err.text, "more than the 137438953472 that a qcow2 image with clusters of 512 bytes can have"));
	check_eq(lseek(io->fd, 0, SEEK_END), 0);
	unlink(path);
	io_free(io);
}

/* The bit of another compression with the number of the usual one. */
static void deflate_by_number(void)
{
	char path[100];
	uint64_t end;
	struct io *io = small(path, &end, NULL, 16);
	struct qcow2 q;

	check(!io_write(io, (uint8_t[8]){ 0, 0, 0, 0, 0, 0, 0, INCOMPATIBLE_COMPRESSION }, 8, H_INCOMPATIBLE, NULL));
	check(!qcow2_open(io, &q, NULL));
	check_eq(q.compression, COMPRESS_DEFLATE);
	qcow2_close(&q);
	unlink(path);
	io_free(io);
}

static void sizes_of_clusters(void)
{
	check_eq(qcow2_cluster_bits(4096), 16);
	check_eq(qcow2_cluster_bits(65536), 16);
	check_eq(qcow2_cluster_bits(196608), 16);
	check_eq(qcow2_cluster_bits(1 << 20), 20);
	check_eq(qcow2_cluster_bits(2 << 20), 21);
	check_eq(qcow2_cluster_bits(4 << 20), 16);
}

static const struct test tests[] = {
	{ "random images are read back as they were written, and qemu-img finds no fault", written_and_read },
	{ "features that are not understood, and impossible fields, are refused by their names", features },
	{ "the file's own name of a feature is told, without what a terminal would obey", names_of_features },
	{ "fields that do not fit each other are refused", fields_together },
	{ "every truncation is noticed before a byte of data is read", every_truncation },
	{ "a backing file's name has up to 1023 bytes and is no protocol", backing_names },
	{ "a cluster that lies nowhere, between others or in the header is damage", entries_that_name_nothing },
	{ "a table that lies between clusters is damage", tables_between_clusters },
	{ "a backing file's name without bytes is none", empty_backing_names },
	{ "an image is as large as readers take, and a larger one is refused", the_largest },
	{ "the usual compression may be told by its number", deflate_by_number },
	{ "a cluster is the pool's block where it can be", sizes_of_clusters },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
