/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_OUTPUT_H
#define VOLUME_OUTPUT_H
/*
 * Where an image goes: a new file, a block device, or a stream.
 *
 * A file is made without a name in the folder of its final one (O_TMPFILE), and gets the name in
 * output_commit(), when it is complete and on the disk: a run that is interrupted or killed leaves
 * nothing (dev/out_file.h).  Where the filesystem cannot do that it has a temporary name meanwhile,
 * which is noted in base/leftover.h for the handler of signals.
 * Threads: one; output->io as io.h says.
 */
#include "dev/io.h"

enum output_kind { OUTPUT_FILE, OUTPUT_DEVICE, OUTPUT_STREAM };

struct output {
	enum output_kind kind;
	char *path;	/* as given, or what a symbolic link leads to; "standard output" */
	uint64_t size;	/* bytes of the image; a device may be larger */
	struct io *io;	/* file and device; its size is at least the image's */
	int fd;		/* of io; of a stream: the caller's */
	bool reads_zero; /* what is not written reads as zeros */
	/* private */
	struct out_file *file;
};

struct output_options {
	uint64_t size; /* bytes */
	/*
	 * 1: overwrite an existing file, or a device on which a filesystem or the like is found.
	 * 2: also a device that is in use.
	 */
	unsigned force;
	const char *const *sources; /* paths that must not be written to, with any force */
	size_t nr_sources;
	bool target_is_zero; /* of a device */
	bool dry_run; /* only the refusals; out->io stays NULL */
};

/*
 * @path "-": standard output.  Refuses with a sentence: -EEXIST, -EBUSY, -ERANGE (device too small),
 * -EDOM (a source), -EINVAL (neither file nor device), or an errno of the system.
 */
int output_open(const char *path, const struct output_options *opt, struct output *out,
		struct err *err);

/* -EDOM when @path is one of opt->sources. */
int output_refuse_sources(const char *path, const struct output_options *opt, struct err *err);

/* Brings all written bytes to the disk; of a stream only if it is a file or a device. */
int output_sync(struct output *o, struct err *err);

/* Gives the file its name, which reaches the disk too.  Call output_sync() before. */
int output_commit(struct output *o, struct err *err);

/* Drops what was not committed, and frees.  Call it once, also after an error or a commit. */
void output_discard(struct output *o);

#endif
