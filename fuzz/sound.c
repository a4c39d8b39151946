/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "sound.h"

#include "fuzz.h"
#include "pool/check/check.h"

bool pool_sound_but(struct io *io, struct jobs *jobs, enum finding_severity from,
		    enum finding_kind kind, bool tell)
{
	const struct check_options opt = { 0 };
	struct check_result r = { 0 };
	struct outbuf text;
	struct json j;
	struct err err = { 0 };
	bool ok = !check_run(io, jobs, &opt, &r, &err) && r.complete;
	size_t i;

	ok = ok && !r.findings.failed;
	for (i = 0; i < r.findings.nr; i++)
		if (finding_severity(&r.findings.f[i]) >= from &&
		    r.findings.f[i].kind != kind)
			ok = false;
	if (!ok && tell) {
		outbuf_init(&text);
		json_begin(&j, &text);
		findings_json(&r.findings, &j, "findings");
		json_end(&j);
		fprintf(stderr, "%s%.*s\n", err.text, (int)text.len, text.data);
		outbuf_fini(&text);
	}
	check_result_fini(&r);
	return ok;
}
