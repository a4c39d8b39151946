/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_BACKING_H
#define VOLUME_BACKING_H
/* The backing file of an overlay that is about to be written, and whether it is the right one. */
#include "volume/copy/output.h"
#include "volume/image/since.h"

struct backing {
	char *name;	     /* as it is to be written */
	char *path;	     /* as it is opened: from the folder of the image */
	const char *format;  /* "raw", "qcow2"; NULL: by the first bytes */
	uint64_t size;	     /* bytes; UINT64_MAX: not known */
	bool is_origin;	     /* it is the external origin of the device; else the base */
};

/* @word: FILE[,FORMAT] for the image @output.  -EDOM: a name that cannot be written. */
int backing_parse(const char *word, const char *output, struct backing *b, struct err *err);
void backing_fini(struct backing *b);

/*
 * Opens it, which tells its format and size.  -EDOM: @output is a file of its chain.  Unless @no_check it must have the size of the base
 * (the origin) and its bytes: all that the image covers, and samples of those that are read through
 * it.
 */
int backing_check(struct backing *b, const char *output, const struct since *s, const struct volume *now,
		  bool no_check, struct jobs *jobs, struct err *err);

/*
 * Compares all of the qcow2 image @out, which will have the name @name, with its backing files, with the
 * device.  -EBADMSG.
 */
int backing_verify(const struct output *out, const char *name, const struct since *s,
		   struct jobs *jobs, struct meter *meter, struct err *err);

#endif
